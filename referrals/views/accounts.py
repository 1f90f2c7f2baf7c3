"""Closing one's account, and taking that back."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distro import clock
from distro.api.idempotency import idempotent
from referrals import selectors_accounts
from referrals.auth import member_of
from referrals.models import Closure
from referrals.serializers_accounts import CloseIn, ClosingOut, ClosureOut
from referrals.services.closing import request_closing, withdraw_closing

WAIT = {"kind": "available", "text": "待提现余额", "amount_fen": 1250}
CLOSURE = {
    "status": "waiting", "scope": "account", "requested_at": "2026-11-02T10:00:00+08:00",
    "ended_at": None, "waits": [WAIT],
}  # fmt: skip


class ClosingView(APIView):
    """The closing of one's account."""

    @extend_schema(
        responses=ClosingOut,
        examples=[OpenApiExample("Nothing asked", value={"would_wait": [WAIT], "closing": None})],
    )
    def get(self, request: Request) -> Response:
        """Return what closing would wait for, and how far the one asked for is."""
        member = member_of(request)
        waits = selectors_accounts.waits_of(member.pk, Closure.Scope.ACCOUNT)
        closing = selectors_accounts.newest_closure(member.pk)
        return Response(ClosingOut({"would_wait": waits, "closing": closing}).data)

    @extend_schema(
        request=CloseIn,
        responses={201: ClosureOut},
        examples=[
            OpenApiExample(
                "Confirmed", value={"confirmed": True, "note": "不再使用"}, request_only=True
            ),
            OpenApiExample("Waits for a withdrawal", value=CLOSURE, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Ask to close the account: at once if nothing is left in it, else as soon as so.

        Once it is closed this log-in is of no use any more.
        """
        data = CloseIn(data=request.data)
        data.is_valid(raise_exception=True)
        closure = request_closing(member=member_of(request), **data.validated_data, at=clock.now())
        return Response(ClosureOut(closure).data, status=201)


class WithdrawClosingView(APIView):
    """Keeping one's account after all."""

    @extend_schema(
        request=None,
        responses=ClosureOut,
        examples=[
            OpenApiExample(
                "Stays",
                value={
                    **CLOSURE, "status": "cancelled", "ended_at": "2026-11-03T10:00:00+08:00",
                },
                response_only=True,
            )
        ],
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        """Take one's own closing back while it waits; revoked links stay revoked."""
        closure = withdraw_closing(member=member_of(request), at=clock.now())
        return Response(ClosureOut(closure).data)
