"""Rewards of a participant: always exactly those his number of invited buyers earns."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign, Invitation, Participation, Reward
from campaigns.rules import capped_reward, tiers_reached
from campaigns.selectors import OPEN, Step, kept_fen, steps_of
from campaigns.services.coupons import grant_reserved
from campaigns.signals import reward_earned
from distro.actors import SYSTEM
from distro.facts import tell
from distro.locks import require_transaction
from distro.money import yuan
from distro.states import advance
from referrals.services.messages import in_members_language, notify

TITLE = _("You got a coupon")


def match_rewards(*, invitation: Invitation, at: datetime) -> list[Reward]:
    """Bring the rewards of an invitation's participant in line with his number of buyers.

    The caller holds the lock of the participation. New positions are granted within the
    campaign's published number of rewards; positions that fell are recorded as losses, and no
    longer when the number comes back. Returns the new rewards.
    """
    require_transaction("match_rewards()")
    participation = Participation.objects.select_related("campaign").get(
        pk=invitation.participation_id
    )
    campaign = participation.campaign
    steps = {step.invitees: step for step in steps_of(campaign)}
    due = tiers_reached(participation.counted, steps, positions_max=campaign.max_invitees)
    rewards = participation.rewards
    rewards.filter(lost_at=None).exclude(position__in=due).update(lost_at=at)
    rewards.filter(lost_at__isnull=False, position__in=due).update(lost_at=None)
    have = set(rewards.values_list("position", flat=True))
    new = [_reward(invitation, steps[position], at) for position in sorted(due - have)]
    return [reward for reward in new if reward]


def _reward(invitation: Invitation, step: Step, at: datetime) -> Reward | None:
    """Grant one reward; None when the campaign's rewards are used up."""
    campaign = invitation.campaign
    value_fen = _value(invitation, step)
    if value_fen and not _take_from_budget(campaign, at):
        return None
    participation = invitation.participation
    coupon = None
    if value_fen:
        coupon = grant_reserved(
            member_id=participation.member_id,
            template_id=step.template.pk,
            value_fen=value_fen,
            key=f"reward:{participation.pk}:{step.invitees}",
            at=at,
        )
    reward = Reward.objects.create(
        participation=participation,
        invitation=invitation,
        position=step.invitees,
        value_fen=value_fen,
        coupon=coupon,
        granted_at=at,
    )
    if value_fen:
        _announce(reward, campaign, at)
    return reward


def _value(invitation: Invitation, step: Step) -> int:
    """Return what a step is worth: as published, for a single sale at most 30 % of it."""
    if invitation.campaign.mode == Campaign.Mode.LADDER:
        return step.value_fen
    assert invitation.order is not None
    return capped_reward(step.value_fen, kept_fen=kept_fen(invitation.order))


def _take_from_budget(campaign: Campaign, at: datetime) -> bool:
    """Use one of the published rewards; with the last one the campaign ends."""
    rows = Campaign.objects.filter(pk=campaign.pk)
    left = rows.filter(used_rewards__lt=F("total_rewards"))
    if left.update(used_rewards=F("used_rewards") + 1) != 1:
        return False
    campaign.refresh_from_db()
    if campaign.used_rewards == campaign.total_rewards and campaign.status in OPEN:
        why = "all rewards are granted"
        advance(campaign, Campaign.Status.ENDED, by=SYSTEM, at=at, why=why)
    return True


def _announce(reward: Reward, campaign: Campaign, at: datetime) -> None:
    member_id = reward.participation.member_id
    values = {
        "title": campaign.title,
        "value": yuan(reward.value_fen),
        "position": reward.position,
    }
    body = _("%(title)s: a coupon of %(value)s yuan for invited buyer no. %(position)s.")
    with in_members_language():
        notify(
            member_id=member_id,
            kind="campaign",
            key=f"reward:{reward.pk}",
            title=str(TITLE),
            body=str(body) % values,
            page="pages/coupons/index",
            at=at,
        )
    tell(reward_earned, reward_id=reward.pk, member_id=member_id)
