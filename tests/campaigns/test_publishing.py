"""From draft to settled: what is refused, who decides, what the clock does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from campaigns import errors
from campaigns.models import Campaign, CampaignTier, CouponTemplate
from campaigns.services import publishing
from campaigns.services.checking import Draft, Tier
from distro.actors import Actor
from distro.errors import AmountOutOfRange, DomainError, IllegalTransition
from distro.models import AuditEntry
from distro.states import history
from tests.campaigns.parts import (
    ENDS,
    MAKER,
    REVIEWER,
    STARTS,
    bring,
    buy,
    declining,
    join,
    ladder,
    make_template,
    mature,
    rewards,
    run,
    sell,
)
from tests.factories import make_sku

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def save(draft: Draft, at: datetime = STARTS) -> Campaign:
    return publishing.draft_campaign(draft=draft, by=MAKER, at=at)


# --- What may not be published --------------------------------------------------------------

NAIVE = datetime(2026, 11, 20)
BAD: list[tuple[str, dict[str, Any], type[DomainError], str]] = [
    ("an empty title", {"title": " "}, errors.TitleNotPlain, "title"),
    ("a formula as title", {"title": "=1+1"}, errors.TitleNotPlain, "title"),
    ("emoji in the title", {"title": "送礼🎁"}, errors.TitleNotPlain, "title"),
    ("forbidden words in the title", {"title": "躺赚"}, errors.WordingRefused, "title"),
    ("no rules", {"rules_text": "\n"}, errors.TextMissing, "rules_text"),
    (
        "forced sharing in the rules",
        {"rules_text": "分享到3个群才能下单"},
        errors.WordingRefused,
        "rules_text",
    ),
    ("a naive start", {"starts_at": NAIVE}, errors.NaiveTime, "starts_at"),
    ("a naive end", {"ends_at": NAIVE}, errors.NaiveTime, "ends_at"),
    ("an end at the start", {"ends_at": STARTS}, errors.EndNotAfterStart, "ends_at"),
    ("an end before the start", {"ends_at": STARTS - DAY}, errors.EndNotAfterStart, "ends_at"),
    ("no rewards", {"total_rewards": 0}, errors.TooManyInvitations, "total_rewards"),
    ("no invitations", {"max_invitees": 0}, errors.TooManyInvitations, "max_invitees"),
    ("an endless ladder", {"max_invitees": 101}, errors.TooManyInvitations, "max_invitees"),
]


@pytest.mark.parametrize("make", [ladder, declining])
@pytest.mark.parametrize(
    ("change", "refusal", "field"), [row[1:] for row in BAD], ids=[r[0] for r in BAD]
)
def test_what_no_campaign_may_say(
    make: Any, change: dict[str, Any], refusal: type[DomainError], field: str
) -> None:
    draft = make((1, 500)) if make is ladder else make()
    with pytest.raises(refusal) as caught:
        save(replace(draft, **change))
    assert caught.value.field == field
    assert not Campaign.objects.exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("steps", "refusal"),
    [
        ([], errors.TiersNotRising),
        ([0], errors.TiersNotRising),
        ([2, 2], errors.TiersNotRising),
        ([3, 1], errors.TiersNotRising),
        ([1, 11], errors.TierAboveMaximum),
    ],
)
def test_tiers_that_no_ladder_has(steps: list[int], refusal: type[DomainError]) -> None:
    template = make_template()
    draft = replace(ladder((1, 500)), tiers=tuple(Tier(n, template) for n in steps))
    with pytest.raises(refusal):
        save(draft)
    assert not CampaignTier.objects.exists()


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"template": None}, errors.NotOneMode),
        ({"first_value_fen": -1}, AmountOutOfRange),
        ({"first_value_fen": 10_000_000_001}, AmountOutOfRange),
        ({"floor_value_fen": -1}, AmountOutOfRange),
        ({"first_value_fen": 0, "floor_value_fen": 0}, errors.RewardNotPositive),
        ({"decline_bps": 1, "floor_value_fen": 0}, errors.RewardNotPositive),  # the last is 0
        ({"decline_bps": 0}, errors.DeclineOutOfRange),
        ({"decline_bps": 10_001}, errors.DeclineOutOfRange),
        ({"first_value_fen": 5001}, errors.RewardAboveThreshold),
        ({"floor_value_fen": 5001}, errors.RewardAboveThreshold),
    ],
)
def test_values_that_no_declining_campaign_has(
    change: dict[str, Any], refusal: type[DomainError]
) -> None:
    with pytest.raises(refusal):
        save(replace(declining(), **change))
    assert not Campaign.objects.exists()


def test_a_campaign_is_of_one_mode() -> None:
    for draft in (
        replace(ladder((1, 500)), template=make_template()),
        replace(declining(), tiers=(Tier(1, make_template()),)),
    ):
        with pytest.raises(errors.NotOneMode):
            save(draft)
    assert not Campaign.objects.exists()


def test_rewards_must_leave_something_of_the_cheapest_sale() -> None:
    make_sku(price_fen=700), make_sku(price_fen=90_000), make_sku(price_fen=1, on_sale=False)
    with pytest.raises(errors.RewardEatsSale) as caught:
        save(ladder((1, 500)))
    assert "7.00" in str(caught.value)
    assert not Campaign.objects.exists()
    save(ladder((1, 489)))  # 700 less 30 % less 489 leaves 1


def test_the_rewards_of_all_tiers_count_together() -> None:
    make_sku(price_fen=1000)
    save(ladder((1, 600), (2, 799)))
    with pytest.raises(errors.RewardEatsSale):
        save(ladder((1, 600), (2, 800)))
    assert Campaign.objects.count() == 1


# --- Two persons ----------------------------------------------------------------------------


def test_a_second_person_publishes(at: datetime) -> None:
    campaign = run(ladder((1, 500)))
    assert (campaign.status, campaign.created_by, campaign.reviewed_by) == (
        "running", "staff:1", "staff:2",
    )  # fmt: skip
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["campaign.draft", "campaign.review", "campaign.scheduled"]


@pytest.mark.parametrize("submitter", [MAKER, Actor("staff", 3)])
def test_neither_maker_nor_submitter_reviews(submitter: Actor) -> None:
    campaign = save(ladder((1, 500)))
    publishing.submit_campaign(campaign_id=campaign.pk, by=submitter, at=STARTS)
    for by in {MAKER, submitter}:
        with pytest.raises(errors.MakerReviews):
            publishing.approve_campaign(campaign_id=campaign.pk, by=by, at=STARTS)
    campaign.refresh_from_db()
    assert (campaign.status, campaign.reviewed_by) == ("review", "")
    assert campaign.tiers.get().template.reserved == 0


def test_a_campaign_made_on_the_screen_belongs_to_who_submits_it() -> None:
    campaign = save(ladder((1, 500)))
    Campaign.objects.filter(pk=campaign.pk).update(created_by="")
    publishing.submit_campaign(campaign_id=campaign.pk, by=REVIEWER, at=STARTS)
    with pytest.raises(errors.MakerReviews):
        publishing.approve_campaign(campaign_id=campaign.pk, by=REVIEWER, at=STARTS)


def test_a_bad_draft_is_not_submitted() -> None:
    campaign = save(ladder((1, 500)))
    Campaign.objects.filter(pk=campaign.pk).update(rules_text="拉人头")
    with pytest.raises(errors.WordingRefused) as caught:
        publishing.submit_campaign(campaign_id=campaign.pk, by=MAKER, at=STARTS)
    assert "拉人头" in str(caught.value)
    campaign.refresh_from_db()
    assert campaign.status == "draft"


def test_the_reviewer_sends_back_with_a_reason() -> None:
    campaign = save(ladder((1, 500)))
    publishing.submit_campaign(campaign_id=campaign.pk, by=MAKER, at=STARTS)
    publishing.send_back(campaign_id=campaign.pk, why="too dear", by=REVIEWER, at=STARTS)
    step = history(campaign).last()
    assert step is not None
    assert (step.to_status, step.why) == ("draft", "too dear")
    assert Campaign.objects.filter(pk=campaign.pk).update(title="Cheaper") == 1


def test_what_the_reviewer_must_look_at_is_in_the_trail() -> None:
    run(replace(ladder((1, 500)), rules_text="最后一天，好友下单得券"))
    entry = AuditEntry.objects.get(action="campaign.scheduled")
    assert entry.detail == {"wording": ["false_urgency: 最后一天"]}


# --- Coupons set aside ----------------------------------------------------------------------


def test_publishing_sets_the_coupons_aside() -> None:
    template = make_template(total=60)
    run(declining(template=template))
    template.refresh_from_db()
    assert (template.issued, template.reserved) == (0, 50)


def test_without_enough_free_coupons_nothing_is_published() -> None:
    enough, small = make_template(value_fen=400), make_template(total=60, issued=11)
    campaign = save(replace(ladder((1, 500)), tiers=(Tier(1, enough), Tier(2, small))))
    publishing.submit_campaign(campaign_id=campaign.pk, by=MAKER, at=STARTS)
    with pytest.raises(errors.TemplateTooSmall):
        publishing.approve_campaign(campaign_id=campaign.pk, by=REVIEWER, at=STARTS)
    campaign.refresh_from_db()
    assert campaign.status == "review"
    assert not CouponTemplate.objects.filter(reserved__gt=0).exists()


def test_settling_frees_what_was_not_granted() -> None:
    template = make_template(total=60)
    campaign = run(declining(template=template))
    sell(join(campaign))
    publishing.run_campaigns(at=ENDS)
    publishing.run_campaigns(at=ENDS + DAY)
    template.refresh_from_db()
    campaign.refresh_from_db()
    assert (campaign.status, template.issued, template.reserved) == ("settled", 1, 0)


# --- The clock ------------------------------------------------------------------------------


def status_after(campaign: Campaign, at: datetime) -> str:
    publishing.run_campaigns(at=at)
    campaign.refresh_from_db()
    return campaign.status


def test_start_end_and_settlement_come_by_themselves(at: datetime) -> None:
    campaign = save(ladder((1, 500)))
    publishing.submit_campaign(campaign_id=campaign.pk, by=MAKER, at=STARTS)
    publishing.approve_campaign(campaign_id=campaign.pk, by=REVIEWER, at=STARTS - DAY)
    moments = [
        STARTS - timedelta(seconds=1), STARTS, ENDS - timedelta(seconds=1), ENDS,
        ENDS + DAY - timedelta(seconds=1), ENDS + DAY, ENDS + 9 * DAY,
    ]  # fmt: skip
    assert [status_after(campaign, moment) for moment in moments] == [
        "scheduled", "running", "running", "ended", "ended", "settled", "settled",
    ]  # fmt: skip


def test_a_run_that_comes_late_skips_to_the_end() -> None:
    campaign = save(ladder((1, 500)))
    publishing.submit_campaign(campaign_id=campaign.pk, by=MAKER, at=STARTS)
    publishing.approve_campaign(campaign_id=campaign.pk, by=REVIEWER, at=STARTS)
    assert status_after(campaign, ENDS + 9 * DAY) == "settled"
    assert publishing.run_campaigns(at=ENDS + 9 * DAY) == 0


def test_a_paused_campaign_goes_on_or_ends(at: datetime) -> None:
    campaign = run(ladder((1, 500)))
    publishing.pause_campaign(campaign_id=campaign.pk, why="complaint", by=MAKER, at=at)
    publishing.resume_campaign(campaign_id=campaign.pk, by=MAKER, at=at)
    publishing.pause_campaign(campaign_id=campaign.pk, why="again", by=MAKER, at=at)
    assert status_after(campaign, ENDS) == "ended"


@pytest.mark.parametrize("step", ["approve", "resume", "archive", "submit"])
def test_no_step_skips_the_order(at: datetime, step: str) -> None:
    campaign = run(ladder((1, 500)))
    move = getattr(publishing, f"{step}_campaign")
    with pytest.raises(IllegalTransition):
        move(campaign_id=campaign.pk, by=REVIEWER, at=at)
    campaign.refresh_from_db()
    assert campaign.status == "running"


def test_a_sale_that_still_waits_keeps_the_campaign_open() -> None:
    campaign = run(ladder((1, 500)))
    part = join(campaign)
    waiting, idle = bring(part), bring(part)
    assert waiting and idle
    order = buy(waiting)
    assert status_after(campaign, ENDS + DAY) == "ended"
    idle.refresh_from_db()
    assert (idle.status, idle.note) == ("lost", "no sale in time")
    mature(order)
    assert rewards(part) == [(1, 500, False)]
    assert status_after(campaign, ENDS + 2 * DAY) == "settled"


def test_an_early_end_keeps_what_was_promised(at: datetime) -> None:
    campaign = run(ladder((1, 500)))
    part = join(campaign)
    friend = bring(part)
    assert friend
    publishing.end_campaign(campaign_id=campaign.pk, why="enough", by=MAKER, at=at + DAY)
    assert bring(part, joined_at=at + 2 * DAY) is None
    mature(buy(friend, paid_at=at + 3 * DAY))
    assert rewards(part) == [(1, 500, False)]
