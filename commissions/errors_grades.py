"""What grade rules refuse, and why."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError


class GradeRuleRefused(DomainError):
    """A rule is against the law, or makes no sense."""

    code = "grade_rule_refused"
    message = _("The grade rule cannot be saved.")
    status = 400


class GradeInputCountsHeads(GradeRuleRefused):
    code = "grade_input_counts_heads"
    message = _(
        "“%(name)s” counts people. A grade has rates of its own, and pay that depends on how many"
        " people somebody recruited is pyramid selling (Regulation on the Prohibition of Pyramid"
        " Selling, art. 7). Use the promoter's own settled sales instead."
    )


class GradeInputWithoutData(GradeRuleRefused):
    code = "grade_input_without_data"
    message = _(
        "“%(name)s” is allowed, but the shop records nothing it could be computed from yet."
    )


class GradeInputUnknown(GradeRuleRefused):
    code = "grade_input_unknown"
    message = _(
        "A grade cannot depend on “%(name)s”, only on what the promoter sells and does himself."
    )


class GradeMonthsOutOfRange(GradeRuleRefused):
    code = "grade_months_out_of_range"
    message = _("A condition looks at 1 to %(maximum)s months.")


class GradeBarOutOfRange(GradeRuleRefused):
    code = "grade_bar_out_of_range"
    message = _("This condition needs a value from %(minimum)s to %(maximum)s.")


class GradeRuleEmpty(GradeRuleRefused):
    code = "grade_rule_empty"
    message = _("The rule has no conditions. Add one.")


class GradeRanksEqual(GradeRuleRefused):
    code = "grade_ranks_equal"
    message = _("Two grades of the rule have the same rank; give each a rank of its own.")


class GradeConditionTwice(GradeRuleRefused):
    code = "grade_condition_twice"
    message = _("Group %(group)s has two conditions on the same numbers. Remove one.")


class GradeCannotBeEarned(GradeRuleRefused):
    code = "grade_cannot_be_earned"
    message = _(
        "Group %(group)s has upper limits only; whoever sells next to nothing would meet it."
    )


class GradeRuleStartsTooEarly(GradeRuleRefused):
    code = "grade_rule_starts_too_early"
    message = _("The rule can take effect from %(earliest)s on.")


class GradeRuleBeforeHarder(GradeRuleRefused):
    code = "grade_rule_before_harder"
    message = _(
        "The rule planned for %(planned)s would soon take away what this one gives, without seven"
        " days' notice. Let this one take effect then or later."
    )


class GradeRuleNotDraft(GradeRuleRefused):
    code = "grade_rule_not_draft"
    message = _("The rule is already published.")
    status = 409
