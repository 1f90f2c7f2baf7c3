"""Becoming a promoter, one's standing, team and identity."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distro import clock
from distro.api.idempotency import idempotent
from distro.api.pagination import KeysetPagination, page_of
from distro.errors import NotFound
from referrals import selectors
from referrals.auth import member_of
from referrals.errors import AgreementOutdated
from referrals.explanations import masked_name
from referrals.models import Application, Member
from referrals.serializers import (
    AgreementOut,
    ApplicationOut,
    ApplyIn,
    IdentityIn,
    IdentityOut,
    PromoterOut,
    TeamMemberOut,
)
from referrals.services import identities, promoters
from referrals.services.agreements import Evidence
from referrals.views.doors import address_of

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
AGREEMENT = {
    "version": 1, "title": "推广员协议", "body": "…", "body_sha256": SHA256,
    "effective_from": "2026-10-01T00:00:00+08:00", "signed": False,
}  # fmt: skip


class AgreementView(APIView):
    """The promoter agreement in force."""

    @extend_schema(responses=AgreementOut, examples=[OpenApiExample("Version 1", value=AGREEMENT)])
    def get(self, request: Request) -> Response:
        """Return the text that a promoter signs, and whether one has."""
        agreement = selectors.current_agreement(clock.now())
        agreement.signed = selectors.has_signed(  # type: ignore[attr-defined]
            member_of(request).pk, agreement
        )
        return Response(AgreementOut(agreement).data)


class ApplyView(APIView):
    """An application to become a promoter."""

    @extend_schema(
        request=ApplyIn,
        responses={201: ApplicationOut},
        examples=[
            OpenApiExample(
                "Accepted by box and button",
                value={
                    "version": 1, "body_sha256": SHA256, "accepted": True, "note": "",
                    "client_time": "2026-11-02T10:00:00+08:00", "app_version": "1.0.0",
                    "page_path": "pages/promoter/join",
                },
                request_only=True,
            )
        ],
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        """Sign the agreement in force and apply; the shop may approve at once."""
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
            evidence=self._evidence(request, given),
            note=given["note"],
            at=at,
        )
        return Response(ApplicationOut(application).data, status=201)

    def _evidence(self, request: Request, given: dict[str, Any]) -> Evidence:
        return Evidence(
            ip=address_of(request),
            user_agent=request.headers.get("User-Agent", ""),
            client_time=given["client_time"],
            app_version=given["app_version"],
            page_path=given["page_path"],
        )


NO_PROMOTER = {
    "code": None, "grade": None, "approved_at": None, "upline": None,
    "customers": 0, "direct_team": 0,
}  # fmt: skip
PROMOTER = {
    "state": "active", "code": "K7PQ2MXA", "grade": "金牌",
    "approved_at": "2026-11-02T10:00:00+08:00", "upline": "李*", "customers": 12,
    "direct_team": 3, "application": None,
}  # fmt: skip


class PromoterView(APIView):
    """One's standing as a promoter."""

    @extend_schema(responses=PromoterOut, examples=[OpenApiExample("A promoter", value=PROMOTER)])
    def get(self, request: Request) -> Response:
        """Return one's state, code, upline and the size of customers and direct team."""
        member = member_of(request)
        application = selectors.newest_application(member.pk)
        facts = self._facts(member, application)
        return Response(PromoterOut({**facts, "application": application}).data)

    def _facts(self, member: Member, application: Application | None) -> dict[str, Any]:
        promoter = selectors.promoter_of(member.pk)
        if promoter is None:
            return {**NO_PROMOTER, "state": application.status if application else "none"}
        summary = selectors.summary_of(promoter, at=clock.now())
        return {
            "state": promoter.status,
            "code": promoter.code,
            "grade": promoter.grade.name if promoter.grade else None,
            "approved_at": promoter.approved_at,
            "upline": masked_name(promoter.parent.member) if promoter.parent else None,
            "customers": summary.customers,
            "direct_team": summary.direct_team,
        }


class TeamView(APIView):
    """One's direct team."""

    pagination_class = KeysetPagination

    @extend_schema(
        responses=TeamMemberOut(many=True),
        examples=[
            OpenApiExample(
                "One of the team",
                value={
                    "name": "王*", "grade": None, "status": "active",
                    "approved_at": "2026-11-02T10:00:00+08:00", "direct_team": 0,
                },
                response_only=True,
            )
        ],
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Return the promoters directly below, the newest first, with masked names."""
        promoter = selectors.promoter_or_refuse(member_of(request).pk)
        return page_of(
            request, selectors.direct_team(promoter), TeamMemberOut, column="approved_at"
        )


IDENTITY = {
    "name": "张*", "id_number": "110***********002X", "status": "pending", "reason": "",
    "submitted_at": "2026-11-02T10:00:00+08:00", "decided_at": None,
}  # fmt: skip


class IdentityView(APIView):
    """One's real name, needed before the first payout."""

    @extend_schema(responses=IdentityOut, examples=[OpenApiExample("Waiting", value=IDENTITY)])
    def get(self, request: Request) -> Response:
        """Return what one submitted, masked."""
        identity = selectors.identity_of(member_of(request).pk)
        if identity is None:
            raise NotFound
        return Response(IdentityOut(identity).data)

    @extend_schema(
        request=IdentityIn,
        responses={201: IdentityOut},
        examples=[
            OpenApiExample(
                "An ID card",
                value={"name": "张三", "id_number": "11010519491231002X"},
                request_only=True,
            )
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Submit one's name and ID number; they are kept encrypted."""
        data = IdentityIn(data=request.data)
        data.is_valid(raise_exception=True)
        member_id = member_of(request).pk
        identity = identities.submit_identity(
            member_id=member_id, **data.validated_data, at=clock.now()
        )
        return Response(IdentityOut(identity).data, status=201)
