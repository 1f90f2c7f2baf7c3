"""What the accrual, the ledger and the plans refuse."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError


class AccountClosed(DomainError):
    """Its promoter has left."""

    code = "account_closed"
    message = _("This promoter's account is closed; nothing can be credited to it.")


class InsufficientFunds(DomainError):
    """A posting would take more from an account than stands on it."""

    code = "insufficient_funds"
    message = _("The account holds less than this.")


class OrderNotPaid(DomainError):
    """Commission exists only for a paid order."""

    code = "order_not_paid"
    message = _("The order is not paid, so there is nothing to accrue.")


class PlanRefused(DomainError):
    """A plan breaks a rule of law or arithmetic and is not published."""

    code = "plan_refused"
    message = _("The plan cannot be published.")
    status = 400


class PlanHasNoRates(PlanRefused):
    code = "plan_has_no_rates"
    message = _("The plan has no rate for level 1. Add one.")


class PlanRateTwice(PlanRefused):
    code = "plan_rate_twice"
    message = _("Two rates stand for the same scope, grade and level %(level)s. Remove one.")


class PlanLevelTooDeep(PlanRefused):
    code = "plan_level_too_deep"
    message = _("Level %(level)s is not paid in the WeChat channel; at most %(maximum)s are.")


class PlanRiskNotAccepted(PlanRefused):
    code = "plan_risk_not_accepted"
    message = _("Level 2 is paid only after somebody has accepted its legal risk in writing.")


class PlanRatesPassCap(PlanRefused):
    code = "plan_rates_pass_cap"
    message = _("All levels together pay %(sum)s %%, above the cap of %(cap)s %%.")


class PlanRatesGrow(PlanRefused):
    code = "plan_rates_grow"
    message = _("Level %(level)s pays more than the level before it.")


class PlanStartsTooEarly(PlanRefused):
    code = "plan_starts_too_early"
    message = _("The plan can take effect from %(earliest)s on.")


class PlanNotDraft(PlanRefused):
    code = "plan_not_draft"
    message = _("The plan is already published.")
    status = 409
