"""Why somebody sees the promoter entry or not, in one sentence in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import formats, timezone
from django.utils.translation import gettext as _

from distro.money import percent
from referrals.models import ExposureDecision, ExposurePolicy
from referrals.rules.exposure import BUCKETS, Reason
from referrals.selectors_exposure import Exposure, known_tags

CONTAMINATED = frozenset({Reason.INVITED, Reason.IS_PROMOTER})


def decision_explained(row: ExposureDecision) -> str:
    """Explain what a member was told."""
    return _explained(Reason(row.reason), row.in_holdout, row.policy, row.bucket)


def exposure_explained(exposure: Exposure) -> str:
    """Explain what a member would be told now."""
    decision = exposure.decision
    policy = exposure.policy if exposure.policy.pk else None
    return _explained(decision.reason, decision.in_holdout, policy, exposure.bucket)


def _explained(
    reason: Reason, in_holdout: bool, policy: ExposurePolicy | None, bucket: int | None
) -> str:
    facts = {
        "share": percent(policy.holdout_bps) if policy else "0",
        "bucket": bucket,
        "buckets": BUCKETS,
        "tag": str(known_tags().get(policy.tag, policy.tag)) if policy else "",
    }
    text = _because(reason, facts)
    if in_holdout and reason in CONTAMINATED:
        text = _("%(text)s He was drawn not to, and stays there in the comparison.") % {
            "text": text
        }
    if policy is None:
        return _("%(text)s No exposure policy applies yet.") % {"text": text}
    day = formats.date_format(timezone.localtime(policy.effective_from), "DATE_FORMAT")
    return _("%(text)s Policy since %(day)s.") % {"text": text, "day": day}


def _because(reason: Reason, facts: Mapping[str, Any]) -> str:
    texts = {
        Reason.EVERYONE: _("Sees the promoter entry, as everyone does."),
        Reason.IS_PROMOTER: _("Sees the promoter entry, being a promoter."),
        Reason.INVITED: _("Sees the promoter entry, because staff invited him."),
        Reason.HAS_RECEIVED: _("Sees the promoter entry, having received an order."),
        Reason.HAS_TAG: _("Sees the promoter entry, having the tag %(tag)s."),
        Reason.HOLDOUT: _(
            "Does not see the promoter entry: drawn at random (place %(bucket)s of %(buckets)s)"
            " into the %(share)s %% that never see it and are compared with the others."
        ),
        Reason.NOBODY: _("Does not see the promoter entry: nobody does."),
        Reason.PROMOTERS_ONLY: _("Does not see the promoter entry: only promoters do."),
        Reason.NOT_RECEIVED: _(
            "Does not see the promoter entry: only members who have received an order do."
        ),
        Reason.NO_TAG: _("Does not see the promoter entry: only members with the tag %(tag)s do."),
    }
    return texts[reason] % facts
