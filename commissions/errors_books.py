"""What closing a month and correcting by hand refuse."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError


class MonthNotOver(DomainError):
    """A month is closed after its last day in Beijing."""

    code = "month_not_over"
    message = _("The month is not over yet. Close it from its next month on.")


class MonthAlreadyClosed(DomainError):
    code = "month_already_closed"
    message = _("%(month)s is already closed or lies before the first booking.")


class BooksBusy(DomainError):
    """Closing waits for all postings under way, and holds up the others meanwhile."""

    code = "books_busy"
    message = _("A long posting is under way. Close the month again in a few minutes.")


class MonthNotNext(DomainError):
    """Months are closed in order."""

    code = "month_not_next"
    message = _("Months are closed in order. Close %(month)s first.")


class NothingOwed(DomainError):
    """A debt is written off up to what is owed."""

    code = "nothing_owed"
    message = _("The promoter owes %(owed)s yuan. No more can be written off.")


class ReasonTooLong(DomainError):
    code = "reason_too_long"
    message = _("Write the reason in at most %(maximum)s characters.")
    status = 400


class SecondPersonNeeded(DomainError):
    """Who asked for a correction does not book it."""

    code = "second_person_needed"
    message = _("You asked for this correction. Another person must book it.")
    status = 403
