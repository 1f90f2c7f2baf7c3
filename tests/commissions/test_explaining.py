"""Why this amount: the paragraph in both languages."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.utils.translation import override

from commissions.explaining import explain
from commissions.models import Commission, Plan, PlanRate
from commissions.services.accruing import accrue, set_release
from commissions.services.reversing import reverse_for_refund
from commissions.services.settling import settle_due
from tests.commissions.builders import (
    make_attributed,
    make_chain,
    make_plan,
    publish,
    receive,
    refund_line,
)
from tests.factories import AT

pytestmark = pytest.mark.django_db


def the_row(level: int = 1) -> Commission:
    rows = Commission.objects.select_related("order", "line", "plan", "rate", "grade", "settlement")
    return rows.get(level=level)


def test_it_names_base_rate_amount_and_release(at: datetime) -> None:
    make_plan(1000, code="demo")
    order = make_attributed(make_chain(1), 19_999)
    accrue(order_id=order.pk, at=at)
    with override("en"):
        assert explain(the_row()) == (
            f"Order {order.number}, {order.lines.get().title}: the base is 199.99 yuan"
            " (Goods paid, after every discount, without freight)."
            " Plan demo v1 pays level 1 (Everything, every grade) 10.00 %,"
            " rounded down to the fen: 19.99 yuan. That makes 19.99 yuan."
            " It is frozen until 15 days after the goods were received."
        )


def test_it_says_what_the_cap_and_a_refund_took(at: datetime) -> None:
    plan = Plan.objects.create(
        code="fixed", name="fixed", effective_from=AT, cap_bps=1000, level_max=1
    )
    PlanRate.objects.create(plan=plan, level=1, fixed_fen=500)
    publish(plan)
    order = make_attributed(make_chain(1), 4_000)
    accrue(order_id=order.pk, at=at)
    reverse_for_refund(refund_id=refund_line(order.lines.get(), 1_000).pk, at=at)
    with override("en"):
        text = explain(the_row())
    assert "5.00 yuan a unit, 1 units: 5.00 yuan." in text
    assert "The plan's cap of 10.00 % of the order over all levels cut it." in text
    assert "That makes 4.00 yuan." in text
    assert "After refunds 1.00 yuan were taken back; 3.00 yuan remain." in text


def test_it_follows_the_row_to_its_end(at: datetime) -> None:
    make_plan(1000, 500)
    order = make_attributed(make_chain(2), 10_000)
    accrue(order_id=order.pk, at=at)
    due_at = receive(order)
    set_release(order_id=order.pk)
    with override("en"):
        assert explain(the_row()).endswith("It is frozen and will be released on 2026-11-17.")
        settle_due(at=due_at)
        assert explain(the_row()).endswith("It was settled on 2026-11-18.")
        reverse_for_refund(refund_id=refund_line(order.lines.get(), 10_000).pk, at=due_at)
        assert explain(the_row(2)).endswith("Nothing of it is left.")


def test_it_speaks_chinese_without_a_leftover_of_english(at: datetime) -> None:
    make_plan(1000, code="方案")
    order = make_attributed(make_chain(1), 19_999)
    accrue(order_id=order.pk, at=at)
    with override("zh-hans"):
        text = explain(the_row())
    words = text.replace(order.number, "").replace(order.lines.get().title, "")
    assert not any(word in words for word in ("Order", "base", "level", "yuan", "Plan"))
    assert "19.99" in text
