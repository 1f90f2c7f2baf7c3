from __future__ import annotations

from typing import Any

import pytest

from orders.selectors_members import bought_fen
from tests.factories import make_member, make_order

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("order", "fen"),
    [
        ({}, 10_000),
        ({"freight_fen": 800}, 10_000),
        ({"refunded_fen": 4_000}, 6_000),
        ({"freight_fen": 800, "refunded_fen": 4_800, "freight_refunded_fen": 800}, 6_000),
        ({"status": "refunded", "refunded_fen": 10_000}, 0),
        ({"status": "placed", "paid_at": None}, 0),
        ({"status": "cancelled", "paid_at": None}, 0),
    ],
)
def test_goods_count_as_far_as_they_were_paid_and_kept(order: dict[str, Any], fen: int) -> None:
    member = make_member()
    make_order(member, **order)
    make_order(make_member(), 5_000)
    assert bought_fen(member.pk) == fen


def test_orders_add_up_and_nobody_has_bought_nothing() -> None:
    member = make_member()
    assert bought_fen(member.pk) == 0
    make_order(member, 1_000)
    make_order(member, 2_500)
    assert bought_fen(member.pk) == 3_500
