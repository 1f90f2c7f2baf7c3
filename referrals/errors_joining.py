"""What stands in the way of becoming, or staying, a promoter."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError

# --- Gates ----------------------------------------------------------------------------------


class InviteMissing(DomainError):
    """The gate asks for an invite code."""

    code = "invite_missing"
    message = _("One needs an invite code to become a promoter here; it is free.")
    status = 400


class InviteMistyped(DomainError):
    """The invite code's check character does not fit: it was copied wrongly."""

    code = "invite_mistyped"
    message = _("This invite code is mistyped; compare it character by character.")
    status = 400


class InviteUnknown(DomainError):
    """The invite code is well formed, but nobody made it."""

    code = "invite_unknown"
    message = _("This invite code does not exist.")
    status = 404


class InviteRevoked(DomainError):
    """The shop took the invite code back."""

    code = "invite_revoked"
    message = _("This invite code was revoked.")
    status = 410


class InviteExpired(DomainError):
    """The invite code's time is over."""

    code = "invite_expired"
    message = _("This invite code has expired.")
    status = 410


class InviteUsedUp(DomainError):
    """All uses of the invite code are taken."""

    code = "invite_used_up"
    message = _("This invite code has no uses left.")
    status = 410


class IdentityNeeded(DomainError):
    """The gate asks for a verified identity."""

    code = "identity_needed"
    message = _("Have your identity verified first; then you may become a promoter.")


class PurchaseNeeded(DomainError):
    """The gate asks for a purchase that was not made, or was returned."""

    code = "purchase_needed"
    message = _("Buy goods for %(yuan)s yuan first; returned goods do not count.")


class OwnOtherAccount(DomainError):
    """The same person is a promoter already, with another account."""

    code = "own_other_account"
    message = _("You are already a promoter with another account; use that one.")


# --- Agreement ------------------------------------------------------------------------------


class AgreementUnsigned(DomainError):
    """A promoter has not accepted the version in force."""

    code = "agreement_unsigned"
    message = _("Accept version %(version)s of the promoter agreement first, or quit.")


class ApplicationOutdated(DomainError):
    """The applicant signed a version that no longer rules."""

    code = "application_outdated"
    message = _(
        "The applicant signed an older version; he must accept version %(version)s before he can"
        " be approved."
    )


class NoticeTooShort(DomainError):
    """A change for the worse needs seven days' notice."""

    code = "notice_too_short"
    message = _("It worsens the promoter's position: let it take effect on %(day)s or later.")


class HighlightNotInText(DomainError):
    """A highlighted clause is not a passage of the text."""

    code = "highlight_not_in_text"
    message = _("This highlighted clause does not stand in the text: %(passage)s")


class TooManyHighlights(DomainError):
    """So many clauses cannot be kept with a signature."""

    code = "too_many_highlights"
    message = _("Highlight at most %(maximum)s clauses.")


class HighlightsDiffer(DomainError):
    """The page did not mark the clauses that it should have marked."""

    code = "highlights_differ"
    message = _("The page must mark the highlighted clauses of the agreement; load it again.")


# --- Quitting -------------------------------------------------------------------------------


class QuittingUnconfirmed(DomainError):
    """Quitting wants to be confirmed."""

    code = "quitting_unconfirmed"
    message = _("Confirm that you want to quit.")
    status = 400


class AlreadyQuitting(DomainError):
    """The promoter asked to quit before."""

    code = "already_quitting"
    message = _("You have already asked to quit.")


class NotQuitting(DomainError):
    """There is no open wish to quit."""

    code = "not_quitting"
    message = _("You have not asked to quit.")
    status = 404


class PromoterQuits(DomainError):
    """Who wants to quit gets no new links and customers."""

    code = "promoter_quits"
    message = _("This promoter has asked to quit: no new links, no new customers.")


# --- Legal overrides ------------------------------------------------------------------------


class SecondPersonNeeded(DomainError):
    """Who asked for it cannot approve it."""

    code = "second_person_needed"
    message = _("Another person than the one who asked for it must approve it.")


class OverrideTooLong(DomainError):
    """An override ends within 180 days."""

    code = "override_too_long"
    message = _("Let it end in the future, at most %(days)s days from now.")
    status = 400
