"""Which products a share link cannot open."""

from __future__ import annotations

from datetime import datetime

import pytest

from orders.selectors_links import product_faults
from tests.factories import make_sku

pytestmark = pytest.mark.django_db


def test_a_product_opens_while_something_of_it_is_on_sale(at: datetime) -> None:
    sold, hidden, without = make_sku(), make_sku(), make_sku(on_sale=False)
    hidden.product.on_sale = False
    hidden.product.save()
    codes = [sku.product.code for sku in (sold, hidden, without)]
    assert product_faults([*codes, "P-404"], at) == {
        codes[1]: "ended", codes[2]: "ended", "P-404": "gone",
    }  # fmt: skip
