"""The shapes of withdrawals on the API; amounts are whole fen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from commissions.fail_reasons import text_of
from commissions.models import Withdrawal, WithdrawalRequest
from commissions.services.withdrawals import Quote
from distro.wechat.config import config

if TYPE_CHECKING:
    Plain = serializers.Serializer[object]
    OfWithdrawal = serializers.ModelSerializer[Withdrawal]
    OfRequest = serializers.ModelSerializer[WithdrawalRequest]
else:
    Plain, OfWithdrawal = serializers.Serializer, serializers.ModelSerializer
    OfRequest = serializers.ModelSerializer


class AmountSerializer(Plain):
    """How much is asked for; the service says what is too little or too much."""

    amount_fen = serializers.IntegerField(help_text="Whole fen, before tax.")
    account = serializers.CharField(
        max_length=32,
        required=False,
        default="",
        allow_blank=True,
        help_text="Promoter no. of a former account; one's own when left out.",
    )


class ReasonSerializer(Plain):
    """Why people look at a request."""

    code = serializers.CharField()
    text = serializers.CharField()


class PieceSerializer(Plain):
    """One transfer to be."""

    amount_fen = serializers.IntegerField()
    tax_fen = serializers.IntegerField(help_text="Expected; fixed when it is sent.")
    net_fen = serializers.IntegerField()
    day = serializers.DateField(help_text="The first Beijing day it can go out.")


class QuoteSerializer(Plain):
    """What a withdrawal would be."""

    amount_fen = serializers.IntegerField()
    tax_fen = serializers.IntegerField()
    net_fen = serializers.IntegerField()
    pieces = serializers.SerializerMethodField()
    arrives_on = serializers.SerializerMethodField(
        help_text="The day of the last piece; later where people have to look."
    )
    needs_review = serializers.SerializerMethodField()
    review_reasons = serializers.SerializerMethodField()

    @extend_schema_field(PieceSerializer(many=True))
    def get_pieces(self, quote: Quote) -> list[dict[str, object]]:
        """Return the transfers with their days."""
        return [
            {
                "amount_fen": piece.amount_fen,
                "tax_fen": piece.tax_fen,
                "net_fen": piece.net_fen,
                "day": day.isoformat(),
            }
            for piece, day in zip(quote.pieces, quote.days, strict=True)
        ]

    def get_arrives_on(self, quote: Quote) -> str:
        """Return the day of the last transfer."""
        return quote.days[-1].isoformat()

    def get_needs_review(self, quote: Quote) -> bool:
        """Tell whether people look first."""
        return quote.approvals_needed > 0

    def get_review_reasons(self, quote: Quote) -> list[dict[str, str]]:
        """Return why."""
        return reasons_of(quote.reasons)


class WithdrawalSerializer(OfWithdrawal):
    """One transfer in a list; how to confirm it is only in its own answer."""

    request_number = serializers.CharField(source="request.number")
    status_text = serializers.CharField(source="get_status_display")
    reason = serializers.SerializerMethodField(help_text="Why it was not paid.")

    class Meta:
        model = Withdrawal
        fields: tuple[str, ...] = (
            "number", "request_number", "status", "status_text", "amount_fen", "tax_fen",
            "net_fen", "not_before", "requested_at", "approved_at", "sent_at", "confirm_before",
            "finished_at", "reason",
        )  # fmt: skip
        read_only_fields = fields

    def get_reason(self, row: Withdrawal) -> str:
        """Return the reason in the reader's words."""
        return text_of(row.fail_reason) if row.fail_reason else ""


class OwnWithdrawalSerializer(WithdrawalSerializer):
    """One transfer for its owner, with what wx.requestMerchantTransfer wants."""

    package_info = serializers.SerializerMethodField(
        help_text="Empty unless the transfer waits for the promoter."
    )
    mch_id = serializers.SerializerMethodField()
    app_id = serializers.SerializerMethodField()

    class Meta(WithdrawalSerializer.Meta):
        fields = (*WithdrawalSerializer.Meta.fields, "package_info", "mch_id", "app_id")
        read_only_fields = fields

    def get_package_info(self, row: Withdrawal) -> str:
        """Return what the mini-program hands to WeChat."""
        waits = row.status == Withdrawal.Status.AWAITING_CONFIRM
        return row.package_info if waits else ""

    def get_mch_id(self, row: Withdrawal) -> str:
        """Return the merchant's number."""
        return config().mchid

    def get_app_id(self, row: Withdrawal) -> str:
        """Return the mini-program's appid."""
        return config().appid


class RequestSerializer(OfRequest):
    """A request with its transfers."""

    estimated_net_fen = serializers.SerializerMethodField()
    review_reasons = serializers.SerializerMethodField()
    needs_review = serializers.SerializerMethodField()
    withdrawals = WithdrawalSerializer(many=True)

    class Meta:
        model = WithdrawalRequest
        fields = (
            "number", "amount_fen", "estimated_tax_fen", "estimated_net_fen", "needs_review",
            "review_reasons", "requested_at", "withdrawals",
        )  # fmt: skip
        read_only_fields = fields

    def get_estimated_net_fen(self, row: WithdrawalRequest) -> int:
        """Return what is expected to arrive."""
        return row.amount_fen - row.estimated_tax_fen

    def get_needs_review(self, row: WithdrawalRequest) -> bool:
        """Tell whether people look first."""
        return row.approvals_needed > 0

    def get_review_reasons(self, row: WithdrawalRequest) -> list[dict[str, str]]:
        """Return why."""
        return reasons_of(row.review_reasons)


def reasons_of(codes: list[str]) -> list[dict[str, str]]:
    """Return review reasons with their texts."""
    return [{"code": code, "text": str(WithdrawalRequest.Reason(code).label)} for code in codes]
