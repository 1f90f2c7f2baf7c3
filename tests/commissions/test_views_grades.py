"""What a promoter reads of his grade."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from commissions.rules_grades import ORDERS, REFUNDS, Condition
from commissions.services.grading import close_grades, raise_grades
from distro import clock
from referrals.auth import MemberActor
from referrals.models import Member, Promoter
from referrals.services.grades import set_grade_by_hand
from tests.commissions.builders import make_chain, make_plan
from tests.commissions.grade_world import LONG_AGO, STAFF, at_least, make_grade, make_rule, sell
from tests.commissions.test_services_grading import on
from tests.factories import make_member

pytestmark = pytest.mark.django_db


def grade_seen_by(member: Member) -> Any:
    client = APIClient(headers={"accept-language": "en"})
    client.force_authenticate(user=MemberActor(member))  # type: ignore[arg-type]
    return client.get("/api/v1/promoter/grade")


@pytest.fixture
def seller() -> Promoter:
    make_plan(1000, effective_from=LONG_AGO)
    silver, gold = make_grade("Silver", 1), make_grade("Gold", 2)
    make_rule(
        at_least(silver, 1_000),
        at_least(gold, 5_000, months=3),
        Condition(gold.pk, 1, REFUNDS, 3, 500),
        at_least(gold, 20, ORDERS, group=2),
    )
    return make_chain(1)[0]


def test_who_is_no_promoter_has_no_grade() -> None:
    answer = grade_seen_by(make_member())
    assert (answer.status_code, answer.json()["code"]) == (403, "not_promoter")
    assert APIClient().get("/api/v1/promoter/grade").status_code == 401


def test_everybody_reads_how_grades_are_earned(
    seller: Promoter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: on(10))
    data = grade_seen_by(seller.member).json()
    assert (data["grade"], data["since"], data["because"], data["warning"]) == (None, None, "", "")
    assert data["grades"] == [
        {
            "name": "Gold",
            "ways": [
                "Own settled sales ≥ ¥50.00 in 3 months and Share of own sales refunded ≤ 5.00 %"
                " in 3 months",
                "Own settled orders ≥ 20 in a month",
            ],
        },
        {"name": "Silver", "ways": ["Own settled sales ≥ ¥10.00 in a month"]},
    ]


def test_a_promoter_reads_why_he_has_his_grade_and_that_it_is_at_risk(
    seller: Promoter, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell([seller], 1_000, on(8))
    raise_grades(at=on(8, 16))
    monkeypatch.setattr(clock, "now", lambda: on(8, 20))
    data = grade_seen_by(seller.member).json()
    assert data["grade"] == "Silver"
    assert data["because"] == "Silver because own settled sales in 2026-08 were ¥10.00 ≥ ¥10.00."
    close_grades(at=on(9, 1))
    close_grades(at=on(10, 1))
    monkeypatch.setattr(clock, "now", lambda: on(10, 2))
    assert grade_seen_by(seller.member).json()["warning"] == (
        "Not enough for Silver: own settled sales in 2026-09 were ¥0.00 < ¥10.00. You keep it if"
        " you earn it again in 2026-10."
    )
    until = date(2026, 12, 31)
    set_grade_by_hand(
        promoter_id=seller.pk, grade_id=Promoter.objects.get(pk=seller.pk).grade_id,
        reason="Thank you", protected_until=until, by=STAFF, at=on(10, 2) + timedelta(hours=1),
    )  # fmt: skip
    data = grade_seen_by(seller.member).json()
    assert (data["warning"], data["because"]) == ("", "Thank you")
    assert data["protected_until"].startswith("2027-01-01")
