"""A promoter's standing and team, a member's identity."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distro import clock
from distro.api.idempotency import idempotent
from distro.errors import NotFound
from referrals import selectors
from referrals.auth import member_of
from referrals.explanations import masked_name
from referrals.models import Application, Member
from referrals.serializers import (
    IdentityIn,
    IdentityOut,
    PromoterOut,
)
from referrals.services import identities

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
