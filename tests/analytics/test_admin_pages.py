"""Every page of the admin answers, to every role, with a number of queries that does not grow."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from distro.admin_base import DayRangeFilter
from distro.roles import GRANTS
from referrals.models import Promoter, TreeGate
from tests.analytics.admin_world import fill, make_staff
from tests.factories import make_promoter

pytestmark = [pytest.mark.once, pytest.mark.django_db]

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def url(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def owner() -> Client:
    client = Client()
    client.force_login(make_staff("owner"))
    return client


def queries_of(client, address) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def test_every_model_of_the_product_has_a_page():
    ours = {
        model for app in settings.PROJECT_APPS for model in apps.get_app_config(app).get_models()
    }
    assert ours - set(MODELS) == {TreeGate}  # its one row lives inside a transaction only


def test_every_page_of_every_model_answers_to_every_role():
    fill()
    for role in [*GRANTS, ""]:
        client = Client()
        client.force_login(make_staff(role))
        for model in MODELS:
            row = model._base_manager.order_by("-pk").first()
            assert row is not None, model
            pages = [url(model, "changelist"), url(model, "add"), url(model, "change", row.pk)]
            answers = [client.get(page).status_code for page in pages]
            assert set(answers) <= {200, 403}, (role, model, answers)
            if role == "owner":
                assert answers[0] == answers[2] == 200, model
            if role == "":
                assert set(answers) == {403}, model


def test_a_list_asks_as_often_for_many_rows_as_for_few():
    client = owner()
    fill()
    fill()
    pages = [url(model, "changelist") for model in MODELS]
    for page in pages:
        client.get(page)  # content types, session
    few = {page: queries_of(client, page) for page in pages}
    for _ in range(4):
        fill()
    many = {page: queries_of(client, page) for page in pages}
    assert {page: (few[page], many[page]) for page in pages if many[page] > few[page]} == {}


def test_every_list_can_be_searched():
    client = owner()
    fill()
    for model in MODELS:
        answer = client.get(url(model, "changelist"), {"q": "x'; 13812345678"})
        assert answer.status_code == 200, model


def test_every_list_of_things_that_happen_takes_a_range_of_days():
    client = owner()
    fill()
    days = {"from": "1997-01-01", "to": "1997-12-31"}
    ranged = 0
    for model in MODELS:
        first = url(model, "changelist")
        for entry in admin.site._registry[model].list_filter:
            if isinstance(entry, tuple) and issubclass(entry[1], DayRangeFilter):
                ranged += 1
                query = {f"{entry[0]}_{end}": day for end, day in days.items()}
                answer = client.get(first, query)
                assert answer.status_code == 200, entry
                assert answer.context["cl"].result_count == 0, (model, entry)
                assert client.get(first, {f"{entry[0]}_from": "nonsense"}).status_code == 200
    assert ranged > 40


# Words that are the same in Chinese.
SAME = {"openid", "unionid", "SHA-256"}


def test_every_label_of_every_page_is_chinese():
    fill()
    client = owner()
    foreign = []
    for model in MODELS:
        row = model._base_manager.order_by("-pk").first()
        page = client.get(url(model, "changelist"))
        labels = [label_for_field(n, model, page.context["cl"].model_admin)
                  for n in page.context["cl"].list_display if n != "action_checkbox"]  # fmt: skip
        form = client.get(url(model, "change", row.pk))
        for fieldset in form.context["adminform"]:
            labels += [str(line.field["label"]) if line.is_readonly else str(line.field.label)
                       for fields in fieldset for line in fields]  # fmt: skip
        for inline in form.context["inline_admin_formsets"]:
            labels += [str(field["label"]) for field in inline.fields()]
        foreign += [f"{model.__name__}: {x}" for x in labels if str(x).isascii() and x not in SAME]
    assert "; ".join(sorted(set(foreign))) == ""


def test_the_tree_reads_one_level_whatever_lies_below():
    client = owner()
    root = make_promoter()
    child = make_promoter(parent=root)
    page = reverse("admin:referrals_promoter_tree")
    client.get(page)
    few = queries_of(client, page)
    for _ in range(10):
        child = make_promoter(parent=child)
    assert queries_of(client, page) <= few
    nodes = client.get(page).context["level"].nodes
    assert [(node.promoter, node.direct, node.team) for node in nodes] == [(root, 1, 11)]


def test_team_sizes_are_right_above_and_below_nodes_without_labels():
    client = owner()
    root = make_promoter()
    middle = make_promoter(parent=root)
    for parent in (middle, middle, root):
        make_promoter(parent=parent)
    assert Promoter.objects.get(pk=middle.pk).pending
    answer = client.get(reverse("admin:referrals_promoter_tree_rows", args=[root.pk]))
    nodes = answer.context["level"].nodes
    assert [(node.direct, node.team) for node in nodes] == [(2, 2), (0, 0)]


def test_a_search_in_the_tree_shows_the_line_above():
    client = owner()
    root = make_promoter()
    leaf = make_promoter(parent=make_promoter(parent=root))
    answer = client.get(reverse("admin:referrals_promoter_tree"), {"q": leaf.code.lower()})
    found = answer.context["found"]
    assert [node.promoter for node in found] == [leaf]
    assert [up.pk for up in found[0].line] == [root.pk, leaf.parent_id]


def test_the_admin_speaks_chinese_until_somebody_switches_it():
    client = Client(headers={"accept-language": "en-US"})
    login = reverse("admin:login")
    assert client.get(login).headers["Content-Language"] == "zh-hans"
    client.post(reverse("set_language"), {"language": "en", "next": login})
    assert client.get(login).headers["Content-Language"] == "en"
