"""Staff write grade rules, see what they would change, and set a grade by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from commissions.models import GradeCondition, GradeReview, GradeRule
from commissions.rules_grades import COUNTS_HEADS, ORDERS, REFUNDS, SALES, WITHOUT_DATA
from commissions.services.grading import raise_grades
from distro import clock
from referrals.models import Grade, GradeChange, Promoter
from tests.analytics.admin_world import make_staff
from tests.commissions.builders import make_chain, make_plan
from tests.commissions.grade_world import LONG_AGO, at_least, grade_of, make_grade, make_rule, sell
from tests.factories import make_member, make_promoter

pytestmark = pytest.mark.django_db
ADD = "admin:commissions_graderule_add"
SUBMITTED = {"_form_submitted": "on"}


def client_of(role: str) -> Client:
    client = Client()
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    client.force_login(make_staff(role))
    return client


def form(grade: Grade, **changes: str) -> dict[str, str]:
    start = clock.now() + timedelta(days=30)
    return {
        "name": "Autumn", "effective_from_0": f"{start:%Y-%m-%d}", "effective_from_1": "00:00:00",
        "conditions-TOTAL_FORMS": "1", "conditions-INITIAL_FORMS": "0",
        "conditions-0-grade": str(grade.pk), "conditions-0-group": "1",
        "conditions-0-input": SALES, "conditions-0-months": "1",
        "conditions-0-bar": "10000.50",
    } | {f"conditions-0-{name}": value for name, value in changes.items()}  # fmt: skip


# --- Rules ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "bar", "kept"),
    [(SALES, "10000.50", 1_000_050), (REFUNDS, "5 %", 500), (ORDERS, "3", 3)],
)
def test_a_draft_is_written_in_the_unit_of_what_counts_and_published_by_a_step(
    name: str, bar: str, kept: int
) -> None:
    owner, grade = client_of("owner"), make_grade("Gold", 2)
    answer = owner.post(reverse(ADD), form(grade, input=name, bar=bar))
    assert answer.status_code == 302, answer.context["errors"]
    rule = GradeRule.objects.get()
    assert (rule.version, rule.status, rule.created_by[:6]) == (1, "draft", "staff:")
    condition = rule.conditions.get()
    assert (condition.input, condition.bar, condition.published) == (name, kept, False)
    change = reverse("admin:commissions_graderule_change", args=[rule.pk])
    shown = owner.get(change).content.decode()
    assert f'value="{bar.removesuffix(" %")}' in shown
    owner.post(reverse("admin:commissions_graderule_publish", args=[rule.pk]), SUBMITTED)
    rule.refresh_from_db()
    if name == REFUNDS:  # nothing but an upper limit
        assert rule.status == "draft"
        return
    assert rule.status == "published"
    page = owner.get(change)
    assert 'name="conditions-0-bar"' not in page.content.decode()
    assert owner.post(change, form(grade)).status_code == 403


@pytest.mark.parametrize("name", [*sorted(COUNTS_HEADS), *sorted(WITHOUT_DATA)])
def test_a_forbidden_input_is_refused_on_saving_with_its_reason(name: str) -> None:
    owner, grade = client_of("owner"), make_grade("Gold", 2)
    answer = owner.post(reverse(ADD), form(grade, input=name))
    assert answer.status_code == 200
    words = "pyramid selling" if name in COUNTS_HEADS else "records nothing"
    assert words in answer.content.decode()
    del owner.cookies[settings.LANGUAGE_COOKIE_NAME]
    answer = owner.post(reverse(ADD), form(grade, input=name))
    assert ("传销" if name in COUNTS_HEADS else "没有可用来计算") in answer.content.decode()
    assert not GradeRule.objects.exists()
    assert not GradeCondition.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"input": "team_gmv"},
        {"bar": "0"},
        {"bar": "-5"},
        {"bar": "many"},
        {"bar": ""},
        {"input": ORDERS, "bar": "1.5"},
        {"input": REFUNDS, "bar": "100.01"},
        {"months": "0"},
        {"months": "25"},
        {"group": "-1"},
    ],
)
def test_a_condition_that_makes_no_sense_is_not_saved(changes: dict[str, str]) -> None:
    grade = make_grade("Gold", 2)
    answer = client_of("owner").post(reverse(ADD), form(grade, **changes))
    assert answer.status_code == 200
    assert not GradeRule.objects.exists()


def test_the_operator_writes_rules_and_does_not_publish_them() -> None:
    operator, grade = client_of("operator"), make_grade("Gold", 2)
    assert operator.post(reverse(ADD), form(grade)).status_code == 302
    rule = GradeRule.objects.get()
    url = reverse("admin:commissions_graderule_publish", args=[rule.pk])
    assert operator.post(url, SUBMITTED).status_code == 403
    assert client_of("support").get(reverse(ADD)).status_code == 403
    rule.refresh_from_db()
    assert rule.status == "draft"


def test_a_preview_shows_who_would_change_masked_and_writes_nothing() -> None:
    now = clock.now()
    make_plan(1000, effective_from=LONG_AGO)
    gold = make_grade("Gold", 2)
    promoter = make_chain(1)[0]
    Promoter.objects.get(pk=promoter.pk).member.__class__.objects.filter(
        pk=promoter.member_id
    ).update(nickname="欧阳明日")
    sell([promoter], 1_000, now)
    rule = make_rule(at_least(gold, 1_000), effective_from=now - timedelta(days=1))
    url = reverse("admin:commissions_graderule_preview", args=[rule.pk])
    owner, operator = client_of("owner"), client_of("operator")
    with translation.override("en"):
        page = owner.get(url).content.decode()
    assert "欧阳明日" in page
    assert "≥ ¥10.00" in page
    assert "欧阳明日" not in operator.get(url).content.decode()
    assert client_of("support").get(url).status_code == 403
    assert grade_of(promoter) is None
    assert not GradeChange.objects.exists()
    assert not GradeReview.objects.exists()


# --- A promoter -----------------------------------------------------------------------------


def set_grade(client: Client, promoter: Promoter, **answers: Any) -> Any:
    url = reverse("admin:referrals_promoter_set_grade", args=[promoter.pk])
    until = f"{clock.now() + timedelta(days=30):%Y-%m-%d}"
    given = {"grade_id": "", "reason": "won the contest", "protected_until": until}
    return client.post(url, {**SUBMITTED, **given, **answers}, follow=True)


def test_staff_set_a_grade_on_the_promoters_page() -> None:
    operator, promoter, gold = client_of("operator"), make_promoter(), make_grade("Gold", 2)
    set_grade(operator, promoter, grade_id=str(gold.pk))
    assert grade_of(promoter) == "Gold"
    page = operator.get(reverse("admin:referrals_promoter_change", args=[promoter.pk]))
    assert "won the contest" in page.content.decode()
    set_grade(operator, promoter)
    assert grade_of(promoter) is None


@pytest.mark.parametrize(
    "answers", [{"reason": ""}, {"protected_until": "2020-01-01"}, {"grade_id": "999999"}]
)
def test_an_incomplete_decision_changes_nothing(answers: dict[str, str]) -> None:
    promoter = make_promoter()
    gold = {"grade_id": str(make_grade("Gold", 2).pk)}
    set_grade(client_of("operator"), promoter, **gold | answers)
    assert grade_of(promoter) is None
    assert not GradeChange.objects.exists()


@pytest.mark.parametrize("role", ["support", "finance"])
def test_only_who_has_the_right_sets_a_grade(role: str) -> None:
    promoter, gold = make_promoter(), make_grade("Gold", 2)
    assert set_grade(client_of(role), promoter, grade_id=str(gold.pk)).status_code == 403
    assert grade_of(promoter) is None


def test_the_history_explains_itself_in_the_readers_language() -> None:
    now = clock.now()
    make_plan(1000, effective_from=LONG_AGO)
    gold, promoter = make_grade("Gold", 2), make_chain(1)[0]
    make_rule(at_least(gold, 1_000))
    sell([promoter], 1_000, now)
    assert raise_grades(at=now) == 1
    address = reverse("admin:referrals_gradechange_changelist")
    client = client_of("owner")
    assert "Gold because own settled sales" in client.get(address).content.decode()
    del client.cookies[settings.LANGUAGE_COOKIE_NAME]
    assert "本人已结算销售额" in client.get(address).content.decode()


# --- A team ---------------------------------------------------------------------------------


def team_page(client: Client, promoter: Promoter, **params: Any) -> Any:
    return client.get(reverse("admin:referrals_promoter_team", args=[promoter.pk]), params)


def test_staff_see_any_team_by_their_right_to_names() -> None:
    head = make_promoter()
    below = make_promoter(head, member=make_member(nickname="欧阳明日"))
    assert "欧阳明日" in team_page(client_of("owner"), head).content.decode()
    masked = team_page(client_of("support"), head).content.decode()
    assert "欧阳明日" not in masked
    assert below.code in masked
    assert team_page(client_of(""), head).status_code == 403
    assert team_page(client_of("owner"), below).status_code == 200


@pytest.mark.parametrize(
    "params",
    [
        {"sort": "gmv", "level": "1", "joined": "1"},
        {"sort": "nonsense", "level": "x", "from": "2026-13-01", "cursor": "forged"},
        {"from": "2026-02-01", "to": "2026-01-01"},
        {"level": "99999999"},
    ],
)
def test_a_team_page_bears_whatever_the_address_says(params: dict[str, str]) -> None:
    head = make_promoter()
    make_promoter(head)
    assert team_page(client_of("owner"), head, **params).status_code == 200


def test_a_team_page_asks_as_often_for_a_large_team_as_for_a_small_one() -> None:
    owner, heads = client_of("owner"), [make_promoter(), make_promoter()]
    for head, size in zip(heads, (2, 60)):
        for _ in range(size):
            make_promoter(make_promoter(head))
    team_page(owner, heads[0])
    counts = []
    for head in heads:
        with CaptureQueriesContext(connection) as queries:
            page = team_page(owner, head)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    page = page.content.decode()
    assert "cursor=" in page
