"""What stands in the way of closing, merging and blocking accounts."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError

# --- Closing --------------------------------------------------------------------------------


class ClosingUnconfirmed(DomainError):
    """Closing an account wants to be confirmed."""

    code = "closing_unconfirmed"
    message = _("Confirm that you want to close your account.")
    status = 400


class AccountClosing(DomainError):
    """The account is being closed."""

    code = "account_closing"
    message = _("This account is being closed; take that back first.")


class NotClosing(DomainError):
    """There is no closing that waits, or it is not this caller's to take back."""

    code = "not_closing"
    message = _("There is no closing of this account that you could take back.")
    status = 404


class AccountStillHolds(DomainError):
    """Something came in at the last moment."""

    code = "account_still_holds"
    message = _("The account is not empty.")


# --- Merging --------------------------------------------------------------------------------


class SameAccount(DomainError):
    """An account cannot be merged with itself."""

    code = "same_account"
    message = _("These are not two accounts.")
    status = 400


class AccountMerged(DomainError):
    """The account gave way to another one before."""

    code = "account_merged"
    message = _("This account was merged into another one; use that.")


class OtherAccountStays(DomainError):
    """A promoter's account does not give way to one that is none."""

    code = "other_account_stays"
    message = _("Only one of the two is an open promoter; that account must be the one that stays.")


class PromoterUnderReview(DomainError):
    """A suspension or a hold is decided first."""

    code = "promoter_under_review"
    message = _("One of the two promoters is suspended or on hold; decide that first.")


class TwoIdentities(DomainError):
    """Two verified ID numbers are two persons."""

    code = "two_identities"
    message = _("The accounts are verified with two different ID numbers: two persons.")


class MergeProposed(DomainError):
    """A merge of this account waits for its second person."""

    code = "merge_proposed"
    message = _("A merge of this account is waiting for its second person already.")
