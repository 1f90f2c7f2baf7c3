"""Withdrawals of the promoter who asks, and where WeChat Pay tells us of transfers."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commissions import selectors_withdrawals as reads
from commissions.serializers_withdrawals import (
    AmountSerializer,
    OwnWithdrawalSerializer,
    QuoteSerializer,
    RequestSerializer,
    WithdrawalSerializer,
)
from commissions.services.transferring import take_transfer_notice
from commissions.services.withdrawals import cancel_withdrawal, quote, request_withdrawal
from distro import clock
from distro.api.idempotency import idempotent
from distro.api.pagination import KeysetPagination, page_of
from orders.views.notices import NoticeView
from referrals.auth import member_of

PIECE = {"amount_fen": 15_000, "tax_fen": 0, "net_fen": 15_000, "day": "2026-11-02"}
QUOTED = {
    "amount_fen": 30_000,
    "tax_fen": 0,
    "net_fen": 30_000,
    "pieces": [PIECE, PIECE],
    "arrives_on": "2026-11-02",
    "needs_review": True,
    "review_reasons": [{"code": "first", "text": "First withdrawal of this person"}],
}
LISTED = {
    "number": "WD2611022345ABCDEFGH",
    "request_number": "WR2611026789JKLMNPQR",
    "status": "awaiting_confirm",
    "status_text": "To be confirmed by the promoter",
    "amount_fen": 30_000,
    "tax_fen": 0,
    "net_fen": 30_000,
    "not_before": None,
    "requested_at": "2026-11-02T10:00:00+08:00",
    "approved_at": "2026-11-02T11:00:00+08:00",
    "sent_at": "2026-11-02T11:00:30+08:00",
    "confirm_before": "2026-11-03T11:00:30+08:00",
    "finished_at": None,
    "reason": "",
}
OWN = {**LISTED, "package_info": "affffddafdfafddffda==", "mch_id": "1900001109",
       "app_id": "wxf636efh567hg4356"}  # fmt: skip
REQUESTED = {
    "number": "WR2611026789JKLMNPQR",
    "amount_fen": 30_000,
    "estimated_tax_fen": 0,
    "estimated_net_fen": 30_000,
    "needs_review": True,
    "review_reasons": QUOTED["review_reasons"],
    "requested_at": "2026-11-02T10:00:00+08:00",
    "withdrawals": [{**LISTED, "status": "reviewing", "status_text": "In review"}],
}


class WithdrawalQuoteView(APIView):
    """What a withdrawal would be, before it is asked for."""

    throttle_scope = "read"

    @extend_schema(
        operation_id="quote_withdrawal",
        parameters=[
            OpenApiParameter("amount_fen", OpenApiTypes.INT64, required=True),
            OpenApiParameter("account", OpenApiTypes.STR),
        ],
        responses=QuoteSerializer,
        examples=[OpenApiExample("First withdrawal", QUOTED, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """Return net, tax, transfers and days; refuse what the request would refuse."""
        asked = AmountSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        amount_fen, account = asked.validated_data["amount_fen"], asked.validated_data["account"]
        promoter = reads.account_of(member_of(request).pk, account)
        found = quote(promoter_id=promoter.pk, amount_fen=amount_fen, at=clock.now())
        return Response(QuoteSerializer(found).data)


class WithdrawalsView(APIView):
    """A promoter's withdrawals."""

    pagination_class = KeysetPagination

    @extend_schema(
        operation_id="list_withdrawals",
        responses=WithdrawalSerializer(many=True),
        examples=[OpenApiExample("One to confirm", LISTED, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """List the transfers, newest first."""
        promoter = reads.promoter_of(member_of(request).pk)
        rows = reads.withdrawals_of(promoter)
        return page_of(request, rows, WithdrawalSerializer, column="requested_at")

    @extend_schema(
        operation_id="request_withdrawal",
        request=AmountSerializer,
        responses={201: RequestSerializer},
        examples=[
            OpenApiExample("300 yuan", {"amount_fen": 30_000}, request_only=True),
            OpenApiExample("In review", REQUESTED, response_only=True, status_codes=["201"]),
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Ask for money."""
        asked = AmountSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        member, given = member_of(request), asked.validated_data
        made = request_withdrawal(
            promoter_id=reads.account_of(member.pk, given["account"]).pk,
            amount_fen=given["amount_fen"],
            by=member.actor,
            at=clock.now(),
        )
        return Response(RequestSerializer(made).data, status=201)

    @property
    def throttle_scope(self) -> str:
        """Count requests for money apart from looking at them."""
        return "money" if self.request.method == "POST" else "read"


class WithdrawalView(APIView):
    """One withdrawal of the promoter."""

    @extend_schema(
        operation_id="get_withdrawal",
        responses=OwnWithdrawalSerializer,
        examples=[OpenApiExample("To confirm", OWN, response_only=True)],
    )
    def get(self, request: Request, number: str) -> Response:
        """Return it with what wx.requestMerchantTransfer wants while it can be confirmed."""
        promoter = reads.promoter_of(member_of(request).pk)
        return Response(OwnWithdrawalSerializer(reads.withdrawal_of(promoter, number)).data)


class CancelWithdrawalView(APIView):
    """Take one withdrawal back that is not sent yet."""

    throttle_scope = "money"

    @extend_schema(
        operation_id="cancel_withdrawal",
        request=None,
        responses=WithdrawalSerializer,
        examples=[
            OpenApiExample("Taken back", {**LISTED, "status": "cancelled"}, response_only=True)
        ],
    )
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        """Cancel it; the money is available again."""
        promoter = reads.promoter_of(member_of(request).pk)
        found = reads.withdrawal_of(promoter, number)
        row = cancel_withdrawal(withdrawal_id=found.pk, by=promoter.member.actor, at=clock.now())
        return Response(WithdrawalSerializer(row).data)


class TransferNotifyView(NoticeView):
    """Transfers."""

    take = staticmethod(take_transfer_notice)
