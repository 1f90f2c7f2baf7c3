from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from commissions.models.ledger import Settlement
from commissions.models.plans import CAP_BPS_MAX, Plan, PlanRate
from orders.models import Order, OrderLine, Refund
from referrals.models import Grade, Promoter


class Accrual(models.Model):
    """The record that an order's commissions were computed, also when there was nothing to pay."""

    class Outcome(models.TextChoices):
        ACCRUED = "accrued", _("Commission accrued")
        NO_PROMOTER = "no_promoter", _("No promoter bound")
        SELF_PURCHASE = "self_purchase", _("Bought by the promoter himself")
        NO_PLAN = "no_plan", _("No plan in force")
        ZERO_BASE = "zero_base", _("Nothing paid for goods")
        BELOW_MINIMUM = "below_minimum", _("Order below the plan's minimum")
        NOT_ENTITLED = "not_entitled", _("Promoter suspended or closed")
        BOUND_LATER = "bound_later", _("Bound after the payment")
        IMPORTED = "imported", _("Imported; paid by the old system")

    frozen_columns = (
        "order_id",
        "revision",
        "outcome",
        "plan_id",
        "plan_forced",
        "base_fen",
        "cap_fen",
        "accrued_at",
    )
    frozen_when = "1 = 1"

    order = models.ForeignKey(
        Order, models.PROTECT, related_name="accruals", verbose_name=_("order")
    )
    revision = models.PositiveIntegerField(_("revision"), default=1)
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome.choices)
    plan = models.ForeignKey(
        Plan,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="accruals",
        verbose_name=_("plan"),
    )
    plan_forced = models.BooleanField(
        _("plan chosen by hand"),
        default=False,
        help_text=_("The import named the plan; its start was not looked at."),
    )
    base_fen = models.BigIntegerField(_("base (fen)"), default=0)
    cap_fen = models.BigIntegerField(_("cap (fen)"), default=0)
    accrued_at = models.DateTimeField(_("accrued at"))
    voided_at = models.DateTimeField(_("voided at"), null=True, blank=True)

    class Meta:
        verbose_name = _("accrual")
        verbose_name_plural = _("accruals")
        constraints = [
            models.UniqueConstraint(
                fields=["order"], condition=Q(voided_at__isnull=True), name="accrual_one_live"
            ),
            models.UniqueConstraint(fields=["order", "revision"], name="accrual_revision_once"),
            models.CheckConstraint(
                condition=Q(base_fen__gte=0, cap_fen__gte=0, cap_fen__lte=F("base_fen")),
                name="accrual_amounts_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order} r{self.revision} {self.get_outcome_display()}"


class Commission(models.Model):
    """What one promoter earns from one order line at one level, with all that explains it."""

    class Status(models.TextChoices):
        FROZEN = "frozen", _("Frozen")
        SETTLED = "settled", _("Settled")
        REVERSED = "reversed", _("Taken back")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.FROZEN: {Status.SETTLED, Status.REVERSED},
        Status.SETTLED: {Status.REVERSED},
        Status.REVERSED: set(),
    }

    frozen_columns = (
        "accrual_id",
        "order_id",
        "line_id",
        "level",
        "promoter_id",
        "plan_id",
        "rate_id",
        "grade_id",
        "base_fen",
        "rate_bps",
        "fixed_fen",
        "uncapped_fen",
        "amount_fen",
        "capped",
        "paid_at",
    )
    frozen_when = "1 = 1"

    accrual = models.ForeignKey(Accrual, models.PROTECT, related_name="commissions")
    order = models.ForeignKey(
        Order, models.PROTECT, related_name="commissions", verbose_name=_("order")
    )
    line = models.ForeignKey(
        OrderLine, models.PROTECT, related_name="commissions", verbose_name=_("order line")
    )
    level = models.PositiveSmallIntegerField(_("level"))
    promoter = models.ForeignKey(
        Promoter, models.PROTECT, related_name="commissions", verbose_name=_("promoter")
    )
    plan = models.ForeignKey(
        Plan, models.PROTECT, related_name="commissions", verbose_name=_("plan")
    )
    rate = models.ForeignKey(PlanRate, models.PROTECT, related_name="+", verbose_name=_("rate"))
    grade = models.ForeignKey(
        Grade, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("grade")
    )
    base_fen = models.BigIntegerField(_("base (fen)"))
    rate_bps = models.PositiveIntegerField(_("rate (bps)"), null=True, blank=True)
    fixed_fen = models.BigIntegerField(_("fixed per unit (fen)"), null=True, blank=True)
    uncapped_fen = models.BigIntegerField(_("before the cap (fen)"))
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    capped = models.BooleanField(_("cut by the cap"), default=False)
    reversed_fen = models.BigIntegerField(_("taken back (fen)"), default=0)
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.FROZEN
    )
    paid_at = models.DateTimeField(_("order paid at"))
    release_at = models.DateTimeField(_("released at"), null=True, blank=True)
    settlement = models.ForeignKey(
        Settlement,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="commissions",
        verbose_name=_("settlement"),
    )
    settled_fen = models.BigIntegerField(_("settled (fen)"), null=True, blank=True)
    voided_at = models.DateTimeField(_("voided at"), null=True, blank=True)

    class Meta:
        verbose_name = _("commission")
        verbose_name_plural = _("commissions")
        constraints = [
            models.UniqueConstraint(
                fields=["line", "level"],
                condition=Q(voided_at__isnull=True),
                name="commission_one_a_level",
            ),
            models.UniqueConstraint(
                fields=["line", "promoter"],
                condition=Q(voided_at__isnull=True),
                name="commission_one_a_promoter",
            ),
            models.CheckConstraint(
                condition=Q(level__gte=1, level__lte=3), name="commission_level_at_most_three"
            ),
            models.CheckConstraint(
                condition=Q(amount_fen__gt=0, amount_fen__lte=F("uncapped_fen")),
                name="commission_amount_positive",
            ),
            models.CheckConstraint(
                condition=Q(amount_fen__lte=F("base_fen") * CAP_BPS_MAX / 10_000),
                name="commission_amount_legal",
            ),
            models.CheckConstraint(
                condition=Q(reversed_fen__gte=0, reversed_fen__lte=F("amount_fen")),
                name="commission_reversed_within_amount",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["frozen", "settled", "reversed"]),
                name="commission_status_known",
            ),
            models.CheckConstraint(
                condition=~Q(status="reversed") | Q(reversed_fen=F("amount_fen")),
                name="commission_reversed_is_whole",
            ),
            models.CheckConstraint(
                condition=~Q(status="settled")
                | Q(settlement__isnull=False, settled_fen__isnull=False),
                name="commission_settled_has_settlement",
            ),
        ]
        indexes = [
            models.Index(fields=["promoter", "-id"], name="commission_by_promoter"),
            models.Index(fields=["order"], name="commission_by_order"),
            models.Index(fields=["paid_at"], name="commission_by_paid"),
            models.Index(
                fields=["release_at"],
                condition=Q(status="frozen", voided_at__isnull=True, release_at__isnull=False),
                name="commission_due",
            ),
        ]
        permissions = [("export_commission", _("Can export commissions"))]

    def __str__(self) -> str:
        return f"{self.order} L{self.level}"

    @property
    def kept_fen(self) -> int:
        return self.amount_fen - self.reversed_fen


class Reversal(models.Model):
    """How much of one commission one refund (or the voiding of an accrual) took back."""

    append_only = True

    class Cause(models.TextChoices):
        REFUND = "refund", _("Refund")
        VOID = "void", _("Accrual corrected")

    commission = models.ForeignKey(
        Commission, models.PROTECT, related_name="reversals", verbose_name=_("commission")
    )
    cause = models.CharField(_("cause"), max_length=16, choices=Cause.choices)
    refund = models.ForeignKey(
        Refund,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="reversals",
        verbose_name=_("refund"),
    )
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    from_frozen_fen = models.BigIntegerField(_("from frozen (fen)"), default=0)
    from_available_fen = models.BigIntegerField(_("from available (fen)"), default=0)
    as_debt_fen = models.BigIntegerField(_("as debt (fen)"), default=0)
    booked_at = models.DateTimeField(_("booked at"))

    class Meta:
        verbose_name = _("reversal")
        verbose_name_plural = _("reversals")
        constraints = [
            models.UniqueConstraint(
                fields=["commission", "refund"],
                condition=Q(cause="refund"),
                name="reversal_once_a_refund",
            ),
            models.UniqueConstraint(
                fields=["commission"], condition=Q(cause="void"), name="reversal_once_a_void"
            ),
            models.CheckConstraint(
                condition=Q(cause="refund", refund__isnull=False)
                | Q(cause="void", refund__isnull=True),
                name="reversal_has_its_cause",
            ),
            models.CheckConstraint(
                condition=Q(
                    amount_fen__gt=0,
                    amount_fen=F("from_frozen_fen") + F("from_available_fen") + F("as_debt_fen"),
                    from_frozen_fen__gte=0,
                    from_available_fen__gte=0,
                    as_debt_fen__gte=0,
                ),
                name="reversal_parts_sum",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.commission} −{self.amount_fen}"
