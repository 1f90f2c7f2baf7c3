"""Why this amount: one paragraph about a commission, in the reader's language."""

from __future__ import annotations

from django.utils.translation import gettext as _

from commissions.models import Commission
from distro.clock import BEIJING
from distro.money import percent, yuan


def explain(commission: Commission) -> str:
    """Say how a commission came about, what was taken back and when it is released."""
    parts = [_base(commission), _rate(commission)]
    if commission.capped:
        parts.append(_cap(commission))
    parts.append(_("That makes %(amount)s yuan.") % {"amount": yuan(commission.amount_fen)})
    if commission.reversed_fen:
        parts.append(
            _("After refunds %(back)s yuan were taken back; %(kept)s yuan remain.")
            % {"back": yuan(commission.reversed_fen), "kept": yuan(commission.kept_fen)}
        )
    parts.append(_state(commission))
    return " ".join(parts)


def _base(commission: Commission) -> str:
    return _("Order %(order)s, %(title)s: the base is %(base)s yuan (%(kind)s).") % {
        "order": commission.order.number,
        "title": commission.line.title,
        "base": yuan(commission.base_fen),
        "kind": commission.plan.get_base_display(),
    }


def _rate(commission: Commission) -> str:
    values = {
        "plan": str(commission.plan),
        "level": commission.level,
        "scope": commission.rate.get_scope_display(),
        "grade": str(commission.grade) if commission.grade else _("every grade"),
        "uncapped": yuan(commission.uncapped_fen),
    }
    if commission.rate_bps is None:
        values["fixed"] = yuan(commission.fixed_fen or 0)
        values["units"] = commission.line.quantity
        return (
            _(
                "Plan %(plan)s pays level %(level)s (%(scope)s, %(grade)s) %(fixed)s yuan a unit,"
                " %(units)s units: %(uncapped)s yuan."
            )
            % values
        )
    values["rate"] = percent(commission.rate_bps)
    return (
        _(
            "Plan %(plan)s pays level %(level)s (%(scope)s, %(grade)s) %(rate)s %%,"
            " rounded down to the fen: %(uncapped)s yuan."
        )
        % values
    )


def _cap(commission: Commission) -> str:
    return _("The plan's cap of %(cap)s %% of the order over all levels cut it.") % {
        "cap": percent(commission.plan.cap_bps)
    }


def _state(commission: Commission) -> str:
    if commission.status == Commission.Status.REVERSED:
        return _("Nothing of it is left.")
    if commission.status == Commission.Status.SETTLED and commission.settlement:
        day = commission.settlement.settled_at.astimezone(BEIJING)
        return _("It was settled on %(day)s.") % {"day": f"{day:%Y-%m-%d}"}
    if commission.release_at:
        day = commission.release_at.astimezone(BEIJING)
        return _("It is frozen and will be released on %(day)s.") % {"day": f"{day:%Y-%m-%d}"}
    return _("It is frozen until %(days)s days after the goods were received.") % {
        "days": commission.plan.release_days
    }
