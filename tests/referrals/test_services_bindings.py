"""Who a customer is bound to: refusals, touches, staff, expiry, imports, attribution."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from distro.actors import Actor
from distro.crypto import blind_index
from distro.errors import DomainError, NotFound
from distro.models import AuditEntry
from referrals import selectors
from referrals.errors import (
    AlreadyBound,
    OwnCode,
    PromoterNotActive,
    ReasonMissing,
    YoungerInviter,
)
from referrals.models import Binding, Identity, Member, Promoter, Visit
from referrals.services.bindings import (
    ImportedBinding,
    end_some_bindings,
    ensure_bindings,
    expire_bindings,
    touch,
)
from referrals.services.bindings_staff import bind_by_staff, end_binding
from referrals.signals import binding_ended, member_bound
from tests.factories import make_link, make_member, make_policy, make_promoter

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", 1)
DAY = timedelta(days=1)
ORDERED: set[int] = set()


def has_ordered(member_id: int) -> bool:
    return member_id in ORDERED


@pytest.fixture(autouse=True)
def _paid_orders(settings: Any) -> Any:
    settings.PAID_ORDER_CHECKS = [f"{__name__}.has_ordered"]
    yield
    ORDERED.clear()


@pytest.fixture
def facts() -> Any:
    heard: list[tuple[str, int, int]] = []

    def hear(signal: Any, member_id: int, promoter_id: int, **kw: object) -> None:
        heard.append((signal.name, member_id, promoter_id))

    for fact in (member_bound, binding_ended):
        fact.connect(hear, weak=False, dispatch_uid="test")
    yield heard
    for fact in (member_bound, binding_ended):
        fact.disconnect(dispatch_uid="test")


def verified(member: Member, number: str) -> None:
    index = blind_index("id", number)
    Identity.objects.create(
        member=member, name="张三", id_number=number, id_index=index, submitted_at=member.joined_at
    )


# --- H1, H2: refusals -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["first_touch", "last_touch", "register_only"])
def test_an_own_code_is_refused(at: datetime, mode: str) -> None:
    make_policy(binding_mode=mode)
    promoter = make_promoter()
    with pytest.raises(OwnCode) as caught:
        touch(member_id=promoter.member_id, link=make_link(promoter.member), at=at)
    assert (caught.value.code, caught.value.field) == ("own_code", "code")
    assert not Binding.objects.exists()


@pytest.mark.parametrize("disguise", ["unionid", "phone", "identity"])
def test_an_own_code_is_refused_in_every_disguise(at: datetime, disguise: str) -> None:
    promoter, second = make_promoter(), make_member()
    for member in (promoter.member, second):
        if disguise == "unionid":
            Member.objects.filter(pk=member.pk).update(unionid="u")
        elif disguise == "phone":
            Member.objects.filter(pk=member.pk).update(phone_index="p" * 64)
        else:
            verified(member, "11010519491231002X")
    with pytest.raises(OwnCode):
        touch(member_id=second.pk, link=make_link(promoter.member), at=at)
    assert not Binding.objects.exists()


def test_a_promoter_younger_than_the_customers_first_login_is_refused(at: datetime) -> None:
    customer = make_member(joined_at=at - 2 * DAY)
    young = make_promoter(member=make_member(joined_at=at - DAY))
    with pytest.raises(YoungerInviter):
        touch(member_id=customer.pk, link=make_link(young.member), at=at)
    assert not Binding.objects.exists()


def test_a_promoter_younger_than_the_customers_first_visit_is_refused(at: datetime) -> None:
    customer = make_member(joined_at=at)
    young = make_promoter(member=make_member(joined_at=at - DAY))
    Visit.objects.create(link=make_link(), visit_key="v", member=customer, occurred_at=at - 2 * DAY)
    with pytest.raises(YoungerInviter):
        touch(member_id=customer.pk, link=make_link(young.member), at=at)
    assert not Binding.objects.exists()


# --- Touches --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [None, "suspended", "closed"])
def test_only_an_active_promoters_link_binds(at: datetime, status: str | None) -> None:
    owner = make_promoter(status=status).member if status else make_member()
    result = touch(member_id=make_member().pk, link=make_link(owner), at=at)
    assert (result.outcome, result.binding) == ("not_promoter", None)
    assert not Binding.objects.exists()


def test_a_person_with_a_paid_order_is_not_bound(at: datetime) -> None:
    customer = make_member()
    ORDERED.add(customer.pk)
    result = touch(member_id=customer.pk, link=make_link(), at=at)
    assert (result.outcome, result.binding) == ("has_ordered", None)
    assert not Binding.objects.exists()


def test_a_first_touch_binds_for_the_policys_time(at: datetime, facts: list[Any]) -> None:
    make_policy(binding_mode="first_touch", binding_days=90, protection_days=30)
    customer, promoter = make_member(), make_promoter()
    link = make_link(promoter.member, channel="poster")
    result = touch(member_id=customer.pk, link=link, at=at)
    binding = Binding.objects.get()
    assert (result.outcome, result.binding) == ("bound", binding)
    assert (binding.mode, binding.link, binding.made_by) == ("first_touch", link, "system:0")
    assert (binding.started_at, binding.expires_at) == (at, at + 90 * DAY)
    assert binding.protected_until == at + 30 * DAY
    assert facts == [("member_bound", customer.pk, promoter.pk)]


def test_a_first_touch_stays_whoever_comes_later(at: datetime) -> None:
    make_policy(binding_mode="first_touch")
    customer, promoter = make_member(), make_promoter()
    touch(member_id=customer.pk, link=make_link(promoter.member), at=at)
    result = touch(member_id=customer.pk, link=make_link(), at=at + 400 * DAY)
    assert result.outcome == "kept"
    assert Binding.objects.get().promoter == promoter


def test_a_last_touch_rebinds_after_the_protection(at: datetime, facts: list[Any]) -> None:
    make_policy(binding_mode="last_touch", protection_days=30)
    customer, old, new = make_member(), make_promoter(), make_promoter()
    touch(member_id=customer.pk, link=make_link(old.member), at=at)
    link = make_link(new.member)
    inside = touch(member_id=customer.pk, link=link, at=at + 30 * DAY - timedelta(seconds=1))
    assert inside.outcome == "protected"
    after = touch(member_id=customer.pk, link=link, at=at + 30 * DAY)
    assert after.outcome == "rebound"
    first, second = Binding.objects.order_by("pk")
    assert (first.end_reason, first.ended_at) == ("rebound", at + 30 * DAY)
    assert (second.promoter, second.ended_at) == (new, None)
    assert [name for name, *_ in facts] == ["member_bound", "binding_ended", "member_bound"]


def test_a_change_of_mode_rewrites_no_binding(at: datetime) -> None:
    make_policy(binding_mode="first_touch", protection_days=60)
    customer = make_member()
    touch(member_id=customer.pk, link=make_link(), at=at)
    before = Binding.objects.values().get()
    make_policy(binding_mode="last_touch", protection_days=0, effective_from=at + DAY)
    assert touch(member_id=customer.pk, link=make_link(), at=at + 2 * DAY).outcome == "protected"
    assert Binding.objects.values().get() == before


def test_a_returning_member_is_not_registering(at: datetime) -> None:
    make_policy(binding_mode="register_only")
    result = touch(member_id=make_member().pk, link=make_link(), at=at + DAY)
    assert result.outcome == "not_registering"
    assert not Binding.objects.exists()


def test_an_expired_binding_ends_at_its_time_and_makes_room(at: datetime) -> None:
    make_policy(binding_mode="first_touch", binding_days=10)
    customer, new = make_member(), make_promoter()
    touch(member_id=customer.pk, link=make_link(), at=at)
    result = touch(member_id=customer.pk, link=make_link(new.member), at=at + 10 * DAY)
    first, second = Binding.objects.order_by("pk")
    assert result.outcome == "bound"
    assert (first.end_reason, first.ended_at) == ("expired", at + 10 * DAY)
    assert second.promoter == new


# --- Staff ----------------------------------------------------------------------------------


def staff_binds(
    customer: Member, promoter: Promoter, at: datetime, reason: str = "asked"
) -> Binding:
    return bind_by_staff(
        member_id=customer.pk, promoter_id=promoter.pk, reason=reason, by=STAFF, at=at
    )


def test_staff_refusals_write_nothing(at: datetime) -> None:
    customer, promoter = make_member(), make_promoter()
    bound = staff_binds(customer, promoter, at)
    before = list(Binding.objects.values())
    cases: list[tuple[type[DomainError], Callable[[], object]]] = [
        (ReasonMissing, lambda: staff_binds(customer, make_promoter(), at, reason=" ")),
        (AlreadyBound, lambda: staff_binds(customer, promoter, at)),
        (OwnCode, lambda: staff_binds(promoter.member, promoter, at)),
        (PromoterNotActive, lambda: staff_binds(customer, make_promoter(status="suspended"), at)),
        (ReasonMissing, lambda: end_binding(binding_id=bound.pk, reason="", by=STAFF, at=at)),
        (NotFound, lambda: end_binding(binding_id=404, reason="x", by=STAFF, at=at)),
    ]
    for error, act in cases:
        with pytest.raises(error):
            act()
    assert list(Binding.objects.values()) == before
    assert AuditEntry.objects.count() == 1


def test_staff_binds_anew_with_a_reason(at: datetime) -> None:
    customer, old, new = make_member(), make_promoter(), make_promoter()
    staff_binds(customer, old, at)
    later = at + 30 * DAY  # when the protection is over
    binding = staff_binds(customer, new, later, reason="complaint 7")
    assert (binding.mode, binding.made_by, binding.reason) == ("manual", "staff:1", "complaint 7")
    assert binding.started_at == later
    ended = Binding.objects.get(promoter=old)
    assert (ended.end_reason, ended.ended_by, ended.end_note) == (
        "rebound", "staff:1", "complaint 7",
    )  # fmt: skip


def test_staff_ends_a_binding_once(at: datetime) -> None:
    binding = staff_binds(make_member(), make_promoter(), at)
    end_binding(binding_id=binding.pk, reason="mistake", by=STAFF, at=at + DAY)
    binding.refresh_from_db()
    assert (binding.end_reason, binding.ended_at) == ("staff", at + DAY)
    assert (binding.ended_by, binding.end_note) == ("staff:1", "mistake")
    with pytest.raises(NotFound):
        end_binding(binding_id=binding.pk, reason="again", by=STAFF, at=at + 2 * DAY)


# --- Expiry ---------------------------------------------------------------------------------


def test_the_job_ends_what_is_due_and_nothing_else(at: datetime, facts: list[Any]) -> None:
    make_policy(binding_days=10)
    due, later = make_member(), make_member()
    touch(member_id=due.pk, link=make_link(), at=at)
    touch(member_id=later.pk, link=make_link(), at=at + DAY)
    assert expire_bindings(at=at + 10 * DAY - timedelta(seconds=1)) == 0
    assert expire_bindings(at=at + 10 * DAY) == 1
    assert expire_bindings(at=at + 10 * DAY) == 0
    ended = Binding.objects.get(member=due)
    assert (ended.ended_at, ended.end_reason) == (at + 10 * DAY, "expired")
    assert ended.ended_by == "system:0"
    assert facts[-1][:2] == ("binding_ended", due.pk)


def test_a_promoter_who_leaves_loses_his_customers_a_batch_at_a_time(
    at: datetime, facts: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("referrals.services.bindings.ENDED_AT_ONCE", 2)
    promoter, other = make_promoter(), make_promoter()
    mine = [bind(make_member(), promoter, at) for _ in range(3)]
    bind(make_member(), other, at)
    leave = partial(
        end_some_bindings, promoter_id=promoter.pk, why=Binding.EndReason.CLOSED, note="quit",
        by=STAFF, at=at + DAY,
    )  # fmt: skip
    assert [leave(), leave(), leave()] == [2, 1, 0]
    ended = Binding.objects.filter(pk__in=[binding.pk for binding in mine])
    assert set(ended.values_list("end_reason", "ended_by", "end_note")) == {
        ("closed", "staff:1", "quit")
    }
    assert Binding.objects.get(ended_at=None).promoter == other
    assert [name for name, *_ in facts] == ["binding_ended"] * 3


# --- Attribution ----------------------------------------------------------------------------


def bind(customer: Member, promoter: Promoter, at: datetime, **kw: Any) -> Binding:
    fields = {"mode": "first_touch", "started_at": at, "made_by": "test"}
    return Binding.objects.create(member=customer, promoter=promoter, **fields | kw)


def test_nobody_is_attributed_without_a_binding_in_force(at: datetime) -> None:
    customer, promoter = make_member(), make_promoter()
    assert selectors.attribution_of(customer.pk, at=at) == selectors.NOBODY
    bind(customer, promoter, at, expires_at=at + DAY)
    assert selectors.attribution_of(customer.pk, at=at - DAY) == selectors.NOBODY
    assert selectors.attribution_of(customer.pk, at=at + DAY) == selectors.NOBODY
    assert selectors.attribution_of(customer.pk, at=at).promoter_1 == promoter.pk


def test_an_order_is_attributed_to_the_promoter_and_two_uplines(
    at: datetime, django_assert_num_queries: Callable[..., Any]
) -> None:
    a = make_promoter()
    b = make_promoter(a)
    c = make_promoter(b)
    d = make_promoter(c)
    customer = make_member()
    binding = bind(customer, d, at)
    with django_assert_num_queries(1):
        found = selectors.attribution_of(customer.pk, at=at)
    assert found == selectors.Attribution(d.pk, c.pk, b.pk, binding.pk)
    with django_assert_num_queries(1):
        selectors.attribution_of(make_member_id(), at=at)
    assert selectors.uplines(d.pk) == [c.pk, b.pk, a.pk]


def make_member_id() -> int:
    return 10**9


def test_a_promoter_buys_under_the_promoter_he_is_bound_to(at: datetime) -> None:
    a = make_promoter()
    b = make_promoter(a)
    bind(b.member, a, at)
    assert selectors.attribution_of(b.member_id, at=at).promoter_1 == a.pk


def test_the_buyer_earns_at_no_level_and_nobody_moves_up(at: datetime) -> None:
    a = make_promoter()
    b = make_promoter(a)
    c = make_promoter(b)
    binding = bind(b.member, c, at)
    found = selectors.attribution_of(b.member_id, at=at)
    assert found == selectors.Attribution(c.pk, None, a.pk, binding.pk)
    bind(a.member, c, at)
    assert selectors.attribution_of(a.member_id, at=at).promoter_3 is None


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_buyer_in_disguise_earns_at_no_level(at: datetime, level: int) -> None:
    a = make_promoter()
    b = make_promoter(a)
    c = make_promoter(b)
    customer, disguised = make_member(phone_index="p"), [c, b, a][level - 1]
    Member.objects.filter(pk=disguised.member_id).update(phone_index="p")
    binding = bind(customer, c, at)
    found = selectors.attribution_of(customer.pk, at=at)
    if level == 1:
        assert found == selectors.NOBODY
    else:
        left = [pk if pk != disguised.pk else None for pk in (c.pk, b.pk, a.pk)]
        assert found == selectors.Attribution(*left, binding_id=binding.pk)  # type: ignore[misc]


# --- Imports --------------------------------------------------------------------------------


def imported(customer: Member, promoter: Promoter, at: datetime) -> ImportedBinding:
    return ImportedBinding(customer.pk, promoter.pk, at)


def test_imported_bindings_have_no_end_and_are_made_once(at: datetime, facts: list[Any]) -> None:
    customer, promoter = make_member(), make_promoter()
    wanted = [imported(customer, promoter, at - 9 * DAY)]
    made = ensure_bindings(wanted=wanted)
    binding = Binding.objects.get()
    assert made == {(customer.pk, promoter.pk): binding.pk}
    assert (binding.mode, binding.expires_at, binding.started_at) == ("import", None, at - 9 * DAY)
    before = list(Binding.objects.values())
    assert ensure_bindings(wanted=wanted) == made
    assert list(Binding.objects.values()) == before
    assert facts == []


def test_an_open_binding_with_the_same_promoter_is_used_again(at: datetime) -> None:
    customer, promoter = make_member(), make_promoter()
    binding = bind(customer, promoter, at)
    made = ensure_bindings(wanted=[imported(customer, promoter, at - DAY)])
    assert made == {(customer.pk, promoter.pk): binding.pk}
    assert Binding.objects.count() == 1


@pytest.mark.parametrize("order", [1, -1])
def test_several_promoters_of_one_customer_follow_each_other(at: datetime, order: int) -> None:
    customer, a, b = make_member(), make_promoter(), make_promoter()
    rows = [imported(customer, a, at - 9 * DAY), imported(customer, b, at - 5 * DAY)][::order]
    together = ensure_bindings(wanted=rows)
    before = list(Binding.objects.order_by("pk").values())
    assert ensure_bindings(wanted=rows) == together
    assert list(Binding.objects.order_by("pk").values()) == before
    first, second = Binding.objects.order_by("started_at")
    assert (first.promoter, first.ended_at, first.end_reason) == (a, at - 5 * DAY, "rebound")
    assert (second.promoter, second.ended_at) == (b, None)


def test_an_older_binding_found_later_becomes_history(at: datetime) -> None:
    customer, a, b = make_member(), make_promoter(), make_promoter()
    ensure_bindings(wanted=[imported(customer, b, at - 5 * DAY)])
    ensure_bindings(wanted=[imported(customer, a, at - 9 * DAY)])
    assert Binding.objects.get(ended_at=None).promoter == b
    old = Binding.objects.get(promoter=a)
    assert (old.started_at, old.ended_at) == (at - 9 * DAY, at - 5 * DAY)


def test_nobody_is_bound_to_himself_by_an_import(at: datetime) -> None:
    promoter = make_promoter()
    assert ensure_bindings(wanted=[imported(promoter.member, promoter, at)]) == {}
    assert not Binding.objects.exists()


def test_an_import_of_many_bindings_takes_few_queries(
    at: datetime, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    promoter = make_promoter()
    members = [make_member() for _ in range(300)]
    with django_assert_max_num_queries(12):
        ensure_bindings(wanted=[imported(member, promoter, at) for member in members])
    assert Binding.objects.count() == 300
