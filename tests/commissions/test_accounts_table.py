"""The table of docs/accounts.md, cell by cell: state x what may happen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from commissions.models import Commission, Withdrawal
from commissions.services.accruing import accrue
from commissions.services.paying_out import send_due
from commissions.services.settling import settle_due
from commissions.services.withdrawals import request_withdrawal
from distro.errors import DomainError
from referrals import selectors
from referrals.models import Binding, Closure, Identity, Member, Promoter
from referrals.services.bindings import touch
from referrals.services.links import create_link
from referrals.services.members import login
from referrals.services.promoters import parent_of_new
from tests.commissions.builders import bind, make_attributed, make_plan, receive, stands
from tests.commissions.payout_world import Channel, earn, make_rules
from tests.factories import make_link, make_member, make_promoter

pytestmark = pytest.mark.django_db

LATER = timedelta(days=90)
PROMOTER = ["active", "suspended", "closing", "closed"]
MEMBER = ["active", "blocked", "closed", "merged"]


@pytest.fixture(autouse=True)
def _channel(at: datetime, monkeypatch: pytest.MonkeyPatch) -> Channel:
    """Put a WeChat in memory in the place of the real one."""
    make_rules(at)
    make_plan(1000, 500)
    channel = Channel(at)
    for module in ("paying_out", "transferring"):
        monkeypatch.setattr(f"commissions.services.{module}.pay", lambda: channel)
    return channel


def payee(at: datetime) -> Promoter:
    """Return an active promoter, long verified."""
    promoter = make_promoter(member=make_member(joined_at=at - LATER))
    Identity.objects.create(
        member=promoter.member, name="王小明", id_number="110101199003070011",
        id_index=f"i{promoter.pk}", status="verified", submitted_at=at - LATER,
        decided_at=at - LATER,
    )  # fmt: skip
    return promoter


def promoter_in(state: str, at: datetime) -> Promoter:
    """Return a promoter in a state, as the services leave it; a closing one wants to leave."""
    promoter = payee(at)
    if state == "closing":
        Closure.objects.create(
            member=promoter.member, scope="account", requested_by="t", requested_at=at
        )
    Promoter.objects.filter(pk=promoter.pk).update(status=state)
    return Promoter.objects.get(pk=promoter.pk)


def member_in(state: str, at: datetime) -> Promoter:
    """Return a promoter whose member is in a state; merged ones into an account that is paid."""
    promoter = payee(at)
    into = make_member(openid=f"o-{promoter.pk}") if state == "merged" else None
    Member.objects.filter(pk=promoter.member_id).update(status=state, merged_into=into)
    return Promoter.objects.select_related("member__merged_into").get(pk=promoter.pk)


def works(step: Callable[[], object]) -> bool:
    """Say whether something is done, not refused."""
    try:
        step()
    except DomainError:
        return False
    return True


# --- Columns --------------------------------------------------------------------------------


def is_attributed(promoter: Promoter, at: datetime) -> bool:
    binding = bind(make_member(), promoter, at)
    return selectors.attribution_of(binding.member_id, at=at).promoter_1 == promoter.pk


def earns(promoter: Promoter, at: datetime) -> bool:
    accrue(order_id=make_attributed([promoter], 10_000).pk, at=at)
    return stands(promoter)[0] == 1_000


def earns_below(promoter: Promoter, at: datetime) -> bool:
    """Say whether he earns his level of an order that a promoter below him brought."""
    accrue(order_id=make_attributed([make_promoter(), promoter], 10_000).pk, at=at)
    return stands(promoter)[0] == 500


def settles(promoter: Promoter, at: datetime) -> bool:
    """Say whether what he earned while he was active becomes available."""
    states = Promoter.objects.filter(pk=promoter.pk)
    states.update(status="active")
    due = receive(order := make_attributed([promoter], 10_000))
    accrue(order_id=order.pk, at=at)
    states.update(status=promoter.status)
    settle_due(at=due)
    return Commission.objects.get(order=order).status == "settled"


def withdraws(promoter: Promoter, at: datetime) -> bool:
    earn(promoter, 5_000, at)
    step = lambda: request_withdrawal(promoter_id=promoter.pk, amount_fen=5_000, at=at)  # noqa: E731
    return works(step)


def withdraws_the_rest(promoter: Promoter, at: datetime) -> bool:
    """Say whether he may take less than the minimum of one yuan, when it is all there is."""
    earn(promoter, 50, at)
    step = lambda: request_withdrawal(promoter_id=promoter.pk, amount_fen=50, at=at)  # noqa: E731
    return works(step)


def is_sent(promoter: Promoter, at: datetime) -> bool:
    """Say whether a withdrawal from before goes out."""
    promoters, members = Promoter.objects.filter(pk=promoter.pk), Member.objects
    own = members.filter(pk=promoter.member_id)
    was = promoter.member
    promoters.update(status="active")
    own.update(status="merged" if was.merged_into_id else "active")
    earn(promoter, 5_000, at)
    request_withdrawal(promoter_id=promoter.pk, amount_fen=5_000, at=at)
    promoters.update(status=promoter.status)
    own.update(status=was.status)
    send_due(at=at)
    return Withdrawal.objects.get(promoter=promoter).status == "awaiting_confirm"


def takes_customers(promoter: Promoter, at: datetime) -> bool:
    customer, link = make_member(joined_at=at), make_link(promoter.member)
    touch(member_id=customer.pk, link=link, at=at)
    return Binding.objects.filter(member=customer, promoter=promoter).exists()


def takes_newcomers(promoter: Promoter, at: datetime) -> bool:
    customer = make_member()
    bind(customer, promoter, at)
    return parent_of_new(customer, at=at) == promoter.pk


def keeps_children(promoter: Promoter, at: datetime) -> bool:
    child = make_promoter(promoter)
    Promoter.objects.filter(pk=promoter.pk).update(status=promoter.status)
    return Promoter.objects.get(pk=child.pk).upline_1_id == promoter.pk


def makes_links(promoter: Promoter, at: datetime) -> bool:
    return works(
        lambda: create_link(
            member=promoter.member, target="home", target_ref="", channel="chat",
            expires_at=None, at=at,
        )
    )  # fmt: skip


def uses_links(promoter: Promoter, at: datetime) -> bool:
    code = make_link(promoter.member).code
    return works(lambda: selectors.find_link(code=code, at=at))


def logs_in(promoter: Promoter, at: datetime) -> bool:
    openid = promoter.member.openid or ""
    return works(lambda: login(openid=openid, unionid=None, link_code="", device="", at=at))


Y, N = True, False
TABLE: list[tuple[Callable[[Promoter, datetime], bool], list[bool]]] = [
    # column                 active suspended closing closed
    (is_attributed, [Y, Y, Y, N]),
    (earns, [Y, N, N, N]),
    (earns_below, [Y, N, N, N]),
    (settles, [Y, N, Y, N]),
    (withdraws, [Y, N, Y, N]),
    (withdraws_the_rest, [N, N, Y, N]),
    (is_sent, [Y, N, Y, N]),
    (takes_customers, [Y, N, N, N]),
    (takes_newcomers, [Y, Y, N, N]),
    (keeps_children, [Y, Y, Y, Y]),
]
MEMBERS: list[tuple[Callable[[Promoter, datetime], bool], list[bool]]] = [
    # column                 active blocked closed merged
    (logs_in, [Y, N, N, Y]),
    (uses_links, [Y, N, N, N]),
    (settles, [Y, Y, Y, Y]),
    (is_sent, [Y, N, N, Y]),
]


@pytest.mark.parametrize(("state", "place"), [(s, n) for n, s in enumerate(PROMOTER)])
@pytest.mark.parametrize(("column", "cells"), TABLE, ids=lambda c: getattr(c, "__name__", ""))
def test_a_promoter_in_a_state(
    column: Callable[[Promoter, datetime], bool],
    cells: list[bool],
    state: str,
    place: int,
    at: datetime,
) -> None:
    assert column(promoter_in(state, at), at) == cells[place]


@pytest.mark.parametrize(("state", "place"), [(s, n) for n, s in enumerate(MEMBER)])
@pytest.mark.parametrize(("column", "cells"), MEMBERS, ids=lambda c: getattr(c, "__name__", ""))
def test_a_member_in_a_state(
    column: Callable[[Promoter, datetime], bool],
    cells: list[bool],
    state: str,
    place: int,
    at: datetime,
) -> None:
    assert column(member_in(state, at), at) == cells[place]


def test_who_is_being_closed_makes_no_links(at: datetime) -> None:
    assert makes_links(promoter_in("active", at), at)
    assert not makes_links(promoter_in("closing", at), at)


def test_the_steps_between_the_states_are_those_of_the_page() -> None:
    assert {
        "active": {"suspended", "closing"},
        "suspended": {"active", "closing"},
        "closing": {"active", "suspended", "closed"},
        "closed": set(),
    } == Promoter.TRANSITIONS
    assert {
        "active": {"blocked", "closed", "merged"},
        "blocked": {"active", "closed"},
        "closed": set(),
        "merged": set(),
    } == Member.TRANSITIONS
