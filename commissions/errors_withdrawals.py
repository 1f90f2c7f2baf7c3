"""What withdrawals, their review and their payout refuse."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError


class WithdrawalTooSmall(DomainError):
    """The sum is below the smallest withdrawal."""

    code = "withdrawal_too_small"
    message = _("The smallest withdrawal is %(minimum)s yuan.")
    status = 400


class NotEnoughAvailable(DomainError):
    """The sum is more than what is available."""

    code = "not_enough_available"
    message = _("Only %(available)s yuan can be withdrawn now.")


class StillOwes(DomainError):
    """The promoter owes money."""

    code = "still_owes"
    message = _("%(owed)s yuan are owed; they are paid off before anything can be withdrawn.")


class PromoterOnHold(DomainError):
    """Somebody has to decide something about this promoter first."""

    code = "promoter_on_hold"
    message = _("Withdrawals are on hold while a question about this account is open.")
    status = 403


class IdentityNotVerified(DomainError):
    """Money is paid to verified persons only."""

    code = "identity_not_verified"
    message = _("Verify your identity first; commission is paid to verified persons only.")
    status = 403


class PayeeUnderAge(DomainError):
    """Money is paid to adults only."""

    code = "payee_under_age"
    message = _("Commission is paid out from the age of 18 on.")
    status = 403


class NoWechatAccount(DomainError):
    """There is no WeChat account to pay to."""

    code = "no_wechat_account"
    message = _("Log in through WeChat once, so that there is an account to pay to.")


class SplitImpossible(DomainError):
    """The sum cannot be paid in transfers that the channel takes."""

    code = "split_impossible"
    message = _("WeChat cannot pay this sum out; withdraw %(nearest)s yuan instead.")
    status = 400


class NoPayoutPolicy(DomainError):
    """Nobody has set the limits of withdrawals."""

    code = "no_payout_policy"
    message = _("Withdrawals are not open yet.")


class AlreadySent(DomainError):
    """The money may be on its way."""

    code = "already_sent"
    message = _("This withdrawal is being paid or has ended; it can no longer be stopped.")


class NothingToDecide(DomainError):
    """The request does not wait for this decision."""

    code = "nothing_to_decide"
    message = _("Nothing of this request waits for that decision.")


class OnlyStaffDecides(DomainError):
    """Approvals come from persons of the staff."""

    code = "only_staff_decides"
    message = _("Only staff decides on withdrawals.")
    status = 403


class MakerCannotApprove(DomainError):
    """Who made the request does not approve it."""

    code = "maker_cannot_approve"
    message = _("Who made a request cannot approve it.")
    status = 403


class AlreadyApproved(DomainError):
    """One person's approval counts once."""

    code = "already_approved"
    message = _("You have approved this request; another person has to approve it too.")
