"""Stock: moved by conditional updates in pk order, never below zero."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import F

from distro.locks import require_transaction
from orders.errors import OutOfStock
from orders.models import Sku


def take(quantities: Mapping[int, int]) -> None:
    """Take pieces per SKU id from stock; raise OutOfStock when one has too few.

    The fixed order keeps two buyers of the same SKUs from waiting for each other.
    """
    require_transaction("take()")
    for sku_id, quantity in sorted(quantities.items()):
        enough = Sku.objects.filter(pk=sku_id, stock__gte=quantity)
        if not enough.update(stock=F("stock") - quantity):
            sku = Sku.objects.select_related("product").get(pk=sku_id)
            place = list(quantities).index(sku_id)
            raise OutOfStock(field=f"items.{place}.quantity", left=sku.stock, title=str(sku))


def give_back(quantities: Mapping[int, int]) -> None:
    """Put pieces per SKU id back into stock."""
    require_transaction("give_back()")
    for sku_id, quantity in sorted(quantities.items()):
        if quantity:
            Sku.objects.filter(pk=sku_id).update(stock=F("stock") + quantity)
