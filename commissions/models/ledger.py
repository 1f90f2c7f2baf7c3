from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from referrals.models import Promoter

PROMOTER_KINDS = ["frozen", "available", "withdrawing", "receivable"]

BACK = [("available", "expense"), ("receivable", "expense")]  # what is left of it becomes a debt
# The only postings: code -> the kinds of (debit, credit) account that it may go between.
POSTINGS: dict[str, list[tuple[str, str]]] = {
    "accrue": [("expense", "frozen")],
    "settle": [("frozen", "available")],
    "claw_frozen": [("frozen", "expense")],
    "claw_available": [("available", "expense")],
    "claw_debt": [("receivable", "expense")],
    "offset": [("available", "receivable")],
    "bonus": [("expense", "available")],
    "bonus_back": BACK,
    "reward": [("expense", "available")],
    "reward_back": BACK,
    "correct_up": [("expense", "available")],
    "correct_down": BACK,
    "write_off": [("write_off", "receivable")],
    "request": [("available", "withdrawing")],
    "return": [("withdrawing", "available")],
    "pay_net": [("withdrawing", "clearing")],
    "pay_tax": [("withdrawing", "tax_payable")],
    "bounce": [("clearing", "withdrawing")],
    "untax": [("tax_payable", "withdrawing")],
    "tax_back": [("tax_payable", "available")],
    "bank": [("clearing", "bank"), ("bank", "clearing")],
    "fee": [("fee_expense", "bank"), ("bank", "fee_expense")],
    "file_tax": [("tax_payable", "bank")],
}


class Account(models.Model):
    """Where money stands; balance = credits - debits.

    A promoter's four accounts carry a cached balance, moved together with each transfer; the
    platform's accounts are hot and have none (NULL): their balance is the sum of their transfers.
    """

    class Kind(models.TextChoices):
        FROZEN = "frozen", _("Frozen")
        AVAILABLE = "available", _("Available")
        WITHDRAWING = "withdrawing", _("Being withdrawn")
        RECEIVABLE = "receivable", _("Owed by the promoter")
        EXPENSE = "expense", _("Commission expense")
        TAX_PAYABLE = "tax_payable", _("Tax payable")
        CLEARING = "clearing", _("Clearing")
        BANK = "bank", _("Bank")
        FEE_EXPENSE = "fee_expense", _("Fee expense")
        WRITE_OFF = "write_off", _("Write-off")

    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    promoter = models.ForeignKey(
        Promoter,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="accounts",
        verbose_name=_("promoter"),
    )
    label = models.CharField(
        _("label"), max_length=32, blank=True, help_text=_("Channel or kind of tax.")
    )
    balance_fen = models.BigIntegerField(_("balance (fen)"), null=True, blank=True)
    closed = models.BooleanField(
        _("closed"),
        default=False,
        db_default=False,
        help_text=_("Its promoter has left: nothing is credited any more, a debt may still arise."),
    )

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        constraints = [
            models.UniqueConstraint(
                fields=["promoter", "kind"],
                condition=Q(promoter__isnull=False),
                name="account_one_a_kind",
            ),
            models.UniqueConstraint(
                fields=["kind", "label"],
                condition=Q(promoter__isnull=True),
                name="account_one_platform",
            ),
            models.CheckConstraint(
                condition=Q(
                    promoter__isnull=False, kind__in=PROMOTER_KINDS, balance_fen__isnull=False
                )
                | (
                    Q(promoter__isnull=True, balance_fen__isnull=True) & ~Q(kind__in=PROMOTER_KINDS)
                ),
                name="account_kind_fits_owner",
            ),
            models.CheckConstraint(
                condition=Q(balance_fen__isnull=True)
                | Q(kind="receivable", balance_fen__lte=0)
                | Q(kind__in=["frozen", "available", "withdrawing"], balance_fen__gte=0),
                name="account_balance_has_its_sign",
            ),
            models.CheckConstraint(  # also against an accrual that began before the closing
                condition=Q(closed=False) | Q(kind="receivable") | Q(balance_fen=0),
                name="account_closed_is_empty",
            ),
        ]

    def __str__(self) -> str:
        owner = str(self.promoter) if self.promoter_id else self.label
        return f"{self.get_kind_display()} {owner}".strip()


class Transfer(models.Model):
    """One movement of money between two accounts; never changed, never deleted."""

    append_only = True
    closed_when = "EXISTS (SELECT 1 FROM commissions_period WHERE last_day >= NEW.booked_on)"

    class Code(models.TextChoices):
        ACCRUE = "accrue", _("Commission accrued")
        SETTLE = "settle", _("Settled")
        CLAW_FROZEN = "claw_frozen", _("Taken back from frozen")
        CLAW_AVAILABLE = "claw_available", _("Taken back from available")
        CLAW_DEBT = "claw_debt", _("Taken back as debt")
        OFFSET = "offset", _("Debt paid off")
        REQUEST = "request", _("Withdrawal requested")
        RETURN = "return", _("Withdrawal returned")
        PAY_NET = "pay_net", _("Paid out")
        PAY_TAX = "pay_tax", _("Tax withheld")
        BONUS = "bonus", _("Bonus")
        BONUS_BACK = "bonus_back", _("Bonus taken back")
        REWARD = "reward", _("Reward")
        REWARD_BACK = "reward_back", _("Reward taken back")
        CORRECT_UP = "correct_up", _("Corrected upwards")
        CORRECT_DOWN = "correct_down", _("Corrected downwards")
        WRITE_OFF = "write_off", _("Debt written off")
        BOUNCE = "bounce", _("Payout came back")
        UNTAX = "untax", _("Tax of a payout that came back")
        TAX_BACK = "tax_back", _("Tax paid back")
        BANK = "bank", _("Moved between clearing and bank")
        FEE = "fee", _("Channel fee")
        FILE_TAX = "file_tax", _("Tax paid to the state")

    debit = models.ForeignKey(
        Account, models.PROTECT, related_name="debits", verbose_name=_("debit")
    )
    credit = models.ForeignKey(
        Account, models.PROTECT, related_name="credits", verbose_name=_("credit")
    )
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    code = models.CharField(_("code"), max_length=16, choices=Code.choices)
    idempotency_key = models.CharField(_("key"), max_length=100, unique=True)
    source = models.CharField(_("source"), max_length=64)
    booked_on = models.DateField(_("booked on"))
    occurred_at = models.DateTimeField(_("occurred at"))

    class Meta:
        verbose_name = _("transfer")
        verbose_name_plural = _("transfers")
        constraints = [
            models.CheckConstraint(condition=Q(amount_fen__gt=0), name="transfer_amount_positive"),
            models.CheckConstraint(
                condition=~Q(debit=F("credit")), name="transfer_between_two_accounts"
            ),
            models.CheckConstraint(
                condition=Q(code__in=list(POSTINGS)),
                name="transfer_code_known",
            ),
        ]
        indexes = [
            models.Index(fields=["booked_on"], name="transfer_by_day"),
            models.Index(fields=["source"], name="transfer_by_source"),
        ]

    def __str__(self) -> str:
        return f"{self.get_code_display()} {self.idempotency_key}"


class Settlement(models.Model):
    """One committed chunk of commissions that became available."""

    append_only = True

    number = models.CharField(_("settlement no."), max_length=32, unique=True)
    settled_at = models.DateTimeField(_("settled at"))

    class Meta:
        verbose_name = _("settlement")
        verbose_name_plural = _("settlements")

    def __str__(self) -> str:
        return self.number
