"""What a campaign must fulfil before it is published; every refusal names the field."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from campaigns.errors import (
    DeclineOutOfRange,
    EndNotAfterStart,
    NaiveTime,
    NotOneMode,
    RewardAboveThreshold,
    RewardEatsSale,
    RewardNotPositive,
    TextMissing,
    TierAboveMaximum,
    TiersNotRising,
    TitleNotPlain,
    TooManyInvitations,
    WordingRefused,
)
from campaigns.models import Campaign, CouponTemplate
from campaigns.rules import INVITEES_MAX, declining_reward, eats_sale, is_plain, is_rising
from campaigns.selectors import cheapest_price_fen
from campaigns.wording import blocked_in
from distro.money import BPS, check_amount, yuan

REWARDS_MAX = 1_000_000  # of a campaign


@dataclass(frozen=True)
class Tier:
    """A step of a ladder: one coupon of a template for so many invited buyers."""

    invitees: int
    template: CouponTemplate


@dataclass(frozen=True)
class Draft:
    """All that staff decide about an invite campaign.

    A ladder has `tiers`; a declining campaign has `template`, `first_value_fen`, `decline_bps`
    (10_000: no decline) and `floor_value_fen`. Times carry their zone.
    """

    code: str
    title: str
    rules_text: str
    starts_at: datetime
    ends_at: datetime
    max_invitees: int
    total_rewards: int
    mode: str = Campaign.Mode.LADDER
    tiers: tuple[Tier, ...] = ()
    template: CouponTemplate | None = None
    first_value_fen: int = 0
    decline_bps: int = BPS
    floor_value_fen: int = 0


def draft_of(campaign: Campaign) -> Draft:
    """Return what a stored campaign says."""
    tiers = campaign.tiers.select_related("template").order_by("invitees")
    return Draft(
        code=campaign.code,
        title=campaign.title,
        rules_text=campaign.rules_text,
        starts_at=campaign.starts_at,
        ends_at=campaign.ends_at,
        max_invitees=campaign.max_invitees,
        total_rewards=campaign.total_rewards,
        mode=campaign.mode,
        tiers=tuple(Tier(tier.invitees, tier.template) for tier in tiers),
        template=campaign.template,
        first_value_fen=campaign.first_value_fen,
        decline_bps=campaign.decline_bps,
        floor_value_fen=campaign.floor_value_fen,
    )


def check_draft(draft: Draft, *, at: datetime) -> None:
    """Refuse a campaign that must not be published. Raises BadCampaign's subclasses."""
    _check_texts(draft)
    _check_times(draft, at)
    _check_limit("max_invitees", draft.max_invitees, INVITEES_MAX)
    _check_limit("total_rewards", draft.total_rewards, REWARDS_MAX)
    if draft.mode == Campaign.Mode.LADDER:
        _check_ladder(draft)
    else:
        _check_declining(draft)


def _check_texts(draft: Draft) -> None:
    if not is_plain(draft.title):
        raise TitleNotPlain(field="title")
    if not draft.rules_text.strip():
        raise TextMissing(field="rules_text")
    for field in ("title", "rules_text"):
        if hits := blocked_in(getattr(draft, field)):
            raise WordingRefused(field=field, terms="、".join(hit.term for hit in hits))


def _check_times(draft: Draft, at: datetime) -> None:
    for field in ("starts_at", "ends_at"):
        if getattr(draft, field).tzinfo is None:
            raise NaiveTime(field=field)
    if not max(draft.starts_at, at) < draft.ends_at:
        raise EndNotAfterStart(field="ends_at")


def _check_limit(field: str, number: int, maximum: int) -> None:
    if not 1 <= number <= maximum:
        raise TooManyInvitations(field=field, maximum=maximum)


def _check_ladder(draft: Draft) -> None:
    """Refuse tiers that do not rise, that nobody reaches, or whose coupons eat the sales."""
    steps = [tier.invitees for tier in draft.tiers]
    if draft.template is not None:
        raise NotOneMode(field="template")
    if not steps or not is_rising(steps):
        raise TiersNotRising(field="tiers")
    if steps[-1] > draft.max_invitees:
        raise TierAboveMaximum(field="tiers")
    price_fen, rewards_fen = cheapest_price_fen(), 0
    for tier in draft.tiers:
        rewards_fen += tier.template.value_fen
        buyers = tier.invitees
        if price_fen and eats_sale(buyers=buyers, price_fen=price_fen, rewards_fen=rewards_fen):
            paid = yuan(buyers * price_fen)
            raise RewardEatsSale(field="tiers", buyers=buyers, paid=paid, rewards=yuan(rewards_fen))


def _check_declining(draft: Draft) -> None:
    """Refuse rewards of nothing or above the coupon's threshold.

    They cannot eat a sale: each is limited to 30 % of the very sale it is for when granted.
    """
    if draft.template is None or draft.tiers:
        raise NotOneMode(field="template")
    for field in ("first_value_fen", "floor_value_fen"):
        check_amount(getattr(draft, field), field=field, minimum=0)
    if not 1 <= draft.decline_bps <= BPS:
        raise DeclineOutOfRange(field="decline_bps")
    last = declining_reward(
        draft.max_invitees,
        first_fen=draft.first_value_fen,
        decline_bps=draft.decline_bps,
        floor_fen=draft.floor_value_fen,
        positions_max=draft.max_invitees,
    )
    if last < 1:
        raise RewardNotPositive(field="first_value_fen")
    if max(draft.first_value_fen, draft.floor_value_fen) > draft.template.threshold_fen:
        raise RewardAboveThreshold(field="first_value_fen")
