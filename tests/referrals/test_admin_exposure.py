"""The pages of exposure and of the compliance monitor, as staff use them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polib
import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from distro.models import AuditEntry
from referrals.models import (
    ComplianceState,
    ExposureDecision,
    ExposureInvitation,
    ExposurePolicy,
)
from referrals.services.compliance import Rewards, check_trees, note_rewards
from referrals.services.exposure import decide_exposure
from tests.analytics.admin_world import make_staff
from tests.factories import make_member, make_promoter

pytestmark = pytest.mark.django_db

HX: dict[str, Any] = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def owner() -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(make_staff("owner"))
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    return client


def address(name: str, *args: Any) -> str:
    return reverse(f"admin:referrals_{name}", args=args)


def policy_form(at: datetime, **kw: Any) -> dict[str, Any]:
    local = at + timedelta(days=1)
    return {
        "effective_from_0": f"{local:%Y-%m-%d}", "effective_from_1": f"{local:%H:%M:%S}",
        "segment": "everyone", "tag": "", "holdout_bps": "10", "salt": "s", "why": "",
    } | kw  # fmt: skip


# --- Exposure -------------------------------------------------------------------------------


def test_a_new_policy_begins_with_the_draw_of_the_one_before(owner: Client, at: datetime) -> None:
    form = owner.get(address("exposurepolicy_add")).context["adminform"].form
    assert len(form.initial["salt"]) == 12
    ExposurePolicy.objects.create(
        effective_from=at, segment="received", holdout_bps=700, salt="kept"
    )
    form = owner.get(address("exposurepolicy_add")).context["adminform"].form
    assert {name: form.initial[name] for name in ("segment", "holdout_bps", "salt")} == {
        "segment": "received", "holdout_bps": 700, "salt": "kept"
    }  # fmt: skip


def test_a_policy_is_saved_by_the_service(owner: Client, at: datetime) -> None:
    answer = owner.post(address("exposurepolicy_add"), policy_form(at))
    assert answer.status_code == 302, answer.context["adminform"].errors
    row = ExposurePolicy.objects.get()
    assert (row.holdout_bps, row.effective_from) == (1_000, at + timedelta(days=1))
    assert row.made_by.startswith("staff:")
    assert AuditEntry.objects.get().action == "exposure.policy"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"segment": "tag"}, "tag"),
        ({"tag": "repeat_buyer"}, "tag"),
        ({"tag": "unheard_of"}, "tag"),
        ({"salt": ""}, "salt"),
        ({"holdout_bps": "101"}, "holdout_bps"),
        ({"salt": "another"}, "why"),
    ],
)
def test_a_wrong_policy_is_refused_beside_its_field(
    owner: Client, at: datetime, change: dict[str, str], field: str
) -> None:
    ExposurePolicy.objects.create(effective_from=at, holdout_bps=1_000, salt="s")
    answer = owner.post(address("exposurepolicy_add"), policy_form(at, **change))
    assert list(answer.context["adminform"].form.errors) == [field]
    assert ExposurePolicy.objects.count() == 1


def test_a_policy_that_applies_shows_its_counts_and_no_form(owner: Client, at: datetime) -> None:
    row = ExposurePolicy.objects.create(effective_from=at, holdout_bps=10_000, salt="s")
    decide_exposure(member=make_member(), at=at)
    page = owner.get(address("exposurepolicy_change", row.pk))
    assert "_save" not in page.content.decode()
    told = page.context["panels"][0]["told"]
    assert (told.members, told.hidden, told.holdout) == (1, 1, 1)


def test_the_members_page_says_why_he_does_not_see_the_entry(owner: Client, at: datetime) -> None:
    ExposurePolicy.objects.create(effective_from=at, segment="promoters", holdout_bps=0)
    member = make_member()
    page = owner.get(address("member_change", member.pk)).content.decode()
    assert "only promoters do." in page
    assert address("exposureinvitation_add") + f"?member={member.pk}" in page
    assert not ExposureDecision.objects.exists()  # staff who look are not told anything


def test_staff_invite_a_member_once(owner: Client, at: datetime) -> None:
    member, promoter = make_member(), make_promoter()
    add, given = address("exposureinvitation_add"), {"reason": "good seller"}
    answer = owner.post(add, {"member": promoter.member_id, **given})
    assert list(answer.context["adminform"].form.errors) == ["member"]
    assert owner.post(add, {"member": member.pk, **given}).status_code == 302
    answer = owner.post(add, {"member": member.pk, **given})
    assert list(answer.context["adminform"].form.errors) == ["member"]
    row = ExposureInvitation.objects.get()
    assert row.made_by.startswith("staff:")
    take_back = address("exposureinvitation_take_back", row.pk)
    owner.post(take_back, {"_form_submitted": "on", "reason": "moved away"}, **HX)
    row.refresh_from_db()
    assert row.end_reason == "moved away"
    assert AuditEntry.objects.count() == 2


def test_the_list_explains_every_decision(owner: Client, at: datetime) -> None:
    for _ in range(3):
        decide_exposure(member=make_member(), at=at)
    page = owner.get(address("exposuredecision_changelist")).content.decode()
    assert page.count("as everyone does") == 3


# --- The monitor ----------------------------------------------------------------------------


def chain(length: int, *, wide: int = 0) -> Any:
    root = parent = make_promoter()
    for _ in range(length - 1):
        parent = make_promoter(parent=parent)
    for _ in range(wide):
        make_promoter(parent=root)
    return root


def test_the_worst_tree_comes_first(owner: Client, at: datetime) -> None:
    roots = [chain(3), chain(3, wide=27), chain(3, wide=1)]
    check_trees(at=at)
    page = owner.get(address("compliancestate_changelist"))
    assert [row.root_id for row in page.context["cl"].result_list] == [
        roots[1].pk, roots[2].pk, roots[0].pk
    ]  # fmt: skip
    text = page.content.decode()
    assert reverse("admin:referrals_promoter_tree_node", args=[roots[1].pk]) in text
    assert "Not a crime is not the same as lawful." in text
    page = owner.get(address("compliancestate_changelist"), {"state": "red"})
    assert page.context["cl"].result_count == 1


def test_what_has_no_data_is_said(owner: Client, at: datetime) -> None:
    page = owner.get(address("compliancestate_changelist")).content.decode()
    assert "The trees have not been looked at yet" in page
    assert "Rewards have not been looked at yet" in page
    check_trees(at=at)
    note_rewards(rewards=Rewards(at, 0, 0, 0, None, None, None), at=at)
    page = owner.get(address("compliancestate_changelist")).content.decode()
    assert "No purchase is set that opens a reward" in page
    assert "Points are not paid by anything yet" in page


@pytest.mark.parametrize(
    ("found", "flags", "few"),
    [
        ((100_00, 0, 30_00, 1_000, 100, 50), ["good", "good", "good"], False),
        ((100_00, 0, 30_01, 1_000, 100, 51), ["good", "watch", "watch"], False),
        ((100_00, 1, 0, 1_000, 29, 29), ["risk", "good", "watch"], True),
    ],
)
def test_the_findings_carry_their_flags(
    owner: Client, at: datetime, found: tuple[int, ...], flags: list[str], few: bool
) -> None:
    note_rewards(rewards=Rewards(at, *found), at=at)
    rows = owner.get(address("compliancestate_changelist")).context["summary"]["rewards"]
    assert [row["flag"] for row in rows] == flags
    assert rows[2]["few"] is few


def test_a_flag_is_acknowledged_with_a_reason(owner: Client, at: datetime) -> None:
    root = chain(3)
    check_trees(at=at)
    state = ComplianceState.objects.get()
    step = address("compliancestate_acknowledge", state.pk)
    owner.post(step, {"_form_submitted": "on", "reason": ""}, **HX)
    state.refresh_from_db()
    assert state.acknowledged_at is None
    owner.post(step, {"_form_submitted": "on", "reason": "three friends"}, **HX)
    state.refresh_from_db()
    assert state.acknowledged_why == "three friends"
    page = owner.get(address("compliancestate_change", state.pk)).content.decode()
    assert "three friends" in page
    assert step not in page
    page = owner.get(address("promoter_change", root.pk)).content.decode()
    assert "3 people on 3 levels" in page


def test_the_dashboard_counts_the_trees_that_wait(owner: Client, at: datetime) -> None:
    chain(3)
    check_trees(at=at)
    queues = owner.get(reverse("admin:index")).context["queues"]
    link = address("compliancestate_changelist") + "?state=waiting"
    assert [queue["count"] for queue in queues if queue["link"] == link] == [1]


@pytest.mark.parametrize(
    "path", sorted((settings.BASE_DIR / "locale").rglob("*.po")), ids=lambda path: path.parts[-3]
)
def test_no_text_calls_a_reward_on_others_sales_lawful(path: Path) -> None:
    # 公通字〔2013〕37号 part 5 excludes the crime only; the one text with the word says so.
    texts = [entry.msgstr for entry in polib.pofile(str(path))]
    assert {text for text in texts if "合法" in text.replace("非犯罪 ≠ 合法", "")} == set()
