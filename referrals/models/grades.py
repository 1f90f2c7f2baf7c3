from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from referrals.models.promoters import Grade, Promoter


class GradeChange(models.Model):
    """One change of a promoter's grade: by which rule and which numbers, or by whom and why.

    facts: what the rule looked at, as whole numbers. protected_until: until then the rule does
    not take away what was given by hand, and does not give back what was taken by hand.
    """

    append_only = True

    class Cause(models.TextChoices):
        RAISED = "raised", _("Raised by the rule")
        LOWERED = "lowered", _("Lowered by the rule")
        BY_HAND = "by_hand", _("Set by staff")

    promoter = models.ForeignKey(
        Promoter, models.PROTECT, related_name="grade_changes", verbose_name=_("promoter")
    )
    cause = models.CharField(_("cause"), max_length=16, choices=Cause.choices)
    from_grade = models.ForeignKey(
        Grade,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("grade before"),
    )
    to_grade = models.ForeignKey(
        Grade, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("grade")
    )
    rule_version = models.PositiveIntegerField(_("version of the rule"), null=True, blank=True)
    facts = models.JSONField(_("numbers"), default=list)
    why = models.CharField(_("reason"), max_length=400)
    changed_by = models.CharField(_("changed by"), max_length=64)
    changed_at = models.DateTimeField(_("changed at"))
    protected_until = models.DateTimeField(_("protected until"), null=True, blank=True)

    class Meta:
        verbose_name = _("change of grade")
        verbose_name_plural = _("changes of grade")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    cause__in=["raised", "lowered"],
                    rule_version__isnull=False,
                    protected_until__isnull=True,
                )
                | Q(cause="by_hand", rule_version__isnull=True, protected_until__isnull=False),
                name="grade_change_has_its_cause",
            ),
            models.CheckConstraint(
                condition=Q(cause="by_hand")
                | Q(from_grade__isnull=True, to_grade__isnull=False)
                | Q(from_grade__isnull=False, to_grade__isnull=True)
                | ~Q(from_grade=F("to_grade")),
                name="grade_change_changes",
            ),
            models.CheckConstraint(condition=~Q(why=""), name="grade_change_has_reason"),
        ]
        indexes = [models.Index(fields=["promoter", "-id"], name="grade_change_by_promoter")]
        permissions = [("set_grade", _("Can set a promoter's grade by hand"))]

    def __str__(self) -> str:
        return f"{self.promoter} → {self.to_grade or '–'}"
