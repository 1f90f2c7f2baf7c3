"""The hard rules H1, H2, H3, H7 and H9 as a table: every door, every mode, nothing written.

H1 nobody is his own customer. H2 no edge that makes a cycle, or that points to an account younger
than the invitee's first visit. H3 no new binding for who has paid an order, or whose binding is
protected. H7 nothing is bound backwards. H9 what staff bind to themselves at work earns nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from distro.actors import Actor
from distro.crypto import blind_index
from distro.errors import DomainError
from distro.models import AuditEntry, StaffUser
from referrals import selectors
from referrals.models import Binding, Employee, Identity, Member, Promoter, ShareLink, Visit
from referrals.services.bindings import touch
from referrals.services.bindings_staff import bind_by_staff
from referrals.services.links import record_visit
from referrals.services.members import login
from tests.factories import AT, make_link, make_member, make_policy, make_promoter

pytestmark = pytest.mark.django_db

MODES = ["first_touch", "last_touch", "register_only"]
STAFF = Actor("staff", 1)
DAY = timedelta(days=1)
PAID: set[int] = set()


def has_paid(member_id: int) -> bool:
    return member_id in PAID


@pytest.fixture(autouse=True)
def _paid_orders(settings: Any) -> Any:
    settings.PAID_ORDER_CHECKS = [f"{__name__}.has_paid"]
    yield
    PAID.clear()


@dataclass
class Case:
    """A customer, the promoter whose link he opens, and who binds them by hand."""

    customer: Member
    promoter: Promoter
    by: Actor = STAFF
    link: dict[str, Any] | None = None

    def touched(self) -> str:
        link = make_link(self.promoter.member, **self.link or {})
        try:
            return touch(member_id=self.customer.pk, link=link, at=AT).outcome
        except DomainError as error:
            return error.code

    def by_hand(self) -> str:
        try:
            bind_by_staff(
                member_id=self.customer.pk, promoter_id=self.promoter.pk, reason="x", by=self.by,
                at=AT,
            )  # fmt: skip
        except DomainError as error:
            return error.code
        return "bound"


# --- Situations -----------------------------------------------------------------------------


def himself() -> Case:
    promoter = make_promoter()
    return Case(promoter.member, promoter)


def same_unionid() -> Case:
    return Case(make_member(unionid="u"), make_promoter(member=make_member(unionid="u")))


def same_phone() -> Case:
    index = blind_index("phone", "+8613800138000")
    one, other = make_member(phone_index=index), make_member(phone_index=index)
    return Case(one, make_promoter(member=other))


def same_identity() -> Case:
    case = Case(make_member(), make_promoter())
    for member in (case.customer, case.promoter.member):
        Identity.objects.create(
            member=member, name="张三", id_number="11010519491231002X", id_index="same",
            submitted_at=AT, status="verified" if member == case.customer else "pending",
        )  # fmt: skip
    return case


def younger_than_the_account() -> Case:
    young = make_promoter(member=make_member(joined_at=AT - DAY))
    return Case(make_member(joined_at=AT - 2 * DAY), young)


def younger_than_a_visit() -> Case:
    young = make_promoter(member=make_member(joined_at=AT - DAY))
    customer = make_member(joined_at=AT)
    Visit.objects.create(link=make_link(), visit_key="v", member=customer, occurred_at=AT - 2 * DAY)
    return Case(customer, young)


def as_old_as_the_account() -> Case:
    return Case(make_member(joined_at=AT), make_promoter(member=make_member(joined_at=AT)))


def own_downline(steps: int) -> Case:
    top = below = make_promoter()
    for _ in range(steps):
        below = make_promoter(below)
    return Case(top.member, below)


def own_customer(steps: int) -> Case:
    top = last = make_promoter()
    for _ in range(steps):
        following = make_promoter()
        bound(following.member, last)
        last = following
    return Case(top.member, last)


def upline_and_customer_mixed() -> Case:
    """A brought B into his team; C is B's customer; now A would become the customer of C."""
    a = make_promoter()
    b, c = make_promoter(a), make_promoter()
    bound(c.member, b)
    return Case(a.member, make_promoter(c))


def customer_of_long_ago() -> Case:
    """A binding that ended brings nobody any more."""
    a, b = make_promoter(), make_promoter()
    bound(b.member, a, ended_at=AT - DAY, end_reason="expired")
    return Case(a.member, b)


def a_promoter_under_his_upline() -> Case:
    top = make_promoter()
    return Case(make_promoter(top).member, top)


def has_ordered() -> Case:
    case = Case(make_member(), make_promoter())
    PAID.add(case.customer.pk)
    return case


def has_ordered_and_is_bound() -> Case:
    case = has_ordered()
    bound(case.customer, make_promoter())
    return case


def protected() -> Case:
    case = Case(make_member(), make_promoter())
    bound(case.customer, make_promoter(), protected_until=AT + timedelta(seconds=1))
    return case


def no_longer_protected() -> Case:
    case = Case(make_member(), make_promoter())
    bound(case.customer, make_promoter(), protected_until=AT)
    return case


def expired() -> Case:
    case = Case(make_member(), make_promoter())
    bound(case.customer, make_promoter(), protected_until=AT, expires_at=AT)
    return case


def employees_code() -> Case:
    promoter = make_promoter()
    Employee.objects.create(member=promoter.member, since=AT - DAY, made_by="x")
    return Case(make_member(), promoter, link={"employee_only": True})


def employees_own_link() -> Case:
    case = employees_code()
    case.link = None
    return case


def staff_for_himself(**kw: Any) -> Case:
    staff = StaffUser.objects.create_user("clerk", password="x", is_staff=True)
    promoter = make_promoter()
    Employee.objects.create(
        member=promoter.member, staff=staff, since=AT - 2 * DAY, made_by="x", **kw
    )
    return Case(make_member(), promoter, by=staff.actor)


def staff_for_his_other_account() -> Case:
    case = staff_for_himself()
    Member.objects.filter(pk=case.promoter.member_id).update(unionid="u")
    case.promoter = make_promoter(member=make_member(unionid="u"))
    return case


def staff_who_left() -> Case:
    return staff_for_himself(left_at=AT - DAY)


def bound(member: Member, promoter: Promoter, **kw: Any) -> Binding:
    facts = {"mode": "first_touch", "started_at": AT - 9 * DAY, "made_by": "system:0"}
    return Binding.objects.create(member=member, promoter=promoter, **facts | kw)


# --- The table ------------------------------------------------------------------------------

# Rule, situation -> what a touch in first_touch, last_touch and register_only does, and staff's
# own decision. (Somebody who is known is never registering: only free persons differ there.)
TABLE: list[tuple[str, Callable[[], Case], str, str, str, str]] = [
    ("H1", himself, "own_code", "own_code", "own_code", "own_code"),
    ("H1", same_unionid, "own_code", "own_code", "own_code", "own_code"),
    ("H1", same_phone, "own_code", "own_code", "own_code", "own_code"),
    ("H1", same_identity, "own_code", "own_code", "own_code", "own_code"),
    ("H2", younger_than_the_account, *["younger_inviter"] * 4),
    ("H2", younger_than_a_visit, *["younger_inviter"] * 4),
    ("H2", as_old_as_the_account, "bound", "bound", "not_registering", "bound"),
    ("H2", lambda: own_downline(1), *["referral_cycle"] * 2, "not_registering", "referral_cycle"),
    ("H2", lambda: own_downline(2), *["referral_cycle"] * 2, "not_registering", "referral_cycle"),
    ("H2", lambda: own_downline(50), *["referral_cycle"] * 2, "not_registering", "referral_cycle"),
    ("H2", lambda: own_customer(1), *["referral_cycle"] * 2, "not_registering", "referral_cycle"),
    ("H2", lambda: own_customer(50), *["referral_cycle"] * 2, "not_registering", "referral_cycle"),
    (
        "H2", upline_and_customer_mixed,
        "referral_cycle", "referral_cycle", "not_registering", "referral_cycle",
    ),
    ("H2", customer_of_long_ago, "bound", "bound", "not_registering", "bound"),
    ("H2", a_promoter_under_his_upline, "bound", "bound", "not_registering", "bound"),
    ("H3", has_ordered, *["has_ordered"] * 4),
    ("H3", has_ordered_and_is_bound, *["has_ordered"] * 4),
    ("H3", protected, "kept", "protected", "kept", "binding_protected"),
    ("H3", no_longer_protected, "kept", "rebound", "kept", "bound"),
    ("H3", expired, "bound", "bound", "not_registering", "bound"),
    ("H9", employees_code, *["employee_code"] * 3, "bound"),
    ("H9", employees_own_link, "bound", "bound", "not_registering", "bound"),
    ("H9", staff_for_himself, "bound", "bound", "not_registering", "staff_for_himself"),
    ("H9", staff_for_his_other_account, "bound", "bound", "not_registering", "staff_for_himself"),
    ("H9", staff_who_left, "bound", "bound", "not_registering", "bound"),
]  # fmt: skip
DOORS = [*MODES, "staff"]
ROWS = [
    pytest.param(make, door, outcome, id=f"{rule}-{getattr(make, '__name__', rule)}-{door}-{n}")
    for n, (rule, make, *outcomes) in enumerate(TABLE)
    for door, outcome in zip(DOORS, outcomes)
]


@pytest.mark.parametrize(("make", "door", "outcome"), ROWS)
def test_the_hard_rules_hold_at_every_door(
    make: Callable[[], Case], door: str, outcome: str
) -> None:
    make_policy(binding_mode=door if door != "staff" else "first_touch")
    case = make()
    before = list(Binding.objects.order_by("pk").values())
    assert (case.by_hand() if door == "staff" else case.touched()) == outcome
    after = list(Binding.objects.order_by("pk").values())
    if outcome in {"bound", "rebound"}:
        assert Binding.objects.get(member=case.customer, ended_at=None).promoter == case.promoter
        assert len(after) == len(before) + 1
    elif make is not expired:  # an expired one is noted as ended, whatever comes of the touch
        assert after == before
        assert not AuditEntry.objects.exists()


# --- H2 and H9 at the first log-in ------------------------------------------------------------


def arrive(link: ShareLink, at: datetime, **kw: Any) -> tuple[Member, str]:
    facts = {"openid": "o-new", "unionid": None, "device": ""}
    result = login(link_code=link.code, at=at, **facts | kw)  # type: ignore[arg-type]
    return result.member, result.link_error.code if result.link_error else ""


def test_who_comes_by_an_employees_code_belongs_to_nobody(at: datetime) -> None:
    case = employees_code()
    member, error = arrive(make_link(case.promoter.member, employee_only=True), at)
    assert (member.inviter_id, error) == (None, "")
    assert Visit.objects.get().member == member
    assert not Binding.objects.exists()


@pytest.mark.parametrize("mode", MODES)
def test_a_newcomer_is_bound_in_every_mode(at: datetime, mode: str) -> None:
    make_policy(binding_mode=mode)
    link = make_link()
    member, error = arrive(link, at)
    assert error == ""
    assert Binding.objects.get(member=member, ended_at=None).mode == mode


def test_a_device_seen_before_the_inviter_joined_is_an_older_visit(at: datetime) -> None:
    record_visit(
        link=make_link(), visit_key="visit-1", member_id=None, device="d", ip="", scene="",
        at=at - 2 * DAY,
    )  # fmt: skip
    young = make_promoter(member=make_member(joined_at=at - DAY))
    member, error = arrive(make_link(young.member), at, device="d")
    assert (member.inviter_id, error) == (None, "younger_inviter")
    assert not Binding.objects.exists()


# --- H7 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["first_touch", "last_touch", "staff"])
def test_nothing_is_bound_backwards(door: str) -> None:
    """A binding begins when it is made; one second before nobody would have earned."""
    make_policy(binding_mode=door if door != "staff" else "first_touch")
    case = Case(make_member(), make_promoter())
    assert (case.by_hand() if door == "staff" else case.touched()) == "bound"
    assert Binding.objects.get().started_at == AT
    before = selectors.attribution_of(case.customer.pk, at=AT - timedelta(seconds=1))
    assert before == selectors.NOBODY
    assert selectors.attribution_of(case.customer.pk, at=AT).promoter_1 == case.promoter.pk


def test_a_blocked_or_closed_account_is_bound_by_nobody() -> None:
    for status, code in (("blocked", "member_blocked"), ("closed", "member_closed")):
        assert Case(make_member(status=status), make_promoter()).by_hand() == code
    assert not Binding.objects.exists()
