from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from referrals.models.promoters import Promoter
from referrals.rules.compliance import DEPTH_FROM, PEOPLE_FROM


class CompliancePolicy(models.Model):
    """From which numbers on the monitor warns, from a date on; the latest past row rules.

    The law's numbers can be tightened, not loosened; the others are the merchant's choice.
    """

    frozen_columns = (
        "effective_from",
        "people_from",
        "depth_from",
        "reward_days",
        "reward_limit_bps",
        "ghost_limit_bps",
        "reward_gate_fen",
    )
    frozen_when = "effective_from <= CURRENT_TIMESTAMP"

    effective_from = models.DateTimeField(_("effective from"), unique=True)
    people_from = models.PositiveIntegerField(
        _("people of one organiser, from"),
        default=PEOPLE_FROM,
        help_text=_("The law counts from 30 people and 3 levels; smaller numbers warn earlier."),
    )
    depth_from = models.PositiveIntegerField(
        _("levels with the organiser, from"), default=DEPTH_FROM
    )
    reward_days = models.PositiveIntegerField(_("rewards of the last (days)"), default=30)
    reward_limit_bps = models.PositiveIntegerField(
        _("coupons without a paid order, at most (bps)"), default=3_000
    )
    ghost_limit_bps = models.PositiveIntegerField(
        _("promoters whose customers only bought the minimum, at most (bps)"), default=5_000
    )
    reward_gate_fen = models.BigIntegerField(
        _("purchase that opens a reward (fen)"),
        null=True,
        blank=True,
        help_text=_("Empty: the smallest order of the commission plan in force."),
    )

    class Meta:
        verbose_name = _("compliance policy")
        verbose_name_plural = _("compliance policies")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    people_from__gte=2,
                    people_from__lte=PEOPLE_FROM,
                    depth_from__gte=2,
                    depth_from__lte=DEPTH_FROM,
                ),
                name="compliance_not_looser_than_law",
                violation_error_message=_(
                    "The law's numbers can be tightened, not loosened:"
                    " 2 to 30 people, 2 to 3 levels."
                ),
            ),
            models.CheckConstraint(
                condition=Q(
                    reward_days__gte=1,
                    reward_days__lte=366,
                    reward_limit_bps__lte=10_000,
                    ghost_limit_bps__lte=10_000,
                ),
                name="compliance_limits_in_range",
            ),
            models.CheckConstraint(
                condition=Q(reward_gate_fen__isnull=True) | Q(reward_gate_fen__gte=1),
                name="compliance_gate_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.effective_from:%Y-%m-%d}"


class ComplianceState(models.Model):
    """What the monitor thinks of one tree; trees that never were amber or red have no row.

    `people` and `depth` are the tree's own; those of the organiser, over all trees of the same
    person, decide. An acknowledgement lasts until the flag changes.
    """

    class Status(models.TextChoices):
        NONE = "none", _("Nothing to report")
        AMBER = "amber", _("Amber: watch")
        RED = "red", _("Red: act")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.NONE: {Status.AMBER, Status.RED},
        Status.AMBER: {Status.NONE, Status.RED},
        Status.RED: {Status.NONE, Status.AMBER},
    }

    root = models.OneToOneField(
        Promoter, models.PROTECT, related_name="compliance", verbose_name=_("organiser")
    )
    status = models.CharField(_("flag"), max_length=16, choices=Status.choices)
    people = models.PositiveIntegerField(_("people of this tree"))
    depth = models.PositiveIntegerField(_("levels of this tree"))
    first_root = models.ForeignKey(
        Promoter,
        models.PROTECT,
        related_name="+",
        verbose_name=_("first tree of the organiser"),
        help_text=_("The same for all trees of one person."),
    )
    organiser_trees = models.PositiveIntegerField(_("trees of the organiser"), default=1)
    organiser_people = models.PositiveIntegerField(_("people of the organiser"))
    organiser_depth = models.PositiveIntegerField(_("levels of the organiser"))
    since = models.DateTimeField(_("since"))
    acknowledged_by = models.CharField(_("acknowledged by"), max_length=64, blank=True)
    acknowledged_at = models.DateTimeField(_("acknowledged at"), null=True, blank=True)
    acknowledged_why = models.CharField(_("what was decided"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("watched tree")
        verbose_name_plural = _("watched trees")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["none", "amber", "red"]), name="compliance_status_known"
            ),
            models.CheckConstraint(
                condition=Q(acknowledged_at__isnull=True, acknowledged_by="", acknowledged_why="")
                | Q(acknowledged_at__isnull=False, status__in=["amber", "red"])
                & ~Q(acknowledged_by="")
                & ~Q(acknowledged_why=""),
                name="compliance_acknowledged_by_whom_and_why",
            ),
            models.CheckConstraint(
                condition=Q(
                    depth__lte=F("people"),
                    organiser_trees__gte=1,
                    organiser_people__gte=F("people"),
                    organiser_depth__gte=F("depth"),
                ),
                name="compliance_numbers_fit",
            ),
        ]
        indexes = [
            models.Index(
                fields=["status", "-organiser_people"],
                condition=Q(status__in=["amber", "red"]),
                name="compliance_flagged",
            )
        ]

    def __str__(self) -> str:
        return f"{self.root} {self.get_status_display()}"


class ComplianceDay(models.Model):
    """What the monitor found on one Beijing day: all trees, and what rewards were paid for.

    The columns of rewards are empty until they were looked at; `ghosts` stays empty where no
    purchase opens a reward.
    """

    day = models.DateField(_("day"), unique=True)
    promoters = models.PositiveIntegerField(_("promoters"), null=True, blank=True)
    trees = models.PositiveIntegerField(_("trees"), null=True, blank=True)
    amber = models.PositiveIntegerField(_("amber trees"), null=True, blank=True)
    red = models.PositiveIntegerField(_("red trees"), null=True, blank=True)
    rewards_from = models.DateTimeField(_("rewards from"), null=True, blank=True)
    rewards_fen = models.BigIntegerField(_("all rewards (fen)"), null=True, blank=True)
    cash_fen = models.BigIntegerField(_("cash without a paid order (fen)"), null=True, blank=True)
    coupons_fen = models.BigIntegerField(
        _("coupons without a paid order (fen)"), null=True, blank=True
    )
    gate_fen = models.BigIntegerField(
        _("purchase that opens a reward (fen)"), null=True, blank=True
    )
    sellers = models.PositiveIntegerField(
        _("promoters with buying customers"), null=True, blank=True
    )
    ghosts = models.PositiveIntegerField(
        _("whose customers only bought the minimum"), null=True, blank=True
    )

    class Meta:
        verbose_name = _("day of the compliance monitor")
        verbose_name_plural = _("days of the compliance monitor")
        constraints = [
            models.CheckConstraint(
                condition=Q(rewards_fen__isnull=True)
                | Q(rewards_fen__gte=F("cash_fen") + F("coupons_fen"), cash_fen__gte=0)
                & Q(coupons_fen__gte=0),
                name="compliance_day_parts_within_all",
            ),
            models.CheckConstraint(
                condition=Q(ghosts__isnull=True) | Q(ghosts__lte=F("sellers")),
                name="compliance_day_ghosts_are_sellers",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d}"
