"""Shapes of the API: what comes in and what goes out; money is whole fen."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from orders.models import Category, Order, OrderLine, Product, Refund, RefundLine, Shipment, Sku
from orders.services.placing import Address

ID_MAX = 2**63 - 1  # more has no place in a column
PHONE = r"^\+?[0-9][0-9 -]{4,18}[0-9]$"

# --- Catalogue ------------------------------------------------------------------------------


class CategorySerializer(serializers.ModelSerializer[Category]):
    """A shelf of the shop."""

    class Meta:
        model = Category
        fields = ["id", "name"]


class SkuSerializer(serializers.ModelSerializer[Sku]):
    """One variant to buy."""

    class Meta:
        model = Sku
        fields = ["code", "name", "price_fen", "stock"]


class ProductSerializer(serializers.ModelSerializer[Product]):
    """A product in a list."""

    category = CategorySerializer()
    from_fen = serializers.IntegerField(help_text="Lowest price of its variants.")

    class Meta:
        model = Product
        fields = ["code", "title", "category", "image_url", "from_fen"]


class ProductDetailSerializer(ProductSerializer):
    """A product with its variants."""

    skus = SkuSerializer(many=True)

    class Meta(ProductSerializer.Meta):
        fields = [*ProductSerializer.Meta.fields, "description", "returnable", "skus"]


class ProductFilterSerializer(serializers.Serializer[Any]):
    """Which products."""

    category = serializers.IntegerField(required=False, min_value=1, max_value=ID_MAX)


# --- Quote, place ---------------------------------------------------------------------------


class ItemSerializer(serializers.Serializer[Any]):
    """So many pieces of one variant."""

    sku = serializers.CharField(max_length=64, help_text="SKU code.")
    quantity = serializers.IntegerField()


class QuoteRequestSerializer(serializers.Serializer[Any]):
    """What shall be priced."""

    items = ItemSerializer(many=True)
    coupon = serializers.CharField(max_length=64, required=False, allow_blank=True, default="")

    def wanted(self) -> list[tuple[str, int]]:
        """Return (SKU code, quantity) in the order given."""
        return [(row["sku"], row["quantity"]) for row in self.validated_data["items"]]


class AddressSerializer(serializers.Serializer[Address]):
    """Where the goods go."""

    receiver = serializers.CharField(max_length=64)
    phone = serializers.RegexField(PHONE)
    address = serializers.CharField(max_length=200)


class PlaceRequestSerializer(QuoteRequestSerializer):
    """What is ordered, and where it goes."""

    address = AddressSerializer()


class OrderQuoteLineSerializer(serializers.Serializer[Any]):
    """One line with its price now."""

    sku = serializers.CharField(source="sku.code")
    title = serializers.CharField(source="sku")
    quantity = serializers.IntegerField()
    price_fen = serializers.IntegerField(source="sku.price_fen")
    goods_fen = serializers.IntegerField()
    discount_fen = serializers.IntegerField()
    paid_fen = serializers.IntegerField()


class OrderQuoteSerializer(serializers.Serializer[Any]):
    """What an order would cost now."""

    lines = OrderQuoteLineSerializer(many=True)
    goods_fen = serializers.IntegerField()
    discount_fen = serializers.IntegerField()
    freight_fen = serializers.IntegerField()
    paid_fen = serializers.IntegerField(help_text="What the buyer pays.")


# --- Orders ---------------------------------------------------------------------------------


class OrderLineSerializer(serializers.ModelSerializer[OrderLine]):
    """One line as it was when it was placed."""

    sku = serializers.CharField(source="sku_code")

    class Meta:
        model = OrderLine
        fields = [
            "line_no",
            "sku",
            "title",
            "quantity",
            "price_fen",
            "goods_fen",
            "discount_fen",
            "paid_fen",
            "refunded_fen",
        ]


class OrderSerializer(serializers.ModelSerializer[Order]):
    """An order in a list."""

    status_display = serializers.CharField(source="get_status_display")
    lines = OrderLineSerializer(many=True)

    class Meta:
        model = Order
        fields = [
            "number",
            "status",
            "status_display",
            "goods_fen",
            "discount_fen",
            "freight_fen",
            "paid_fen",
            "refunded_fen",
            "placed_at",
            "pay_before",
            "paid_at",
            "shipped_at",
            "completed_at",
            "cancelled_at",
            "lines",
        ]


class ShipmentSerializer(serializers.ModelSerializer[Shipment]):
    """What left the house."""

    class Meta:
        model = Shipment
        fields = ["company", "tracking_no", "shipped_at"]


class RefundLineSerializer(serializers.ModelSerializer[RefundLine]):
    """How much goes back for one line."""

    line_no = serializers.IntegerField(source="line.line_no")
    title = serializers.CharField(source="line.title")

    class Meta:
        model = RefundLine
        fields = ["line_no", "title", "quantity", "amount_fen"]


class RefundSerializer(serializers.ModelSerializer[Refund]):
    """Money back to the buyer."""

    number = serializers.CharField(source="out_refund_no")
    status_display = serializers.CharField(source="get_status_display")
    amount_fen = serializers.IntegerField()
    lines = RefundLineSerializer(many=True)

    class Meta:
        model = Refund
        fields = [
            "number",
            "status",
            "status_display",
            "amount_fen",
            "goods_fen",
            "freight_fen",
            "reason",
            "decision",
            "requested_at",
            "approved_at",
            "succeeded_at",
            "lines",
        ]


class OrderDetailSerializer(OrderSerializer):
    """An order with all that belongs to it."""

    shipment = serializers.SerializerMethodField()
    refunds = RefundSerializer(many=True)

    class Meta(OrderSerializer.Meta):
        extra = ["freight_refunded_fen", "receiver", "phone", "address", "shipment", "refunds"]
        fields = [*OrderSerializer.Meta.fields, *extra]

    @extend_schema_field(ShipmentSerializer(allow_null=True))
    def get_shipment(self, order: Order) -> dict[str, Any] | None:
        """Return the shipment, None while nothing has left."""
        shipment = getattr(order, "shipment", None)
        return ShipmentSerializer(shipment).data if shipment else None


class OrderFilterSerializer(serializers.Serializer[Any]):
    """Which orders."""

    status = serializers.ChoiceField(choices=Order.Status.choices, required=False)


# --- Pay, refund ----------------------------------------------------------------------------


class PayParamsSerializer(serializers.Serializer[Any]):
    """What goes to wx.requestPayment unchanged."""

    timeStamp = serializers.CharField()  # noqa: N815 - WeChat's own names
    nonceStr = serializers.CharField()  # noqa: N815
    package = serializers.CharField()
    signType = serializers.CharField()  # noqa: N815
    paySign = serializers.CharField()  # noqa: N815


class RefundItemSerializer(serializers.Serializer[Any]):
    """What shall go back for one line."""

    line_no = serializers.IntegerField()
    quantity = serializers.IntegerField(default=0, help_text="Pieces that come back.")
    amount_fen = serializers.IntegerField()


class RefundRequestSerializer(serializers.Serializer[Any]):
    """What shall go back of an order."""

    lines = RefundItemSerializer(many=True, required=False, default=list)
    freight_fen = serializers.IntegerField(default=0)
    reason = serializers.CharField(max_length=80)

    def wanted(self) -> list[tuple[int, int, int]]:
        """Return (line no., quantity, fen) in the order given."""
        rows = self.validated_data["lines"]
        return [(row["line_no"], row["quantity"], row["amount_fen"]) for row in rows]
