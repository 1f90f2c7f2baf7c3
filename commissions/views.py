"""What a promoter sees of his commissions, his balance and its movements."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commissions.selectors import commission_of, commissions_of, ledger_of
from commissions.selectors_withdrawals import promoter_of
from commissions.serializers import (
    BalanceSerializer,
    CommissionDetailSerializer,
    CommissionSerializer,
    MovementSerializer,
)
from commissions.services.ledger import balances
from distro.api.pagination import KeysetPagination, page_of
from referrals.auth import member_of

COMMISSION = {
    "id": 17,
    "order_number": "20261102K7W2M9",
    "title": "Aged tea",
    "level": 1,
    "base_fen": 19_999,
    "rate_bps": 1000,
    "fixed_fen": None,
    "amount_fen": 1999,
    "reversed_fen": 0,
    "kept_fen": 1999,
    "status": "frozen",
    "status_display": "Frozen",
    "paid_at": "2026-11-02T10:01:00+08:00",
    "release_at": None,
}


class BalanceView(APIView):
    throttle_scope = "read"

    @extend_schema(
        operation_id="promoter_balance",
        responses=BalanceSerializer,
        examples=[
            OpenApiExample(
                "Balance",
                {"frozen_fen": 1999, "available_fen": 5000, "withdrawing_fen": 0, "owed_fen": 0},
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        """What stands on my accounts."""
        promoter = promoter_of(member_of(request).pk)
        return Response(BalanceSerializer(balances(promoter.pk)).data)


class CommissionListView(APIView):
    throttle_scope = "read"
    pagination_class = KeysetPagination

    @extend_schema(
        operation_id="promoter_commissions",
        responses=CommissionSerializer(many=True),
        examples=[OpenApiExample("Commission", COMMISSION, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """My commissions, the latest payment first."""
        rows = commissions_of(promoter_of(member_of(request).pk))
        return page_of(request, rows, CommissionSerializer, column="paid_at")


class CommissionView(APIView):
    throttle_scope = "read"

    @extend_schema(
        operation_id="promoter_commission",
        responses=CommissionDetailSerializer,
        examples=[
            OpenApiExample(
                "Commission with its explanation",
                COMMISSION
                | {
                    "uncapped_fen": 1999,
                    "capped": False,
                    "explanation": "Order 20261102K7W2M9, Aged tea: the base is 199.99 yuan …",
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, commission_id: int) -> Response:
        """One of my commissions and why it is what it is."""
        row = commission_of(promoter_of(member_of(request).pk), commission_id)
        return Response(CommissionDetailSerializer(row).data)


class LedgerView(APIView):
    throttle_scope = "read"
    pagination_class = KeysetPagination

    @extend_schema(
        operation_id="promoter_ledger",
        responses=MovementSerializer(many=True),
        examples=[
            OpenApiExample(
                "Movement",
                {
                    "id": 31,
                    "code": "accrue",
                    "code_display": "Commission accrued",
                    "amount_fen": 1999,
                    "from_account": None,
                    "to_account": "frozen",
                    "occurred_at": "2026-11-02T10:01:00+08:00",
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        """Every movement on my accounts, the latest first."""
        rows = ledger_of(promoter_of(member_of(request).pk))
        return page_of(request, rows, MovementSerializer, column="occurred_at")
