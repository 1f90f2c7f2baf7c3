from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from commissions import rules_grades as rules
from referrals.models import Grade, GradeChange, Promoter


class GradeRule(models.Model):
    """One version of the rule by which grades are earned; immutable once published."""

    frozen_columns = (
        "version",
        "name",
        "status",
        "effective_from",
        "published_at",
        "published_by",
    )
    frozen_when = "status <> 'draft'"

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        PUBLISHED = "published", _("Published")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.DRAFT: {Status.PUBLISHED},
        Status.PUBLISHED: set(),
    }

    version = models.PositiveIntegerField(_("version"), unique=True)
    name = models.CharField(_("name"), max_length=64)
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.DRAFT
    )
    effective_from = models.DateTimeField(_("effective from"))
    created_by = models.CharField(_("made by"), max_length=64, blank=True)
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)
    published_by = models.CharField(_("published by"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("grade rule")
        verbose_name_plural = _("grade rules")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["draft", "published"]), name="grade_rule_status_known"
            ),
            models.CheckConstraint(
                condition=Q(status="draft") | Q(published_at__isnull=False),
                name="grade_rule_published_has_time",
            ),
        ]
        permissions = [("publish_graderule", _("Can publish grade rules"))]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class GradeCondition(models.Model):
    """One bar of a grade; those of one group hold together, one group is enough."""

    frozen_columns = ("rule_id", "grade_id", "group", "input", "months", "bar", "published")
    frozen_when = "published"
    closed_when = (
        "EXISTS (SELECT 1 FROM commissions_graderule r"
        " WHERE r.id = NEW.rule_id AND r.status <> 'draft')"
    )

    class Input(models.TextChoices):
        SALES = rules.SALES, _("Own settled sales")
        ORDERS = rules.ORDERS, _("Own settled orders")
        REFUNDS = rules.REFUNDS, _("Share of own sales refunded")
        MONTHS = rules.MONTHS, _("Months with own settled orders")

    rule = models.ForeignKey(
        GradeRule, models.PROTECT, related_name="conditions", verbose_name=_("grade rule")
    )
    published = models.BooleanField(default=False, editable=False)
    grade = models.ForeignKey(Grade, models.PROTECT, related_name="+", verbose_name=_("grade"))
    group = models.PositiveSmallIntegerField(
        _("group"),
        default=1,
        help_text=_("Conditions of one group hold together; one group is enough."),
    )
    input = models.CharField(_("what counts"), max_length=32, choices=Input.choices)
    months = models.PositiveSmallIntegerField(
        _("months"), default=1, help_text=_("The month itself and those before it.")
    )
    bar = models.BigIntegerField(_("bar"))

    class Meta:
        verbose_name = _("condition of a grade")
        verbose_name_plural = _("conditions of grades")
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "grade", "group", "input", "months"],
                name="grade_condition_once",
            ),
            models.CheckConstraint(
                condition=Q(input__in=sorted(rules.BAR_MAX)), name="grade_condition_input_allowed"
            ),
            models.CheckConstraint(
                condition=Q(months__gte=1, months__lte=rules.MONTHS_MAX, group__gte=1),
                name="grade_condition_months_in_range",
            ),
            models.CheckConstraint(
                condition=Q(bar__gt=0) | Q(bar=0, input=rules.REFUNDS),
                name="grade_condition_bar_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.grade}: {self.get_input_display()}"


class GradeReview(models.Model):
    """What became of one promoter's grade when one month was over; one row, whoever looks."""

    append_only = True

    class Outcome(models.TextChoices):
        KEPT = rules.Verdict.KEPT.value, _("Kept")
        PROTECTED = rules.Verdict.PROTECTED.value, _("Protected by a decision of staff")
        WARNED = rules.Verdict.WARNED.value, _("Warned")
        LOWERED = rules.Verdict.LOWERED.value, _("Lowered")

    promoter = models.ForeignKey(
        Promoter, models.PROTECT, related_name="grade_reviews", verbose_name=_("promoter")
    )
    month = models.DateField(_("month"))
    rule = models.ForeignKey(
        GradeRule, models.PROTECT, related_name="reviews", verbose_name=_("grade rule")
    )
    grade = models.ForeignKey(
        Grade, models.PROTECT, related_name="+", verbose_name=_("grade of the month")
    )
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome.choices)
    facts = models.JSONField(_("numbers"), default=list)
    change = models.OneToOneField(
        GradeChange,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="review",
        verbose_name=_("change of grade"),
    )
    reviewed_at = models.DateTimeField(_("reviewed at"))

    class Meta:
        verbose_name = _("review of a grade")
        verbose_name_plural = _("reviews of grades")
        constraints = [
            models.UniqueConstraint(fields=["promoter", "month"], name="grade_review_once_a_month"),
            models.CheckConstraint(
                condition=Q(outcome="lowered", change__isnull=False)
                | Q(outcome__in=["kept", "protected", "warned"], change__isnull=True),
                name="grade_review_lowered_has_change",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.promoter} {self.month:%Y-%m}"
