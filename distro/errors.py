"""Refusals: what a caller may not do, with a stable code and a text in the reader's language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

BRIEF_CHARS = 200
NUMBERS = re.compile(r"\d{5,}")
QUOTED = re.compile(r"([\"'(]).*?([\"')])")


class DomainError(Exception):
    """A refusal that the caller can understand.

    code: what programs compare. message: may hold %(name)s, filled from the params.
    status: the HTTP status it is answered with. field: the input it is about, if one.
    """

    code: ClassVar[str] = "refused"
    message: ClassVar[StrOrPromise] = _("This cannot be done.")
    status: ClassVar[int] = 409

    def __init__(self, *, field: str | None = None, **params: object) -> None:
        super().__init__()
        self.field = field
        self.params = params

    def __str__(self) -> str:
        return str(self.message) % self.params if self.params else str(self.message)


class BadAmount(DomainError):
    """The text is not an amount in yuan."""

    code = "bad_amount"
    message = _("Write an amount in yuan with at most two decimals, for instance 12.34.")
    status = 400


class AmountOutOfRange(DomainError):
    """The amount is not a whole number of fen, too small or too large."""

    code = "amount_out_of_range"
    message = _("The amount must be a whole number of fen from %(minimum)s to %(maximum)s.")
    status = 400


class IllegalTransition(DomainError):
    """The row is not, or no longer, in a state from which this step is possible."""

    code = "illegal_transition"
    message = _("%(row)s cannot go from %(from_status)s to %(to_status)s.")


class NotFound(DomainError):
    """There is no such thing for this caller."""

    code = "not_found"
    message = _("Not found.")
    status = 404


class NotAllowed(DomainError):
    """The caller may not do this."""

    code = "not_allowed"
    message = _("You are not allowed to do this.")
    status = 403


class ConflictingContent(DomainError):
    """The key was used before, for something else."""

    code = "conflicting_content"
    message = _("This was already recorded with other content.")


class StillRunning(DomainError):
    """The same request is being worked on."""

    code = "still_running"
    message = _("The same request is still running; ask again in a moment.")


class TooMany(DomainError):
    """The caller asks too often."""

    code = "too_many"
    message = _("Too many requests; try again later.")
    status = 429


def brief(error: BaseException) -> str:
    """Say in one line what went wrong, without values that could name a person.

    Refusals give their code; of other errors quoted values and long numbers are left out.
    """
    if isinstance(error, DomainError):
        return f"{type(error).__name__}: {error.code}"
    lines = str(error).strip().splitlines() or [""]
    text = NUMBERS.sub("#", QUOTED.sub(r"\1…\2", lines[0]))
    return f"{type(error).__name__}: {text}"[:BRIEF_CHARS].rstrip(": ")
