"""A member's refunds."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distro import clock
from distro.api.idempotency import idempotent
from orders import selectors
from orders.serializers import RefundRequestSerializer, RefundSerializer
from orders.services.refunds import request_refund, withdraw_refund
from orders.views import examples
from orders.views.examples import answered, asked
from referrals.auth import member_of


def show(member_id: int, number: str, *, status: int = 200) -> Response:
    """Answer a refund as it is now."""
    refund = selectors.refund_of(member_id, number)
    return Response(RefundSerializer(refund).data, status=status)


class RefundRequestView(APIView):
    """Ask for a refund."""

    throttle_scope = "money"

    @extend_schema(
        operation_id="orders_refund",
        request=RefundRequestSerializer,
        responses={201: RefundSerializer},
        examples=[
            asked("One piece", examples.REFUND_REQUEST),
            answered("Refund", examples.REFUND, "201"),
        ],
    )
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        """Ask for goods money back per line, and for freight; the shop decides."""
        form = RefundRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        member = member_of(request)
        order = selectors.order_of(member.pk, number)
        refund = request_refund(
            order_id=order.pk,
            lines=selectors.refund_items_of(order, form.wanted()),
            freight_fen=form.validated_data["freight_fen"],
            reason=form.validated_data["reason"],
            by=member.actor,
            at=clock.now(),
        )
        return show(member.pk, refund.out_refund_no, status=201)


class RefundView(APIView):
    """One of my refunds."""

    @extend_schema(
        operation_id="refund",
        responses=RefundSerializer,
        examples=[answered("Refund", examples.REFUND)],
    )
    def get(self, request: Request, number: str) -> Response:
        """Show how far a refund is."""
        return show(member_of(request).pk, number)


class RefundWithdrawView(APIView):
    """Withdraw a refund."""

    @extend_schema(
        operation_id="refund_withdraw",
        request=None,
        responses=RefundSerializer,
        examples=[answered("Refund", examples.REFUND | {"status": "withdrawn"})],
    )
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        """Take back a request that the shop has not decided."""
        member = member_of(request)
        refund = selectors.refund_of(member.pk, number)
        withdraw_refund(refund_id=refund.pk, by=member.actor, at=clock.now())
        return show(member.pk, number)
