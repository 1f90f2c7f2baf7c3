"""The shape of commissions, balances and movements in the API."""

from __future__ import annotations

from rest_framework import serializers

from commissions.explaining import explain
from commissions.models import Commission, Transfer


class BalanceSerializer(serializers.Serializer[object]):
    """What stands on the promoter's accounts, in fen; owed_fen >= 0 is what he owes."""

    frozen_fen = serializers.IntegerField()
    available_fen = serializers.IntegerField()
    withdrawing_fen = serializers.IntegerField()
    owed_fen = serializers.IntegerField()


LISTED: tuple[str, ...] = (
    "id",
    "order_number",
    "title",
    "level",
    "base_fen",
    "rate_bps",
    "fixed_fen",
    "amount_fen",
    "reversed_fen",
    "kept_fen",
    "status",
    "status_display",
    "paid_at",
    "release_at",
)


class CommissionSerializer(serializers.ModelSerializer[Commission]):
    """One commission of the promoter who asks."""

    order_number = serializers.CharField(source="order.number")
    title = serializers.CharField(source="line.title")
    status_display = serializers.CharField(source="get_status_display")
    kept_fen = serializers.IntegerField()

    class Meta:
        model = Commission
        fields = LISTED


class CommissionDetailSerializer(CommissionSerializer):
    """One commission with the paragraph that explains it."""

    explanation = serializers.SerializerMethodField()

    class Meta(CommissionSerializer.Meta):
        fields = (*LISTED, "uncapped_fen", "capped", "explanation")

    def get_explanation(self, row: Commission) -> str:
        return explain(row)


class MovementSerializer(serializers.ModelSerializer[Transfer]):
    """One movement on the promoter's accounts; the platform's side is not named."""

    code_display = serializers.CharField(source="get_code_display")
    from_account = serializers.SerializerMethodField()
    to_account = serializers.SerializerMethodField()

    class Meta:
        model = Transfer
        fields = (
            "id",
            "code",
            "code_display",
            "amount_fen",
            "from_account",
            "to_account",
            "occurred_at",
        )

    def get_from_account(self, row: Transfer) -> str | None:
        return row.debit.kind if row.debit.promoter_id else None

    def get_to_account(self, row: Transfer) -> str | None:
        return row.credit.kind if row.credit.promoter_id else None
