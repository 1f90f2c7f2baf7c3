"""Why a promoter has his grade: one sentence from the numbers that were kept, for any reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from commissions.models import GradeCondition
from commissions.rules_grades import AT_MOST, MONTHS, ORDERS, REFUNDS, SALES, Condition, is_met
from commissions.selectors_grades import month_before
from commissions.selectors_standing import GradeStanding
from distro.money import percent, yuan
from referrals.models import Grade, GradeChange

Facts = Sequence[dict[str, Any]]


def explain_change(change: GradeChange) -> str:
    """Say why a grade was changed; of a decision by hand, what the person said."""
    if change.cause == GradeChange.Cause.RAISED:
        return raised_text(change.to_grade, change.facts)
    if change.cause == GradeChange.Cause.LOWERED:
        return lowered_text(change.from_grade, change.to_grade, change.facts)
    return change.why


def raised_text(grade: Grade | None, facts: Facts) -> str:
    """Say what earned a grade."""
    return _("%(grade)s because %(facts)s.") % {"grade": name_of(grade), "facts": _all(facts)}


def lowered_text(before: Grade | None, after: Grade | None, facts: Facts) -> str:
    """Say what was missing for the grade of before, a second time."""
    values = {"before": name_of(before), "after": name_of(after), "facts": missing(facts)}
    return _("%(after)s instead of %(before)s, as announced, because %(facts)s.") % values


def warned_text(grade: Grade, month: date, facts: Facts) -> str:
    """Say what was missing, and what it means."""
    values = {"grade": name_of(grade), "month": f"{month:%Y-%m}", "facts": missing(facts)}
    return (
        _("Not enough for %(grade)s: %(facts)s. You keep it if you earn it again in %(month)s.")
        % values
    )


def condition_text(condition: Condition) -> str:
    """Say what a condition asks for."""
    values = {
        "input": GradeCondition.Input(condition.input).label,
        "sign": "≤" if condition.input in AT_MOST else "≥",
        "bar": bar_text(condition.input, condition.bar),
        "months": condition.months,
    }
    if condition.months == 1:
        return _("%(input)s %(sign)s %(bar)s in a month") % values
    return _("%(input)s %(sign)s %(bar)s in %(months)s months") % values


def bar_text(name: str, value: int) -> str:
    """Write a number with its unit."""
    if name == SALES:
        whole, cents = yuan(value).split(".")
        return f"¥{int(whole):,}.{cents}"
    return f"{percent(value)} %" if name == REFUNDS else str(value)


def name_of(grade: Grade | None) -> str:
    """Name a grade."""
    return grade.name if grade else _("no grade")


def _all(facts: Facts) -> str:
    return _(" and ").join(_fact(fact) for fact in facts)


def missing(facts: Facts) -> str:
    """Name what was not reached: at least one in each group."""
    return _all([fact for fact in facts if not _met(fact)])


def _met(fact: dict[str, Any]) -> bool:
    return is_met(Condition(0, 1, fact["input"], fact["months"], fact["bar"]), fact["value"])


def _fact(fact: dict[str, Any]) -> str:
    name, value = fact["input"], fact["value"]
    values = {"period": _period(fact), "bar": bar_text(name, fact["bar"])}
    if value is None:
        return _("nothing was sold in %(period)s") % values
    values["value"] = bar_text(name, value)
    if name in AT_MOST:
        values["sign"] = "≤" if _met(fact) else ">"
    else:
        values["sign"] = "≥" if _met(fact) else "<"
    return _texts()[name] % values


def _texts() -> dict[str, str]:
    return {
        SALES: _("own settled sales in %(period)s were %(value)s %(sign)s %(bar)s"),
        ORDERS: _("own settled orders in %(period)s were %(value)s %(sign)s %(bar)s"),
        REFUNDS: _("the share of own sales refunded in %(period)s was %(value)s %(sign)s %(bar)s"),
        MONTHS: _("months with own settled orders in %(period)s were %(value)s %(sign)s %(bar)s"),
    }


def _period(fact: dict[str, Any]) -> str:
    """Name the months that were looked at."""
    last: str = fact["month"]
    if fact["months"] == 1:
        return last
    year, month = map(int, last.split("-"))
    year, index = divmod(year * 12 + month - fact["months"], 12)
    return _("%(first)s to %(last)s") % {"first": f"{year}-{index + 1:02d}", "last": last}


def standing_explained(standing: GradeStanding) -> dict[str, Any]:
    """Say how a promoter stands, and how each grade is earned, in the reader's language."""
    change, warning = standing.change, standing.warning
    rungs = reversed(standing.ladder.rungs) if standing.ladder else ()
    return {
        "grade": standing.grade.name if standing.grade else None,
        "since": change.changed_at if change else None,
        "because": explain_change(change) if change else "",
        "protected_until": change.protected_until if change else None,
        "warning": (
            warned_text(warning.grade, month_before(warning.month, -1), warning.facts)
            if warning
            else ""
        ),
        "grades": [
            {
                "name": standing.names[rung.grade_id],
                "ways": [texts_of(group) for group in rung.groups],
            }
            for rung in rungs
        ],
    }


def texts_of(conditions: Iterable[Condition]) -> str:
    """Say what a group of conditions asks for together."""
    return _(" and ").join(condition_text(one) for one in conditions)
