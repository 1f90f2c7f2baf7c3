"""The shape of this package's JSON; nothing here reads or writes."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from distro.api.fields import MomentField
from distro.crypto import mask_id, mask_name, mask_phone
from referrals.models import Identity, Message, ShareLink

CONTROL = r"^[^\x00-\x1f\x7f]*$"
OPAQUE = r"^[0-9A-Za-z_.:-]*$"


class Refusal(serializers.Serializer[Any]):
    """Why something was of no use."""

    code = serializers.CharField()
    message = serializers.CharField(source="__str__")


# --- Log-in, me -----------------------------------------------------------------------------


class LoginIn(serializers.Serializer[Any]):
    """What wx.login gave, and the share code the person came with."""

    code = serializers.CharField(max_length=256)
    link_code = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    device = serializers.RegexField(
        OPAQUE, max_length=64, required=False, default="", allow_blank=True
    )


class MemberOut(serializers.Serializer[Any]):
    """Who one is."""

    no = serializers.CharField()
    nickname = serializers.CharField()


class LoginOut(serializers.Serializer[Any]):
    """The token for all later requests."""

    token = serializers.CharField()
    expires_at = serializers.DateTimeField()
    created = serializers.BooleanField(help_text="True for the first log-in.")
    member = MemberOut()
    link_error = Refusal(allow_null=True, help_text="Why the share code was of no use.")


class MeOut(MemberOut):
    """One's own data; the phone is masked."""

    phone = serializers.SerializerMethodField()
    joined_at = serializers.DateTimeField()
    promoter_code = serializers.CharField(allow_null=True)
    unread = serializers.IntegerField()

    def get_phone(self, me: Any) -> str:
        """Mask the national number."""
        return mask_phone(me.phone.removeprefix("+86"))


class MeIn(serializers.Serializer[Any]):
    """What one may change."""

    nickname = serializers.RegexField(CONTROL, min_length=1, max_length=64, required=False)
    phone_code = serializers.CharField(
        max_length=256, required=False, help_text="The code of WeChat's phone button."
    )


# --- Messages -------------------------------------------------------------------------------


class MessageOut(serializers.ModelSerializer[Message]):
    """One line of the inbox."""

    class Meta:
        model = Message
        fields = ("kind", "title", "body", "page", "created_at", "read_at")


class ReadIn(serializers.Serializer[Any]):
    """Up to which moment messages were read."""

    until = MomentField(required=False, help_text="Now, if left out.")


class ReadOut(serializers.Serializer[Any]):
    """What was marked."""

    read = serializers.IntegerField()
    unread = serializers.IntegerField()


class SubscriptionsIn(serializers.Serializer[Any]):
    """The kinds whose templates the member just accepted in WeChat's dialog."""

    accepted = serializers.ListField(
        child=serializers.CharField(max_length=32), min_length=1, max_length=10
    )


class SubscriptionOut(serializers.Serializer[Any]):
    """One kind of message, its template and how many more are accepted."""

    kind = serializers.CharField()
    template_id = serializers.CharField()
    left = serializers.IntegerField()


# --- Promoter -------------------------------------------------------------------------------


class ApplicationOut(serializers.Serializer[Any]):
    """The state of an application."""

    status = serializers.CharField()
    reason = serializers.CharField()
    requested_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)


class PromoterOut(serializers.Serializer[Any]):
    """How one stands as a promoter; state "none" before the first application."""

    state = serializers.ChoiceField(
        ["none", "pending", "rejected", "approved", "active", "suspended", "closing", "closed"]
    )
    code = serializers.CharField(allow_null=True)
    grade = serializers.CharField(allow_null=True)
    approved_at = serializers.DateTimeField(allow_null=True)
    upline = serializers.CharField(allow_null=True, help_text="Masked name.")
    customers = serializers.IntegerField()
    direct_team = serializers.IntegerField()
    application = ApplicationOut(allow_null=True)


class IdentityIn(serializers.Serializer[Any]):
    """The name and number of an ID card."""

    name = serializers.CharField(max_length=40)
    id_number = serializers.CharField(max_length=20)


class IdentityOut(serializers.ModelSerializer[Identity]):
    """What was submitted, masked, and what became of it."""

    name = serializers.SerializerMethodField()
    id_number = serializers.SerializerMethodField()

    class Meta:
        model = Identity
        fields = ("name", "id_number", "status", "reason", "submitted_at", "decided_at")

    def get_name(self, identity: Identity) -> str:
        """Mask it."""
        return mask_name(identity.name)

    def get_id_number(self, identity: Identity) -> str:
        """Mask it."""
        return mask_id(identity.id_number)


# --- Share links ----------------------------------------------------------------------------


class LinkIn(serializers.Serializer[Any]):
    """What to share, and where."""

    target = serializers.ChoiceField(ShareLink.Target.choices, default=ShareLink.Target.HOME)
    target_ref = serializers.CharField(
        max_length=64, required=False, default="", allow_blank=True,
        help_text="Code of the product, campaign, material or live room.",
    )  # fmt: skip
    channel = serializers.ChoiceField(ShareLink.Channel.choices, default=ShareLink.Channel.CHAT)
    expires_at = MomentField(required=False, default=None, allow_null=True)


class LinkOut(serializers.ModelSerializer[ShareLink]):
    """A link of one's own."""

    class Meta:
        model = ShareLink
        fields = (
            "code", "target", "target_ref", "channel", "created_at", "expires_at", "revoked_at",
            "broken_since", "broken_reason",
        )  # fmt: skip


class VisitIn(serializers.Serializer[Any]):
    """One opening of a share link."""

    code = serializers.CharField(max_length=64)
    visit_key = serializers.RegexField(
        OPAQUE, min_length=8, max_length=64, help_text="Made by the phone, once per opening."
    )
    device = serializers.RegexField(
        OPAQUE, max_length=64, required=False, default="", allow_blank=True
    )
    scene = serializers.RegexField(
        r"^\d*$", max_length=16, required=False, default="", allow_blank=True
    )


class VisitOut(serializers.Serializer[Any]):
    """Where the link leads; for a member also what the opening did to the binding."""

    target = serializers.CharField(source="link.target")
    target_ref = serializers.CharField(source="link.target_ref")
    outcome = serializers.CharField(
        help_text="bound, rebound, kept, protected, has_ordered, not_promoter, not_registering,"
        " employee_code, younger_inviter or referral_cycle; empty for a stranger."
    )


class BindingOut(serializers.Serializer[Any]):
    """Whose customer one is, and why."""

    bound = serializers.BooleanField()
    promoter = serializers.CharField(allow_null=True, help_text="Masked name.")
    since = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    protected_until = serializers.DateTimeField(allow_null=True)
    explanation = serializers.CharField()
