"""The life of a campaign: made, submitted, reviewed by a second person, run, ended, settled."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta

from django.db import transaction

from campaigns.errors import MakerReviews, TemplateTooSmall
from campaigns.models import Campaign, CampaignTier, Invitation
from campaigns.selectors import (
    campaigns_due,
    campaigns_ended_before,
    steps_of,
    unused_reserve,
)
from campaigns.services.checking import Draft, check_draft, draft_of
from campaigns.services.coupons import release, reserve
from campaigns.wording import hits_in
from distro import audit
from distro.actors import SYSTEM, Actor
from distro.errors import IllegalTransition
from distro.states import advance, history

# A payment made in the last minute may be told later.
SETTLE_AFTER = timedelta(days=1)
LOSE_BATCH = 500  # invitations a run and campaign

Status = Campaign.Status


@transaction.atomic
def draft_campaign(*, draft: Draft, by: Actor, at: datetime) -> Campaign:
    """Save a new campaign as a draft. Raises BadCampaign's subclasses, AmountOutOfRange."""
    check_draft(draft, at=at)
    columns = {f.name: getattr(draft, f.name) for f in fields(draft) if f.name != "tiers"}
    campaign = Campaign.objects.create(**columns, created_by=str(by))
    CampaignTier.objects.bulk_create(
        CampaignTier(campaign=campaign, invitees=tier.invitees, template=tier.template)
        for tier in draft.tiers
    )
    audit.record(by=by, action="campaign.draft", target=campaign, at=at)
    return campaign


@transaction.atomic
def submit_campaign(*, campaign_id: int, by: Actor, at: datetime) -> Campaign:
    """Send a draft to review; from here on its content is fixed. Raises BadCampaign's."""
    campaign = _lock(campaign_id)
    check_draft(draft_of(campaign), at=at)
    if not campaign.created_by:
        Campaign.objects.filter(pk=campaign.pk).update(created_by=str(by))
    return _move(campaign, Status.REVIEW, by=by, at=at)


@transaction.atomic
def send_back(*, campaign_id: int, why: str, by: Actor, at: datetime) -> Campaign:
    """Make a campaign in review a draft again, with the reason."""
    return _move(_lock(campaign_id), Status.DRAFT, by=by, at=at, why=why)


@transaction.atomic
def approve_campaign(*, campaign_id: int, by: Actor, at: datetime) -> Campaign:
    """Publish a campaign as a second person, and set its coupons aside.

    Raises MakerReviews, TemplateTooSmall and BadCampaign's subclasses.
    """
    campaign = _lock(campaign_id)
    if str(by) in _makers(campaign):
        raise MakerReviews
    check_draft(draft_of(campaign), at=at)
    for template in {step.template.pk: step.template for step in steps_of(campaign)}.values():
        if not reserve(template_id=template.pk, count=campaign.total_rewards):
            raise TemplateTooSmall(title=template.title, needed=campaign.total_rewards)
    return _move(campaign, Status.SCHEDULED, by=by, at=at, reviewed_by=str(by))


@transaction.atomic
def pause_campaign(*, campaign_id: int, why: str, by: Actor, at: datetime) -> Campaign:
    """Take no new participants for now; who takes part goes on."""
    return _move(_lock(campaign_id), Status.PAUSED, by=by, at=at, why=why)


@transaction.atomic
def resume_campaign(*, campaign_id: int, by: Actor, at: datetime) -> Campaign:
    """Take new participants again."""
    return _move(_lock(campaign_id), Status.RUNNING, by=by, at=at)


@transaction.atomic
def end_campaign(*, campaign_id: int, why: str, by: Actor, at: datetime) -> Campaign:
    """End a campaign before its time: nobody new, but who was invited may still buy in time."""
    return _move(_lock(campaign_id), Status.ENDED, by=by, at=at, why=why)


@transaction.atomic
def archive_campaign(*, campaign_id: int, by: Actor, at: datetime) -> Campaign:
    """Put a draft or a settled campaign away."""
    return _move(_lock(campaign_id), Status.ARCHIVED, by=by, at=at)


def run_campaigns(*, at: datetime) -> int:
    """Start, end and settle what is due; return how many campaigns moved."""
    moved = sum([_run_clock(pk, at) for pk in campaigns_due(at).values_list("pk", flat=True)])
    ended = campaigns_ended_before(at - SETTLE_AFTER).values_list("pk", flat=True)
    return moved + sum([_settle(pk, at) for pk in ended])


@transaction.atomic
def _run_clock(campaign_id: int, at: datetime) -> bool:
    """Start or end one campaign by the clock; a campaign may do both at once."""
    campaign = _lock(campaign_id)
    if not campaigns_due(at).filter(pk=campaign_id).exists():
        return False
    over = campaign.ends_at <= at
    _move(campaign, Status.ENDED if over else Status.RUNNING, by=SYSTEM, at=at)
    return True


def _settle(campaign_id: int, at: datetime) -> bool:
    """Close the invitations that came to nothing; settle when no sale is still waiting."""
    invitations = Invitation.objects.filter(campaign_id=campaign_id)
    joined = invitations.filter(status=Invitation.Status.JOINED).order_by("id")
    for invitation in joined[:LOSE_BATCH]:
        _lose(invitation, at)
    waiting = [Invitation.Status.JOINED, Invitation.Status.PAID]
    if invitations.filter(status__in=waiting).exists():
        return False
    with transaction.atomic():
        campaign = _lock(campaign_id)
        if campaign.status != Status.ENDED:
            return False
        for template_id, count in unused_reserve(campaign).items():
            release(template_id=template_id, count=count)
        _move(campaign, Status.SETTLED, by=SYSTEM, at=at)
    return True


def _lose(invitation: Invitation, at: datetime) -> None:
    try:
        with transaction.atomic():
            advance(invitation, Invitation.Status.LOST, by=SYSTEM, at=at, note="no sale in time")
    except IllegalTransition:  # paid a moment ago
        return


def _makers(campaign: Campaign) -> set[str]:
    """Return who made a campaign or sent it to review."""
    steps = history(campaign).filter(to_status=Status.REVIEW)
    return {campaign.created_by, *(f"{step.actor_kind}:{step.actor_id}" for step in steps)}


def _lock(campaign_id: int) -> Campaign:
    return Campaign.objects.select_for_update(no_key=True).get(pk=campaign_id)


def _move(
    campaign: Campaign, to: Status, *, by: Actor, at: datetime, why: str = "", **changes: str
) -> Campaign:
    """Advance a campaign, and write into the trail who did it with what the reviewer saw."""
    advance(campaign, to, by=by, at=at, why=why, **changes)
    if by != SYSTEM:
        hits = hits_in(f"{campaign.title}\n{campaign.rules_text}")
        audit.record(
            by=by,
            action=f"campaign.{to.value}",
            target=campaign,
            reason=why,
            detail={"wording": [f"{hit.category}: {hit.term}" for hit in hits]},
            at=at,
        )
    return campaign
