"""What the reads of teams refuse."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError


class BadPeriod(DomainError):
    """The last day is before the first, or they are too far apart."""

    code = "bad_period"
    message = _("The period must end on or after its first day and hold at most %(days)s days.")
    status = 400
