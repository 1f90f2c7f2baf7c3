"""Stories of 邀请有礼: who counts, when, and what it earns."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.errors import CampaignNotStarted, CampaignOver, CampaignPaused
from campaigns.models import Coupon, Invitation, Participation, Reward
from campaigns.rules import declining_reward
from campaigns.services import publishing
from campaigns.services.inviting import attribute_invitee, count_sale, join_campaign, mark_sale
from distro.errors import NotFound
from distro.facts import hear, unhear
from distro.models import MissedFact
from orders.models import Order
from orders.signals import order_matured, order_paid
from referrals.models import Member, Message, ShareLink, Visit
from referrals.services.members import login
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
    mature,
    refund,
    rewards,
    run,
    sell,
)
from tests.factories import AT, make_member, make_order

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


# --- Joining --------------------------------------------------------------------------------


def test_a_participant_gets_a_link_to_the_campaign(at: datetime) -> None:
    campaign = run(ladder((1, 500)))
    part = join_campaign(member=make_member(), code=campaign.code, channel="group", at=at)
    link = part.link
    assert (link.target, link.target_ref, link.channel) == ("campaign", campaign.code, "group")
    assert (part.joined_at, link.expires_at, part.counted) == (at, ENDS, 0)


def test_joining_again_gives_the_same_link_even_after_the_end(at: datetime) -> None:
    campaign, member = run(ladder((1, 500))), make_member()
    codes = {
        join_campaign(member=member, code=campaign.code, channel="chat", at=moment).link.code
        for moment in (at, at + DAY, ENDS)
    }
    assert len(codes) == 1
    assert ShareLink.objects.count() == 1


def refused_join(code: str, at: datetime, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        join_campaign(member=make_member(), code=code, channel="chat", at=at)
    assert not Participation.objects.exists()
    assert not ShareLink.objects.exists()


@pytest.mark.parametrize(
    ("moment", "refusal"),
    [(STARTS - TICK, CampaignNotStarted), (ENDS, CampaignOver), (ENDS + DAY, CampaignOver)],
)
def test_nobody_joins_before_the_start_or_from_the_end_on(
    moment: datetime, refusal: type[Exception]
) -> None:
    refused_join(run(ladder((1, 500))).code, moment, refusal)


def test_the_last_moment_before_the_end_is_in_time() -> None:
    campaign = run(ladder((1, 500)))
    assert join_campaign(member=make_member(), code=campaign.code, channel="chat", at=ENDS - TICK)


def test_nobody_joins_a_paused_ended_or_unknown_campaign(at: datetime) -> None:
    campaign = run(ladder((1, 500)))
    publishing.pause_campaign(campaign_id=campaign.pk, why="x", by=MAKER, at=at)
    refused_join(campaign.code, at, CampaignPaused)
    publishing.end_campaign(campaign_id=campaign.pk, why="x", by=MAKER, at=at)
    refused_join(campaign.code, at, CampaignOver)
    refused_join("nosuch", at, NotFound)


@pytest.mark.parametrize("submitted", [False, True])
def test_nobody_sees_an_unpublished_campaign(at: datetime, submitted: bool) -> None:
    campaign = publishing.draft_campaign(draft=ladder((1, 500)), by=MAKER, at=STARTS)
    if submitted:
        publishing.submit_campaign(campaign_id=campaign.pk, by=MAKER, at=STARTS)
    refused_join(campaign.code, at, NotFound)


# --- Who was invited ------------------------------------------------------------------------


def test_a_new_person_who_came_through_the_link_is_invited() -> None:
    part = join(run(ladder((1, 500))))
    invitation = bring(part)
    assert invitation
    assert (invitation.participation, invitation.status, invitation.joined_at) == (
        part, "joined", AT,
    )  # fmt: skip
    assert attribute_invitee(member_id=invitation.invitee_id) == invitation
    assert Invitation.objects.count() == 1


def test_logging_in_through_the_link_invites_by_itself(at: datetime) -> None:
    part = join(run(ladder((1, 500))), joined_at=at - DAY)
    code = part.link.code
    friend = login(openid="friend", unionid=None, link_code=code, device="d", at=at).member
    Visit.objects.create(link=part.link, visit_key="v", member=friend, occurred_at=at)
    order = make_order(friend)
    mark_sale(order_id=order.pk)
    invitation = Invitation.objects.get(invitee=friend)
    assert (invitation.participation, invitation.status) == (part, "paid")


def not_invited(part: Participation, **kw: Any) -> None:
    assert bring(part, **kw) is None
    assert not Invitation.objects.exists()


def test_somebody_elses_friend_is_not_invited() -> None:
    part = join(run(ladder((1, 500))))
    not_invited(part, inviter=None)
    not_invited(part, inviter=make_member())


def test_a_second_account_of_one_person_is_not_new() -> None:
    part = join(run(ladder((1, 500))))
    make_member(unionid="u1")
    not_invited(part, unionid="u1")


SAME = [{"phone_index": "p" * 64}, {"unionid": "u"}]


@pytest.mark.parametrize("trait", SAME)
@pytest.mark.parametrize("known", ["before the sale", "after the payment"])
def test_nobody_is_rewarded_for_inviting_himself(trait: dict[str, str], known: str) -> None:
    """A second account is found out by what tells the person, as late as that is known."""
    part = join(run(ladder((1, 500))), **trait)
    invitation = bring(part)
    assert invitation is not None
    friend = Member.objects.filter(pk=invitation.invitee_id)
    if known == "before the sale":
        friend.update(**trait)
    order = buy(invitation)
    friend.update(**trait)
    mature(order)
    invitation.refresh_from_db()
    assert (invitation.status, invitation.note) == ("lost", "same person")
    assert rewards(part) == []
    assert not Coupon.objects.exists()


def test_who_had_bought_before_he_joined_is_not_new() -> None:
    part = join(run(ladder((1, 500))))
    friend = make_member(inviter=part.member)
    make_order(friend, paid_at=AT - DAY)
    Visit.objects.create(link=part.link, visit_key="v", member=friend, occurred_at=AT)
    assert attribute_invitee(member_id=friend.pk) is None


def test_another_link_of_the_participant_invites_nobody() -> None:
    part = join(run(ladder((1, 500))))
    home = ShareLink.objects.create(code="HOME", member=part.member, created_at=AT)
    part.link = home
    not_invited(part)


def test_a_visit_long_after_joining_invites_nobody() -> None:
    part = join(run(ladder((1, 500))))
    friend = make_member(inviter=part.member)
    late = AT + timedelta(hours=1, seconds=1)
    Visit.objects.create(link=part.link, visit_key="v", member=friend, occurred_at=late)
    assert attribute_invitee(member_id=friend.pk) is None


@pytest.mark.parametrize("moment", [STARTS - TICK, ENDS, ENDS + DAY])
def test_who_joins_out_of_the_campaigns_time_is_not_invited(moment: datetime) -> None:
    not_invited(join(run(ladder((1, 500)))), joined_at=moment)


def test_a_pause_takes_nothing_from_who_takes_part(at: datetime) -> None:
    part = join(run(ladder((1, 500))))
    publishing.pause_campaign(campaign_id=part.campaign_id, why="x", by=MAKER, at=at)
    sell(part)
    assert rewards(part) == [(1, 500, False)]


# --- From paid to counted -------------------------------------------------------------------


def test_paying_is_not_enough_and_the_matured_sale_counts_at_once() -> None:
    part = join(run(ladder((1, 500))))
    invitation = bring(part)
    assert invitation
    order = buy(invitation)
    invitation.refresh_from_db()
    assert (invitation.status, invitation.order, rewards(part)) == ("paid", order, [])
    mature(order)
    invitation.refresh_from_db()
    matured = AT + 10 * DAY
    assert (invitation.status, invitation.counted_at) == ("counted", matured)
    coupon = Coupon.objects.get()
    assert (coupon.member, coupon.value_fen, coupon.valid_from) == (part.member, 500, matured)
    message = Message.objects.get()
    assert (message.member, message.kind) == (part.member, "campaign")
    assert "5.00" in message.body


def test_counting_twice_changes_nothing() -> None:
    part = join(run(ladder((1, 500), (2, 400))))
    order = sell(part)
    assert count_sale(order_id=order.pk) is None
    assert mark_sale(order_id=order.pk) is None
    part.refresh_from_db()
    assert (part.counted, Coupon.objects.count(), Message.objects.count()) == (1, 1, 1)


def test_only_the_first_order_counts() -> None:
    part = join(run(ladder((1, 500), (2, 400))))
    invitation = bring(part)
    assert invitation
    for _ in range(3):
        mature(buy(invitation))
    assert rewards(part) == [(1, 500, False)]


def test_an_order_without_money_for_goods_is_no_sale() -> None:
    part = join(run(ladder((1, 500))))
    invitation = bring(part)
    assert invitation
    free = make_order(invitation.invitee, 0)
    mark_sale(order_id=free.pk)
    mature(free)
    invitation.refresh_from_db()
    assert (invitation.status, rewards(part)) == ("joined", [])
    mature(buy(invitation, 10_000))
    assert rewards(part) == [(1, 500, False)]


def test_a_missed_payment_is_made_up_for_when_the_order_matures() -> None:
    part = join(run(ladder((1, 500))))
    invitation = bring(part)
    assert invitation
    mature(make_order(invitation.invitee))
    assert rewards(part) == [(1, 500, False)]


@pytest.mark.parametrize(("moment", "status"), [(ENDS - TICK, "paid"), (ENDS, "lost")])
def test_a_sale_at_the_very_end_is_too_late(moment: datetime, status: str) -> None:
    invitation = bring(join(run(ladder((1, 500)))))
    assert invitation
    buy(invitation, paid_at=moment)
    invitation.refresh_from_db()
    assert invitation.status == status


def test_who_completed_is_rewarded_after_the_end() -> None:
    part = join(run(ladder((1, 500))))
    invitation = bring(part)
    assert invitation
    order = buy(invitation, paid_at=ENDS - TICK)
    publishing.run_campaigns(at=ENDS + 2 * DAY)
    mature(order)
    assert rewards(part) == [(1, 500, False)]


def test_nobody_counts_for_an_order_of_a_stranger() -> None:
    join(run(ladder((1, 500))))
    mature(make_order())
    assert not Reward.objects.exists()


# --- Refunds --------------------------------------------------------------------------------


def test_a_refund_before_it_counts_loses_the_invitation() -> None:
    part = join(run(ladder((1, 500))))
    invitation = bring(part)
    assert invitation
    order = buy(invitation)
    refund(order)
    mature(order)
    invitation.refresh_from_db()
    part.refresh_from_db()
    assert (invitation.status, part.counted, rewards(part)) == ("lost", 0, [])


def test_a_partial_refund_keeps_counting() -> None:
    part = join(run(ladder((1, 500))))
    order = sell(part)
    refund(order, order.paid_fen - 1)
    part.refresh_from_db()
    assert (part.counted, rewards(part)) == (1, [(1, 500, False)])


def test_a_refund_afterwards_is_a_loss_but_takes_no_coupon() -> None:
    part = join(run(ladder((1, 500))))
    refund(sell(part))
    part.refresh_from_db()
    assert (part.counted, rewards(part)) == (0, [(1, 500, True)])
    assert Coupon.objects.get().status == "issued"


def test_a_new_sale_after_a_loss_earns_no_second_coupon() -> None:
    part = join(run(ladder((1, 500), (2, 400))))
    refund(sell(part))
    sell(part)
    assert rewards(part) == [(1, 500, False)]
    sell(part)
    assert rewards(part) == [(1, 500, False), (2, 400, False)]
    assert Coupon.objects.count() == 2


def test_a_payment_heard_of_after_its_refund_is_lost() -> None:
    part = join(run(ladder((1, 500))))
    invitation = bring(part)
    assert invitation
    order = make_order(invitation.invitee)
    refund(order)
    mark_sale(order_id=order.pk)
    invitation.refresh_from_db()
    assert (invitation.status, invitation.note) == ("lost", "refunded")


# --- How much -------------------------------------------------------------------------------


def test_a_declining_campaign_pays_its_vector() -> None:
    part = join(run(declining()))
    for _ in range(8):
        sell(part)
    values = [(n, fen, False) for n, fen in enumerate([500, 400, 320, 256, 205, 200], start=1)]
    assert rewards(part) == values
    assert sorted(Coupon.objects.values_list("value_fen", flat=True)) == sorted(
        fen for _, fen, _ in values
    )
    part.refresh_from_db()
    assert part.counted == 8


@pytest.mark.parametrize(("paid", "value"), [(1000, 300), (1666, 499), (1667, 500), (3, 0)])
def test_a_reward_is_at_most_30_percent_of_its_sale(paid: int, value: int) -> None:
    part = join(run(declining()))
    sell(part, paid)
    assert rewards(part) == [(1, value, False)]
    assert Coupon.objects.count() == (1 if value else 0)
    campaign = part.campaign
    campaign.refresh_from_db()
    assert campaign.used_rewards == Coupon.objects.count()


def test_what_was_refunded_of_the_sale_limits_the_reward_too() -> None:
    part = join(run(declining()))
    invitation = bring(part)
    assert invitation
    order = buy(invitation, 10_000)
    refund(order, 9_000)
    mature(order)
    assert rewards(part) == [(1, 300, False)]


def test_freight_is_no_part_of_the_sale() -> None:
    part = join(run(declining()))
    invitation = bring(part)
    assert invitation
    mature(buy(invitation, 1000, freight_fen=9000))
    assert rewards(part) == [(1, 300, False)]


def test_no_more_than_the_published_rewards_and_with_the_last_it_ends() -> None:
    campaign = run(ladder((1, 500), total_rewards=2))
    parts = [join(campaign) for _ in range(3)]
    for part in parts:
        sell(part)
    campaign.refresh_from_db()
    assert (campaign.used_rewards, campaign.status) == (2, "ended")
    assert [len(rewards(part)) for part in parts] == [1, 1, 0]
    assert Coupon.objects.count() == 2


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.booleans(), max_size=12))
def test_rewards_are_always_what_the_number_earns(steps: list[bool]) -> None:
    """Sell or refund at random: what is not lost is exactly f(counted); coupons only grow."""
    part, sold, highest = join(run(declining())), [], 0
    for selling in steps:
        if selling or not sold:
            sold.append(sell(part))
        else:
            refund(sold.pop(0))
        highest = max(highest, len(sold))
        earned = [n for n, _, lost in rewards(part) if not lost]
        assert earned == list(range(1, min(len(sold), 6) + 1))
        assert part.rewards.count() == min(highest, 6)
    terms = {"first_fen": 500, "decline_bps": 8000, "floor_fen": 200, "positions_max": 6}
    assert all(fen == declining_reward(n, **terms) for n, fen, _ in rewards(part))


# --- Facts ----------------------------------------------------------------------------------


def test_the_facts_of_an_order_reach_the_campaign() -> None:
    from django.db import transaction

    from campaigns.signals import reward_earned
    from distro.facts import tell

    part = join(run(ladder((1, 500))))
    invitation = bring(part)
    assert invitation
    order, heard = make_order(invitation.invitee), []
    hear(reward_earned, lambda **ids: heard.append(ids), "test.reward_earned")
    try:
        with transaction.atomic():
            tell(order_paid, order_id=order.pk, member_id=order.member_id)
            Order.objects.filter(pk=order.pk).update(matured_at=AT + DAY)
            tell(order_matured, order_id=order.pk, member_id=order.member_id)
    finally:
        unhear(reward_earned, "test.reward_earned")
    reward = part.rewards.get()
    assert heard == [{"reward_id": reward.pk, "member_id": part.member_id}]
    assert not MissedFact.objects.filter(uid__startswith="campaigns.").exists()


def test_two_campaigns_do_not_share_a_friend() -> None:
    one, two = join(run(ladder((1, 500)))), join(run(ladder((1, 400))))
    friend = bring(one)
    assert friend
    Visit.objects.create(link=two.link, visit_key="w", member=friend.invitee, occurred_at=AT)
    assert attribute_invitee(member_id=friend.invitee_id) == friend
    assert Invitation.objects.count() == 1


def test_the_reviewer_is_not_needed_to_end(at: datetime) -> None:
    campaign = run(ladder((1, 500)))
    publishing.end_campaign(campaign_id=campaign.pk, why="x", by=REVIEWER, at=at)
    campaign.refresh_from_db()
    assert campaign.status == "ended"


def test_an_ordinary_order_costs_the_campaigns_little(django_assert_num_queries: Any) -> None:
    order = make_order(matured_at=AT)
    with django_assert_num_queries(3 + 4):  # two of a savepoint each
        mark_sale(order_id=order.pk)
