"""What is refused about bindings, share links and visits besides a wrong code."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError
from referrals.errors import OwnCode


class OwnCustomer(OwnCode):
    """One person stands behind a customer and a promoter (rule H1)."""

    message = _("One person is behind this customer and this promoter.")


class ReferralCycle(DomainError):
    """The customer brought the promoter, himself or through others (rule H2)."""

    code = "referral_cycle"
    message = _("The promoter was brought by this customer, directly or through others.")


class HasOrdered(DomainError):
    """Who has paid an order gets no new binding (rule H3)."""

    code = "has_ordered"
    message = _("The customer has already paid an order and gets no new binding.")


class BindingProtected(DomainError):
    """The binding there is is protected (rule H3)."""

    code = "binding_protected"
    message = _("The binding is protected until %(day)s; end it first, with a reason.")


class StaffForHimself(DomainError):
    """An employee decides in favour of his own promoter account (rule H9)."""

    code = "staff_for_himself"
    message = _("Nobody binds customers to himself; ask a colleague.")


class NotEmployed(DomainError):
    """Only employees have codes for their work."""

    code = "not_employed"
    message = _("This person does not work here.")


class AlreadyEmployed(DomainError):
    """The member, or the staff user, is in the list already."""

    code = "already_employed"
    message = _("This person is already in the list of employees.")


class VisitKeyUsed(DomainError):
    """Two different openings carry one key."""

    code = "visit_key_used"
    message = _("This visit key belongs to another visit; make a new one.")
