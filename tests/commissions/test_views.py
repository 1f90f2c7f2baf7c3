"""What a promoter sees over HTTP, and that nobody sees another's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from commissions.models import Commission
from commissions.services.accruing import accrue
from referrals.models import Member, Promoter
from referrals.services.members import login
from tests.commissions.builders import make_attributed, make_chain, make_plan
from tests.factories import make_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain(at: datetime) -> list[Promoter]:
    make_plan(1000, 500)
    return make_chain(2)


def client_of(member: Member, at: datetime) -> Client:
    assert member.openid
    token = login(openid=member.openid, unionid=None, link_code="", device="", at=at).token
    return Client(headers={"Authorization": f"Bearer {token}", "Accept-Language": "en"})


def get(client: Client, path: str, **query: Any) -> Any:
    answer = client.get(f"/api/v1/promoter/{path}", query)
    return answer.status_code, answer.json()


def test_the_balance_is_the_promoters_own(chain: list[Promoter], at: datetime) -> None:
    accrue(order_id=make_attributed(chain, 19_999).pk, at=at)
    assert get(client_of(chain[1].member, at), "balance") == (
        200,
        {"frozen_fen": 999, "available_fen": 0, "withdrawing_fen": 0, "owed_fen": 0},
    )


def test_commissions_come_page_by_page_the_latest_first(
    chain: list[Promoter], at: datetime
) -> None:
    for n in range(5):
        accrue(order_id=make_attributed(chain, 1_000 + n).pk, at=at)
    client = client_of(chain[0].member, at)
    status, page = get(client, "commissions", limit=3)
    assert (status, [row["base_fen"] for row in page["results"]]) == (200, [1004, 1003, 1002])
    status, rest = get(client, "commissions", limit=3, cursor=page["next"])
    assert [row["base_fen"] for row in rest["results"]] == [1001, 1000]
    assert rest["next"] is None


def test_a_list_costs_the_same_at_any_length(
    chain: list[Promoter], at: datetime, django_assert_num_queries: Any
) -> None:
    client = client_of(chain[0].member, at)
    for n in range(10):
        accrue(order_id=make_attributed(chain, 1_000 + n).pk, at=at)
    get(client, "balance")
    with django_assert_num_queries(3):
        get(client, "commissions", limit=1)
    with django_assert_num_queries(3):
        get(client, "commissions", limit=10)


def test_a_commission_comes_with_its_explanation(chain: list[Promoter], at: datetime) -> None:
    accrue(order_id=make_attributed(chain, 19_999).pk, at=at)
    row = Commission.objects.get(level=1)
    status, answer = get(client_of(chain[0].member, at), f"commissions/{row.pk}")
    assert (status, answer["amount_fen"], answer["status"]) == (200, 1999, "frozen")
    assert "10.00 %" in answer["explanation"]


def test_anothers_commission_is_not_found(chain: list[Promoter], at: datetime) -> None:
    accrue(order_id=make_attributed(chain, 19_999).pk, at=at)
    row = Commission.objects.get(level=1)
    status, answer = get(client_of(chain[1].member, at), f"commissions/{row.pk}")
    assert (status, answer["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["balance", "commissions", "commissions/1", "ledger"])
def test_who_is_no_promoter_has_nothing_to_see(path: str, at: datetime) -> None:
    assert get(client_of(make_member(), at), path)[0] == 404


@pytest.mark.parametrize("path", ["balance", "commissions", "commissions/1", "ledger"])
def test_nobody_sees_anything_without_a_token(path: str, db: None) -> None:
    assert get(Client(), path)[0] == 401


def test_the_ledger_shows_my_side_only(chain: list[Promoter], at: datetime) -> None:
    accrue(order_id=make_attributed(chain, 19_999).pk, at=at)
    status, page = get(client_of(chain[0].member, at), "ledger")
    [row] = page["results"]
    assert (status, row["code"], row["amount_fen"]) == (200, "accrue", 1999)
    assert (row["from_account"], row["to_account"]) == (None, "frozen")
