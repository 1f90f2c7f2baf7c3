"""The shape of the JSON around becoming and staying a promoter."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from referrals.models import ReferralPolicy
from referrals.models.agreements import CLAUSES_MAX, Agreement
from referrals.serializers import CONTROL

SHA256 = r"^[0-9a-f]{64}$"


class AgreementText(serializers.ModelSerializer[Agreement]):
    """One version of the text, and which of its passages the page has to mark."""

    highlights = serializers.ListField(child=serializers.CharField(), source="passages")
    signed = serializers.BooleanField()

    class Meta:
        model = Agreement
        fields = (
            "version", "title", "body", "body_sha256", "highlights", "worsening",
            "effective_from", "signed",
        )  # fmt: skip


class AgreementOut(AgreementText):
    """The version in force, and the next one if it is published."""

    next = AgreementText(allow_null=True)

    class Meta(AgreementText.Meta):
        fields = (*AgreementText.Meta.fields, "next")  # type: ignore[assignment]


class SignatureIn(serializers.Serializer[Any]):
    """An acceptance of the agreement; the box was off and the member set it."""

    version = serializers.IntegerField(min_value=1)
    body_sha256 = serializers.RegexField(SHA256)
    accepted = serializers.BooleanField()
    highlighted = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=CLAUSES_MAX),
        max_length=CLAUSES_MAX, required=False, default=list,
        help_text="Numbers of the highlighted clauses that the page marked, from 1.",
    )  # fmt: skip
    client_time = serializers.CharField(max_length=40, required=False, default="")
    app_version = serializers.CharField(max_length=32, required=False, default="")
    scene = serializers.RegexField(
        r"^\d*$", max_length=16, required=False, default="", allow_blank=True,
        help_text="WeChat's scene value.",
    )  # fmt: skip
    page_path = serializers.CharField(max_length=128, required=False, default="")

    def validate_accepted(self, accepted: bool) -> bool:
        """Refuse what was not accepted."""
        if not accepted:
            raise serializers.ValidationError(self.error_messages["required"], code="required")
        return accepted


class ApplyIn(SignatureIn):
    """An application: the acceptance, and what the gate asks for."""

    note = serializers.RegexField(
        CONTROL, max_length=200, required=False, default="", allow_blank=True
    )
    invite_code = serializers.RegexField(
        CONTROL, max_length=32, required=False, default="", allow_blank=True,
        help_text="Looked at only where the gate asks for one.",
    )  # fmt: skip


class SignedOut(serializers.Serializer[Any]):
    """What was signed, and when."""

    version = serializers.IntegerField(source="agreement.version")
    accepted_at = serializers.DateTimeField()


class StepOut(serializers.Serializer[Any]):
    """One thing to do before one may be a promoter."""

    kind = serializers.ChoiceField(["agreement", "invite_code", "identity", "purchase", "review"])
    done = serializers.BooleanField()


class GateOut(serializers.Serializer[Any]):
    """What stands between a member and being a promoter, or what a promoter owes."""

    gate = serializers.ChoiceField(ReferralPolicy.Gate.values, source="gate.kind")
    state = serializers.ChoiceField(
        ["none", "pending", "rejected", "approved", "active", "suspended", "closing", "closed"]
    )
    steps = StepOut(many=True, help_text="Empty for a promoter.")
    min_purchase_fen = serializers.IntegerField(source="gate.min_purchase_fen")
    bought_fen = serializers.IntegerField()
    sign_version = serializers.IntegerField(
        source="to_sign.version", default=None, allow_null=True,
        help_text="Version in force that one has not accepted; until then a promoter makes no new"
        " links and requests no withdrawal.",
    )  # fmt: skip
    next_version = serializers.IntegerField(
        source="upcoming.version", default=None, allow_null=True,
        help_text="Version that rules next and that one has not accepted.",
    )  # fmt: skip
    next_from = serializers.DateTimeField(
        source="upcoming.effective_from", default=None, allow_null=True
    )
    quitting_since = serializers.DateTimeField(
        source="quitting.requested_at", default=None, allow_null=True
    )


class QuitIn(serializers.Serializer[Any]):
    """The wish to stop, confirmed in a dialog."""

    confirmed = serializers.BooleanField()
    note = serializers.RegexField(
        CONTROL, max_length=200, required=False, default="", allow_blank=True
    )


class QuittingOut(serializers.Serializer[Any]):
    """A wish to stop, and what became of it."""

    status = serializers.ChoiceField(["requested", "withdrawn", "done"])
    requested_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
