"""Teams whose members leave, and strange questions and addresses."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from orders.selectors_teams import TeamQuery, TeamSort, team_levels, team_page
from tests.analytics.admin_world import make_staff
from tests.factories import make_promoter
from tests.orders.test_selectors_teams import sell
from tests.referrals.attack_world import DAY

pytestmark = pytest.mark.usefixtures("no_money")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "referrals/promoter/tree/?q=%00",
        "referrals/promoter/tree/?q=a%00b",
        "referrals/promoter/tree/?after=-1",
        "referrals/promoter/tree/?after=999999999999999999",
        "referrals/promoter/tree/99999999999999999999999/",
        "referrals/promotermove/new/99999999999999999999999/",
        "referrals/promoter/team/99999999999999999999999/",
        "referrals/promotermove/99999999999999999999999/change/",
        "referrals/promotermove/x%00/change/",
        "referrals/promotermove/x/change/",
    ],
)
def test_a_strange_address_is_no_error_of_ours(path: str) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(make_staff("owner"))
    make_promoter()
    assert client.get(f"/admin/{path}").status_code in (200, 302, 400, 404)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query",
    [
        "from=0001-01-01&to=0001-01-02",
        "from=9999-12-01&to=9999-12-31",
        "to=9999-12-31",
        "to=0001-01-01",
        "level=999999",
        "level=-1",
        "sort=%00",
        "cursor=%00",
        "cursor=eyJhIjoxfQ",
        "from=%00&to=x",
    ],
)
def test_a_strange_question_about_a_team_is_no_error_of_ours(query: str) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(make_staff("owner"))
    head = make_promoter()
    make_promoter(head)
    url = reverse("admin:referrals_promoter_team", args=[head.pk])
    assert client.get(f"{url}?{query}").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["", "/summary"])
@pytest.mark.parametrize(
    "query",
    [
        "first=0001-01-01&last=0001-01-02",
        "first=9999-12-01&last=9999-12-31",
        "level=99999999999999999999",
        "level=2147483647",
        "level=9223372036854775807",
        "limit=99999999999999999999",
        "limit=-1",
        "cursor=%00",
        "cursor=x" + "y" * 5000,
    ],
)
def test_a_strange_question_about_ones_team_is_no_error_of_ours(
    path: str, query: str, as_member: Any
) -> None:
    head = make_promoter()
    make_promoter(head)
    api = as_member(head.member)
    api.raise_request_exception = False
    assert api.get(f"promoter/team{path}?{query}").status_code in (200, 400)


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["suspended", "closing", "closed"])
def test_who_leaves_is_counted_in_the_team_with_what_he_sold(status: str, at: datetime) -> None:
    # accounts.md: "children stay where they are"; a team is read along the tree.
    head = make_promoter()
    gone = make_promoter(head, status=status)
    make_promoter(gone)
    sell(gone.pk, at, 10_000)
    levels = team_levels(head.pk, start=at - DAY, end=at + DAY)
    assert [(row.level, row.promoters, row.net_fen) for row in levels] == [
        (1, 1, 10_000),
        (2, 1, 0),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("sort", list(TeamSort))
def test_ties_are_paged_without_gap_or_repeat_though_newcomers_join(
    sort: TeamSort, at: datetime
) -> None:
    head = make_promoter()
    first = {make_promoter(head).pk for _ in range(7)}
    query = TeamQuery(head.pk, at - DAY, at + DAY, sort=sort)
    seen: list[int] = []
    after = None
    while page := team_page(query, after=after, limit=2):
        seen += [mate.promoter.pk for mate in page]
        after = page[-1].key
        make_promoter(head)  # the newest stands first
    assert [pk for pk in seen if pk in first] == sorted(first, reverse=True)
    assert len(seen) == len(set(seen))
