"""Which products share links cannot lead to."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from orders.models import Product
from orders.selectors import products_on_sale
from referrals.models import ShareLink


def product_faults(refs: Collection[str], at: datetime) -> dict[str, str]:
    """Return the product codes that nobody sells, and whether there is such a product at all."""
    sold = set(products_on_sale().filter(code__in=refs).values_list("code", flat=True))
    known = set(Product.objects.filter(code__in=refs).values_list("code", flat=True))
    return {
        ref: (ShareLink.Fault.ENDED if ref in known else ShareLink.Fault.GONE).value
        for ref in refs
        if ref not in sold
    }
