"""Which campaigns share links cannot lead to."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from campaigns.models import Campaign
from campaigns.selectors import OPEN
from referrals.models import ShareLink

NOT_YET = [Campaign.Status.DRAFT, Campaign.Status.REVIEW, Campaign.Status.SCHEDULED]
COLUMNS = ("code", "status", "starts_at", "ends_at")


def campaign_faults(refs: Collection[str], at: datetime) -> dict[str, str]:
    """Return the campaign codes whose page shows no open campaign, and why."""
    rows = Campaign.objects.filter(code__in=refs).values_list(*COLUMNS)
    known = {code: _fault(status, starts, ends, at) for code, status, starts, ends in rows}
    found = {ref: known.get(ref, ShareLink.Fault.GONE.value) for ref in refs}
    return {ref: fault for ref, fault in found.items() if fault}


def _fault(status: str, starts_at: datetime, ends_at: datetime, at: datetime) -> str:
    if ends_at <= at or status not in [*OPEN, *NOT_YET]:
        return ShareLink.Fault.ENDED.value
    return ShareLink.Fault.NOT_OPEN.value if status in NOT_YET or at < starts_at else ""
