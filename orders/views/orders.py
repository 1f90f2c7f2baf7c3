"""A member's orders: quoted, placed, paid, cancelled, received."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distro import clock
from distro.api.idempotency import idempotent
from distro.api.pagination import KeysetPagination, page_of
from orders import selectors
from orders.serializers import (
    OrderDetailSerializer,
    OrderFilterSerializer,
    OrderQuoteSerializer,
    OrderSerializer,
    PayParamsSerializer,
    PlaceRequestSerializer,
    QuoteRequestSerializer,
)
from orders.services.paying import open_payment, prepay, sync_order
from orders.services.placing import Address, cancel_order, place_order
from orders.services.pricing import quote
from orders.services.shipping import complete_order
from orders.views import examples
from orders.views.examples import answered, asked
from referrals.auth import member_of

DETAIL = [answered("Order", examples.ORDER_DETAIL)]


def show(member_id: int, number: str, *, status: int = 200) -> Response:
    """Answer an order as it is now."""
    order = selectors.order_of(member_id, number)
    return Response(OrderDetailSerializer(order).data, status=status)


class QuoteView(APIView):
    """What an order would cost."""

    @extend_schema(
        operation_id="orders_quote",
        request=QuoteRequestSerializer,
        responses=OrderQuoteSerializer,
        examples=[asked("Cart", examples.QUOTE_REQUEST), answered("Quote", examples.QUOTE)],
    )
    def post(self, request: Request) -> Response:
        """Price a cart without placing it."""
        cart = QuoteRequestSerializer(data=request.data)
        cart.is_valid(raise_exception=True)
        found = quote(
            member_id=member_of(request).pk,
            items=selectors.items_of(cart.wanted()),
            coupon=cart.validated_data["coupon"],
            at=clock.now(),
        )
        return Response(OrderQuoteSerializer(found).data)


class OrdersView(APIView):
    """My orders."""

    pagination_class = KeysetPagination

    @extend_schema(
        operation_id="orders",
        parameters=[OrderFilterSerializer],
        responses=OrderSerializer(many=True),
        examples=[answered("Order", examples.ORDER)],
    )
    def get(self, request: Request) -> Response:
        """List my orders, newest first."""
        wanted = OrderFilterSerializer(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        rows = selectors.orders_of(member_of(request).pk).filter(**wanted.validated_data)
        return page_of(request, rows, OrderSerializer, column="id")

    @extend_schema(
        operation_id="orders_place",
        request=PlaceRequestSerializer,
        responses={201: OrderDetailSerializer},
        examples=[
            asked("Cart", examples.PLACE_REQUEST),
            answered("Order", examples.ORDER_DETAIL, "201"),
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Place an order at the shop's prices of this moment."""
        cart = PlaceRequestSerializer(data=request.data)
        cart.is_valid(raise_exception=True)
        member = member_of(request)
        order = place_order(
            member_id=member.pk,
            items=selectors.items_of(cart.wanted()),
            coupon=cart.validated_data["coupon"],
            address=Address(**cart.validated_data["address"]),
            at=clock.now(),
        )
        return show(member.pk, order.number, status=201)


class OrderView(APIView):
    """One of my orders."""

    @extend_schema(operation_id="order", responses=OrderDetailSerializer, examples=DETAIL)
    def get(self, request: Request, number: str) -> Response:
        """Show one order with its lines, shipment and refunds."""
        return show(member_of(request).pk, number)


class PayView(APIView):
    """Pay."""

    throttle_scope = "money"

    @extend_schema(
        operation_id="orders_pay",
        request=None,
        responses=PayParamsSerializer,
        examples=[answered("Parameters", examples.PAY_PARAMS)],
    )
    @idempotent(outside=True)
    def post(self, request: Request, number: str) -> Response:
        """Begin to pay; hand the answer to wx.requestPayment unchanged."""
        at, member = clock.now(), member_of(request)
        order = selectors.order_of(member.pk, number)
        payment = open_payment(order_id=order.pk, openid=member.openid, at=at)
        return Response(prepay(payment_id=payment.pk, at=at))


class SyncView(APIView):
    """Look whether the payment arrived."""

    throttle_scope = "money"

    @extend_schema(
        operation_id="orders_sync",
        request=None,
        responses=OrderDetailSerializer,
        examples=DETAIL,
    )
    def post(self, request: Request, number: str) -> Response:
        """Ask WeChat whether the order is paid; call it after wx.requestPayment."""
        member = member_of(request)
        order = selectors.order_of(member.pk, number)
        sync_order(order_id=order.pk, at=clock.now())
        return show(member.pk, number)


class CancelView(APIView):
    """Cancel."""

    throttle_scope = "money"

    @extend_schema(
        operation_id="orders_cancel",
        request=None,
        responses=OrderDetailSerializer,
        examples=DETAIL,
    )
    @idempotent(outside=True)
    def post(self, request: Request, number: str) -> Response:
        """Cancel an order that is not paid."""
        member = member_of(request)
        order = selectors.order_of(member.pk, number)
        cancel_order(order_id=order.pk, by=member.actor, why="", at=clock.now())
        return show(member.pk, number)


class ReceiveView(APIView):
    """Receive."""

    @extend_schema(
        operation_id="orders_receive",
        request=None,
        responses=OrderDetailSerializer,
        examples=DETAIL,
    )
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        """Confirm that the goods have arrived."""
        member = member_of(request)
        order = selectors.order_of(member.pk, number)
        complete_order(order_id=order.pk, by=member.actor, at=clock.now())
        return show(member.pk, number)
