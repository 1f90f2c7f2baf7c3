"""What was sold: catalogue, orders with their attribution, payments, refunds and shipments."""

from orders.models.catalogue import Category, Product, Sku
from orders.models.orders import Order, OrderLine, Shipment
from orders.models.payments import Payment, Refund, RefundLine
from orders.models.policies import ShopPolicy

__all__ = [
    "Category",
    "Order",
    "OrderLine",
    "Payment",
    "Product",
    "Refund",
    "RefundLine",
    "Shipment",
    "ShopPolicy",
    "Sku",
]
