"""The tree in the admin: a level a page, searched by name, moved by two persons."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import NoReverseMatch, reverse
from mptt.admin import MPTTModelAdmin

from distro.crypto import blind_index
from referrals import selectors_tree
from referrals.models import Promoter, PromoterMove
from tests.analytics.admin_world import make_staff
from tests.factories import make_member, make_promoter

pytestmark = pytest.mark.django_db

PHONE = "13812345678"


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(make_staff(role))
    return client


@pytest.fixture
def owner() -> Client:
    return client_of("owner")


def tree(client: Client, node: Promoter | None = None, **query: Any) -> Any:
    name = "admin:referrals_promoter_tree" + ("_node" if node else "")
    return client.get(reverse(name, args=[node.pk] if node else []), query)


def shown(level: Any) -> list[Promoter]:
    return [row.promoter for row in level.nodes]


# --- Browsing -------------------------------------------------------------------------------


def test_a_level_is_read_page_by_page(owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors_tree, "NODES_A_PAGE", 2)
    root = make_promoter()
    children = [make_promoter(root) for _ in range(5)]
    seen, after = [], 0
    while after is not None:
        level = tree(owner, root, after=after).context["level"]
        seen += shown(level)
        after = level.after
    assert seen == children
    more = owner.get(reverse("admin:referrals_promoter_tree_rows", args=[root.pk]), {"after": 1})
    assert "after=" in more.content.decode()


@pytest.mark.parametrize("after", ["", "-1", "x", "9" * 30, "²"])
def test_what_is_no_mark_begins_at_the_beginning(owner: Client, after: str) -> None:
    root = make_promoter()
    assert shown(tree(owner, after=after).context["level"]) == [root]


def test_an_empty_tree_is_a_page(owner: Client) -> None:
    assert tree(owner).status_code == 200


# --- Searching ------------------------------------------------------------------------------


@pytest.fixture
def found_by() -> Promoter:
    member = make_member(
        nickname="海棠花", phone=PHONE, phone_index=blind_index("phone", "+86" + PHONE)
    )
    return make_promoter(make_promoter(), member=member)


def found(client: Client, term: str) -> list[Promoter]:
    return [row.promoter for row in tree(client, q=term).context["found"]]


def test_a_promoter_is_found_by_number_name_and_phone(owner: Client, found_by: Promoter) -> None:
    for term in (found_by.code.lower(), found_by.member.no, "海棠", PHONE, f"+86 {PHONE}"):
        assert found(owner, term) == [found_by], term
    assert found(owner, "nobody") == []


def test_without_the_right_nobody_is_found_by_name_or_phone(found_by: Promoter) -> None:
    client = client_of("support")
    assert found(client, found_by.code) == [found_by]
    for term in ("海棠", PHONE):
        assert found(client, term) == []
    assert "海棠花" not in tree(client, q=found_by.code).content.decode()


# --- Moving ---------------------------------------------------------------------------------


def dialog(client: Client, promoter: Promoter, **answers: Any) -> Any:
    return client.post(reverse("admin:referrals_promotermove_new", args=[promoter.pk]), answers)


def test_the_dialog_shows_what_a_move_touches_and_writes_nothing(owner: Client) -> None:
    a, b = make_promoter(), make_promoter()
    make_promoter(a)
    answer = dialog(owner, a, upline=b.code, look="")
    assert answer.context["preview"].people == 2
    assert answer.context["preview"].line_after == [b]
    assert not PromoterMove.objects.exists()


def test_a_move_is_asked_for_by_one_and_approved_by_another(owner: Client) -> None:
    a, b = make_promoter(), make_promoter()
    answer = dialog(owner, a, upline=b.code.lower(), reason="他介绍的", ask="")
    move = PromoterMove.objects.get()
    page = reverse("admin:referrals_promotermove_change", args=[move.pk])
    assert answer.headers["Location"] == page
    assert owner.get(page).status_code == 200
    step = reverse("admin:referrals_promotermove_approve", args=[move.pk])
    owner.post(step, {"_form_submitted": "1"})
    assert Promoter.objects.get(pk=a.pk).parent_id is None  # his own request
    second = client_of("operator")
    second.post(step, {"_form_submitted": "1"})
    assert Promoter.objects.get(pk=a.pk).parent_id == b.pk
    panel = owner.get(reverse("admin:referrals_promoter_change", args=[a.pk])).content.decode()
    assert page in panel
    assert reverse("admin:referrals_promotermove_new", args=[a.pk]) in panel


def test_a_promoter_can_be_asked_to_the_top(owner: Client) -> None:
    root = make_promoter()
    child = make_promoter(root)
    dialog(owner, child, top="on", reason="own tree", ask="")
    assert PromoterMove.objects.get().to_parent_id is None


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"upline": "NOBODY"},
        {"upline": "{own}"},
        {"upline": "{below}"},
        {"upline": "{other}", "top": "on"},
        {"upline": "{other}", "reason": " "},
        {"top": "on"},
    ],
    ids=str,
)
def test_a_wrong_answer_is_told_and_nothing_is_asked_for(
    owner: Client, answers: dict[str, str]
) -> None:
    own, other = make_promoter(), make_promoter()
    below = make_promoter(own)
    names = {"own": own.code, "below": below.code, "other": other.code}
    asked = {"reason": "why", "ask": ""} | {k: v.format(**names) for k, v in answers.items()}
    answer = dialog(owner, own, **asked)
    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert not PromoterMove.objects.exists()


@pytest.mark.parametrize("role", ["finance", "support"])
def test_who_may_not_ask_sees_no_dialog(role: str) -> None:
    a, b = make_promoter(), make_promoter()
    assert dialog(client_of(role), a, upline=b.code, reason="why", ask="").status_code == 403
    assert not PromoterMove.objects.exists()


# --- Doors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["add", "delete"])
def test_the_admin_neither_adds_nor_deletes_promoters(owner: Client, door: str) -> None:
    root = make_promoter()
    args = [root.pk] if door == "delete" else []
    page = reverse(f"admin:referrals_promoter_{door}", args=args)
    assert owner.post(page, {"post": "yes"}).status_code == 403
    owner.post(
        reverse("admin:referrals_promoter_changelist"),
        {"action": "delete_selected", "_selected_action": [root.pk], "post": "yes"},
    )
    assert Promoter.objects.count() == 1


def test_there_is_nothing_to_drag() -> None:
    assert not isinstance(admin.site._registry[Promoter], MPTTModelAdmin)
    with pytest.raises(NoReverseMatch):
        reverse("admin:referrals_promoter_move_node")


def test_no_list_or_form_offers_all_promoters_at_once(owner: Client) -> None:
    """A select of a million options is a page that loads the tree whole."""
    for model, page in admin.site._registry.items():
        for field in [f for f in model._meta.fields if f.related_model is Promoter]:
            chosen = {*page.autocomplete_fields, *page.raw_id_fields, *page.readonly_fields}
            writes = page.has_add_permission.__qualname__ != "ReadOnlyAdminMixin.has_add_permission"
            assert not writes or field.name in chosen, (model, field.name)
