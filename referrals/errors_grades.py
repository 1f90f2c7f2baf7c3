"""What setting a grade refuses."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError


class PromoterClosed(DomainError):
    """Nothing is changed any more."""

    code = "promoter_closed"
    message = _("This promoter's account is closed.")


class BadProtection(DomainError):
    """A grade set by hand is protected for a time that begins now."""

    code = "bad_protection"
    message = _("The protection must end after today and at most %(days)s days from now.")
    status = 400


class GradeMoved(DomainError):
    """Somebody else changed the grade while this was decided."""

    code = "grade_moved"
    message = _("The grade was changed meanwhile; look again.")
