"""What stands on accounts of the same person that were merged into his."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commissions.selectors_accounts import former_accounts
from commissions.serializers import BalanceSerializer
from referrals.auth import member_of

FORMER = {
    "account": "K7PQ2MXA", "frozen_fen": 1999, "available_fen": 5000, "withdrawing_fen": 0,
    "owed_fen": 0,
}  # fmt: skip


class FormerAccountSerializer(BalanceSerializer):
    """A former promoter account that is not empty yet."""

    account = serializers.CharField(help_text="Promoter no.; name it to withdraw from here.")


class FormerAccountsSerializer(serializers.Serializer[object]):
    """One's former promoter accounts; seldom more than one."""

    accounts = FormerAccountSerializer(many=True)


class FormerAccountsView(APIView):
    """One's former promoter accounts."""

    throttle_scope = "read"

    @extend_schema(
        operation_id="promoter_former_accounts",
        responses=FormerAccountsSerializer,
        examples=[OpenApiExample("One", value={"accounts": [FORMER]}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """What still stands on accounts that were merged into mine; it is withdrawn as ever."""
        rows = former_accounts(member_of(request).pk)
        return Response(FormerAccountsSerializer({"accounts": rows}).data)
