"""Becoming a promoter: what the gate asks for, the agreement, the application; and quitting."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distro import clock
from distro.api.idempotency import idempotent
from referrals import selectors, selectors_joining
from referrals.auth import member_of
from referrals.errors import AgreementOutdated
from referrals.models import Agreement, Member
from referrals.serializers import ApplicationOut
from referrals.serializers_joining import (
    AgreementOut,
    ApplyIn,
    GateOut,
    QuitIn,
    QuittingOut,
    SignatureIn,
    SignedOut,
)
from referrals.services import promoters, quitting
from referrals.services.agreements import Evidence, sign_version
from referrals.views.doors import address_of

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
AGREEMENT = {
    "version": 2, "title": "推广员协议", "body": "…", "body_sha256": SHA256,
    "highlights": ["佣金在退货期结束后结算。"], "worsening": True,
    "effective_from": "2026-11-20T00:00:00+08:00", "signed": False,
}  # fmt: skip
SIGNATURE = {
    "version": 2, "body_sha256": SHA256, "accepted": True, "highlighted": [1],
    "client_time": "2026-11-02T10:00:00+08:00", "app_version": "1.0.0", "scene": "1001",
    "page_path": "pages/promoter/join",
}  # fmt: skip
GATE = {
    "gate": "invite", "state": "none",
    "steps": [{"kind": "agreement", "done": False}, {"kind": "invite_code", "done": False}],
    "min_purchase_fen": 0, "bought_fen": 0, "sign_version": 1, "next_version": None,
    "next_from": None, "quitting_since": None,
}  # fmt: skip
QUITTING = {"status": "requested", "requested_at": "2026-11-02T10:00:00+08:00", "ended_at": None}


def evidence_of(request: Request, given: dict[str, Any]) -> Evidence:
    """Return how a text was accepted, as the phone and the connection tell it."""
    return Evidence(
        ip=address_of(request),
        user_agent=request.headers.get("User-Agent", ""),
        client_time=given["client_time"],
        app_version=given["app_version"],
        scene=given["scene"],
        page_path=given["page_path"],
        highlighted=tuple(given["highlighted"]),
    )


class GateView(APIView):
    """What one needs to become a promoter, or to stay one."""

    @extend_schema(
        responses=GateOut, examples=[OpenApiExample("A free invite code is needed", value=GATE)]
    )
    def get(self, request: Request) -> Response:
        """Return the gate, the steps that are left, and the versions to accept."""
        joining = selectors_joining.joining_of(member_of(request).pk, at=clock.now())
        return Response(GateOut(joining).data)


class AgreementView(APIView):
    """The promoter agreement in force."""

    @extend_schema(
        responses=AgreementOut,
        examples=[OpenApiExample("Version 2", value={**AGREEMENT, "next": None})],
    )
    def get(self, request: Request) -> Response:
        """Return the text that a promoter signs, and the next one; whether one has signed them."""
        at, member = clock.now(), member_of(request)
        current, upcoming = (
            selectors.current_agreement(at),
            selectors_joining.upcoming_agreement(at),
        )
        shown = self._shown(current, member)
        shown.next = self._shown(upcoming, member) if upcoming else None  # type: ignore[attr-defined]
        return Response(AgreementOut(shown).data)

    def _shown(self, agreement: Agreement, member: Member) -> Agreement:
        agreement.signed = selectors.has_signed(member.pk, agreement)  # type: ignore[attr-defined]
        return agreement


class SignView(APIView):
    """Accepting a new version of the agreement."""

    @extend_schema(
        request=SignatureIn,
        responses={201: SignedOut},
        examples=[
            OpenApiExample("Accepted by box and button", value=SIGNATURE, request_only=True),
            OpenApiExample(
                "Signed",
                value={"version": 2, "accepted_at": "2026-11-02T10:00:00+08:00"},
                response_only=True,
            ),
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Sign the version in force, or the next one, as a promoter or a waiting applicant."""
        data = SignatureIn(data=request.data)
        data.is_valid(raise_exception=True)
        given = data.validated_data
        acceptance = sign_version(
            member=member_of(request),
            version=given["version"],
            body_sha256=given["body_sha256"],
            evidence=evidence_of(request, given),
            at=clock.now(),
        )
        return Response(SignedOut(acceptance).data, status=201)


class ApplyView(APIView):
    """An application to become a promoter."""

    @extend_schema(
        request=ApplyIn,
        responses={201: ApplicationOut},
        examples=[
            OpenApiExample(
                "With an invite code",
                value={**SIGNATURE, "note": "", "invite_code": "K7PQ2MXA"},
                request_only=True,
            )
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Sign the agreement in force and apply; every gate but review approves at once."""
        data = ApplyIn(data=request.data)
        data.is_valid(raise_exception=True)
        at, given = clock.now(), data.validated_data
        agreement = selectors.current_agreement(at)
        if agreement.version != given["version"]:
            raise AgreementOutdated(field="version")
        application = promoters.apply_to_promote(
            member=member_of(request),
            agreement_id=agreement.pk,
            body_sha256=given["body_sha256"],
            evidence=evidence_of(request, given),
            note=given["note"],
            invite_code=given["invite_code"],
            at=at,
        )
        return Response(ApplicationOut(application).data, status=201)


class QuittingView(APIView):
    """A promoter's wish to stop."""

    @extend_schema(
        request=QuitIn,
        responses={201: QuittingOut},
        examples=[
            OpenApiExample(
                "Confirmed", value={"confirmed": True, "note": "没有时间了"}, request_only=True
            ),
            OpenApiExample("Asked for", value=QUITTING, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Ask to quit: no new links and customers; what one earned stays one's own."""
        data = QuitIn(data=request.data)
        data.is_valid(raise_exception=True)
        row = quitting.request_quitting(
            member=member_of(request), **data.validated_data, at=clock.now()
        )
        return Response(QuittingOut(row).data, status=201)


class WithdrawQuittingView(APIView):
    """Staying after all."""

    @extend_schema(
        request=None,
        responses=QuittingOut,
        examples=[
            OpenApiExample(
                "Stays",
                value={
                    **QUITTING, "status": "withdrawn", "ended_at": "2026-11-03T10:00:00+08:00",
                },
                response_only=True,
            )
        ],
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        """Take one's wish to quit back."""
        row = quitting.withdraw_quitting(member=member_of(request), at=clock.now())
        return Response(QuittingOut(row).data)
