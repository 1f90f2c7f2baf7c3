"""WeChat's reasons for a transfer that did not arrive, in the reader's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

TEXTS: dict[str, StrOrPromise] = {
    "ACCOUNT_FROZEN": _("The WeChat account is frozen."),
    "ACCOUNT_NOT_EXIST": _("The WeChat account does not exist."),
    "DAY_RECEIVED_COUNT_EXCEED": _("WeChat's number of transfers a day is reached."),
    "DAY_RECEIVED_QUOTA_EXCEED": _("WeChat's sum a day is reached."),
    "INVALID_REQUEST": _("WeChat did not take this transfer."),
    "MCH_CANCEL": _("The shop cancelled the transfer."),
    "NAME_NOT_CORRECT": _("The name does not match the WeChat account."),
    "NAME_REQUIRED": _("WeChat needs the verified name for this sum."),
    "NOT_ENOUGH": _("The shop could not pay in time."),
    "OPENID_INVALID": _("The WeChat account does not belong to this mini-program."),
    "OVERDUE_CLOSE": _("It was not confirmed within 24 hours."),
    "PAYEE_ACCOUNT_ABNORMAL": _("WeChat cannot pay to this account now."),
    "REALNAME_ACCOUNT_RECEIVED_QUOTA_EXCEED": _("WeChat's sum for this person is reached."),
    "REAL_NAME_CHECK_FAIL": _("The WeChat account is not verified by name."),
    "TRANSFER_QUOTA_EXCEED": _("WeChat's sum for transfers is reached."),
    "TRANSFER_RISK": _("WeChat stopped the transfer for its own risk control."),
}
# Reasons of our own, stored like WeChat's.
OWES = "OWES"
PAYEE_CHANGED = "PAYEE_CHANGED"
OUT_OF_LIMITS = "OUT_OF_LIMITS"
TEXTS |= {
    OWES: _("Money is owed; what came back pays it off first."),
    PAYEE_CHANGED: _("The verified person or WeChat account has changed since."),
    OUT_OF_LIMITS: _("After tax the sum is outside WeChat's limits for one transfer."),
}


def text_of(reason: str) -> str:
    """Return a stored reason for people; staff wrote some of them as they are."""
    return str(TEXTS.get(reason, reason))
