"""Who sees the promoter entry at all, decided on plain values.

Not everybody has to meet distribution: a policy names a segment, and a stable random part of all
persons, the holdout, never sees the entry, so that its lagged cost can be measured at all.
Source: docs/rules.md, "Exposure".
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

BUCKETS = 10_000  # a share in basis points is a number of buckets
HASH_DIGITS = 8  # of the hexadecimal digest
HOLDOUT_LIFE = timedelta(days=366)  # twelve months, a leap year too

EVERYONE, RECEIVED, PROMOTERS, NOBODY, TAG = "everyone", "received", "promoters", "nobody", "tag"


class Reason(enum.StrEnum):
    """Why somebody sees the entry, or does not."""

    EVERYONE = "everyone"
    IS_PROMOTER = "is_promoter"
    INVITED = "invited"
    HAS_RECEIVED = "has_received"
    HAS_TAG = "has_tag"
    HOLDOUT = "holdout"
    NOBODY = "nobody"
    PROMOTERS_ONLY = "promoters_only"
    NOT_RECEIVED = "not_received"
    NO_TAG = "no_tag"


SHOWN = frozenset(
    {
        Reason.EVERYONE,
        Reason.IS_PROMOTER,
        Reason.INVITED,
        Reason.HAS_RECEIVED,
        Reason.HAS_TAG,
    }
)


@dataclass(frozen=True)
class Decision:
    """What one person is shown; `in_holdout` stays true for who was invited out of it.

    Such a person is contaminated: he is analysed with those he was drawn with.
    """

    reason: Reason
    in_holdout: bool

    @property
    def shown(self) -> bool:
        """Say whether the person sees the promoter entry."""
        return self.reason in SHOWN


def bucket_of(salt: str, person_id: str) -> int:
    """Return a person's place from 0 to 9999; it never changes while the salt is the same."""
    digest = hashlib.sha256((salt + person_id).encode()).hexdigest()
    return int(digest[:HASH_DIGITS], 16) % BUCKETS


def decide(
    *, segment: str, in_holdout: bool, is_promoter: bool, is_invited: bool, in_segment: bool
) -> Decision:
    """Decide whether one person sees the promoter entry.

    is_promoter: whatever his status, he has an account to look after. is_invited: staff opened
    the entry for him. in_segment: he has received an order, or has the tag, that the segment asks
    for; nothing else asks.
    """
    return Decision(
        _reason(segment, in_holdout, is_promoter, is_invited, in_segment), in_holdout=in_holdout
    )


def _reason(
    segment: str, in_holdout: bool, is_promoter: bool, is_invited: bool, in_segment: bool
) -> Reason:
    if segment == NOBODY:
        return Reason.NOBODY
    if is_promoter:
        return Reason.IS_PROMOTER
    if is_invited:
        return Reason.INVITED
    if in_holdout:
        return Reason.HOLDOUT
    if segment == RECEIVED:
        return Reason.HAS_RECEIVED if in_segment else Reason.NOT_RECEIVED
    if segment == TAG:
        return Reason.HAS_TAG if in_segment else Reason.NO_TAG
    return Reason.PROMOTERS_ONLY if segment == PROMOTERS else Reason.EVERYONE


# --- A holdout stays as it is ---------------------------------------------------------------


@dataclass(frozen=True)
class Draw:
    """Which persons a policy leaves out, from when on."""

    since: datetime
    salt: str
    share_bps: int

    def leaves_out_as(self, other: Draw) -> bool:
        """Say whether both leave out the same persons."""
        same = (self.salt, self.share_bps) == (other.salt, other.share_bps)
        return same or self.share_bps == other.share_bps == 0


def fixed_until(draws: Sequence[Draw], *, at: datetime) -> datetime | None:
    """Return until when the holdout in force at a moment must stay; None without a holdout.

    draws: those of all policies, by time. A holdout is fixed for twelve months from the first of
    the unbroken row of policies that leave out the same persons.
    """
    past = [draw for draw in draws if draw.since <= at]
    if not past or not past[-1].share_bps:
        return None
    first = past[-1]
    for draw in reversed(past):
        if not draw.leaves_out_as(past[-1]):
            break
        first = draw
    return first.since + HOLDOUT_LIFE
