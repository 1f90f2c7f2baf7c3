"""What opening a share link does: the whole table of the rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from referrals.rules.binding import Current, Terms, Touched, decide

AT = datetime(2026, 11, 2, tzinfo=UTC)
LATER, EARLIER = AT + timedelta(seconds=1), AT - timedelta(seconds=1)
MODES = ["first_touch", "last_touch", "register_only"]


def touched(mode: str, **kw: object) -> Touched:
    facts = {
        "promoter_id": 7,
        "current": None,
        "has_ordered": False,
        "registering": False,
        "employee_code": False,
    }
    return decide(mode=mode, at=AT, **facts | kw)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", MODES)
def test_a_link_of_somebody_who_is_no_active_promoter_never_binds(mode: str) -> None:
    assert touched(mode, promoter_id=None, registering=True) == Touched.NOT_PROMOTER


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("current", [None, Current(8, None), Current(8, EARLIER)])
def test_who_has_ordered_keeps_what_he_has(mode: str, current: Current | None) -> None:
    assert touched(mode, has_ordered=True, current=current) == Touched.HAS_ORDERED


@pytest.mark.parametrize(
    ("mode", "registering", "outcome"),
    [
        ("first_touch", False, Touched.BOUND),
        ("first_touch", True, Touched.BOUND),
        ("last_touch", False, Touched.BOUND),
        ("last_touch", True, Touched.BOUND),
        ("register_only", False, Touched.NOT_REGISTERING),
        ("register_only", True, Touched.BOUND),
    ],
)
def test_a_free_customer_is_bound_if_the_mode_says_so(
    mode: str, registering: bool, outcome: Touched
) -> None:
    assert touched(mode, registering=registering) == outcome


@pytest.mark.parametrize(
    ("mode", "current", "outcome"),
    [
        ("first_touch", Current(8, None), Touched.KEPT),
        ("first_touch", Current(8, EARLIER), Touched.KEPT),
        ("first_touch", Current(7, LATER), Touched.KEPT),
        ("last_touch", Current(7, LATER), Touched.KEPT),
        ("last_touch", Current(8, LATER), Touched.PROTECTED),
        ("last_touch", Current(8, AT), Touched.REBOUND),  # the window is half-open
        ("last_touch", Current(8, None), Touched.REBOUND),
        ("register_only", Current(8, None), Touched.KEPT),
    ],
)
def test_a_bound_customer_moves_only_by_last_touch_and_unprotected(
    mode: str, current: Current, outcome: Touched
) -> None:
    assert touched(mode, current=current) == outcome


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("registering", [True, False])
@pytest.mark.parametrize("current", [None, Current(8, None), Current(8, EARLIER)])
def test_an_employees_code_never_binds(
    mode: str, registering: bool, current: Current | None
) -> None:
    found = touched(mode, employee_code=True, registering=registering, current=current)
    assert found == Touched.EMPLOYEE_CODE


@pytest.mark.parametrize(
    ("days", "protection", "expires", "protected"),
    [
        (None, 0, None, None),
        (None, 30, None, 30),
        (90, 30, 90, 30),
        (10, 30, 10, 10),
        (1, 0, 1, None),
    ],
)
def test_terms_count_in_days_and_protection_ends_with_the_binding(
    days: int | None, protection: int, expires: int | None, protected: int | None
) -> None:
    terms = Terms("first_touch", days, protection)
    assert terms.expires_at(AT) == (AT + timedelta(days=expires) if expires else None)
    assert terms.protected_until(AT) == (AT + timedelta(days=protected) if protected else None)
