"""Refusals of coupons and campaigns."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError

# --- Coupons --------------------------------------------------------------------------------


class CouponNotUsable(DomainError):
    """The coupon was used, expired or cancelled."""

    code = "coupon_not_usable"
    message = _("This coupon was already used, or can no longer be used.")


class CouponNotYetValid(DomainError):
    """The coupon counts later."""

    code = "coupon_not_yet_valid"
    message = _("This coupon cannot be used yet.")


class CouponExpired(DomainError):
    """The coupon's time is over; its last moment is too late."""

    code = "coupon_expired"
    message = _("This coupon has expired.")


class CouponNotForThese(DomainError):
    """No goods of the order are in the coupon's scope."""

    code = "coupon_not_for_these"
    message = _("This coupon is not for these goods.")


class CouponBelowThreshold(DomainError):
    """The goods in the coupon's scope cost less than its threshold."""

    code = "coupon_below_threshold"
    message = _("This coupon needs goods of at least %(threshold)s yuan.")


class CouponsExhausted(DomainError):
    """All coupons of the template are granted or promised."""

    code = "coupons_exhausted"
    message = _("There are no more of these coupons.")


class CouponLimitReached(DomainError):
    """The member has as many of these coupons as one may get."""

    code = "coupon_limit_reached"
    message = _("You have already got as many of these coupons as one may get.")


# --- Publishing a campaign ------------------------------------------------------------------


class BadCampaign(DomainError):
    """A campaign that may not be saved or published as it is; `field` says what to change."""

    code = "bad_campaign"
    status = 400


class NaiveTime(BadCampaign):
    """A time without a time zone."""

    code = "naive_time"
    message = _("Give the time with its time zone.")


class EndNotAfterStart(BadCampaign):
    """The end is not after the start, or already past."""

    code = "end_not_after_start"
    message = _("The end must be after the start and in the future.")


class TitleNotPlain(BadCampaign):
    """Emoji, control characters or the beginning of a formula."""

    code = "title_not_plain"
    message = _("Write the title without emoji and control characters, not starting with = + - @.")


class TextMissing(BadCampaign):
    """The rules are shown in full before joining, so there must be some."""

    code = "text_missing"
    message = _("Write the rules that are shown before joining.")


class TiersNotRising(BadCampaign):
    """The tiers' numbers of invited buyers do not rise strictly from at least 1."""

    code = "tiers_not_rising"
    message = _("The tiers' numbers of invited buyers must rise from tier to tier.")


class TierAboveMaximum(BadCampaign):
    """A tier that nobody can reach."""

    code = "tier_above_maximum"
    message = _("No tier may be above the rewarded invitations a member may have.")


class RewardNotPositive(BadCampaign):
    """A reward of nothing, or none at all."""

    code = "reward_not_positive"
    message = _("Every reward must be worth more than 0.")


class DeclineOutOfRange(BadCampaign):
    """A next reward that is larger than the last, or nothing."""

    code = "decline_out_of_range"
    message = _("Each next reward is more than 0 % and at most 100 % of the last.")


class RewardAboveThreshold(BadCampaign):
    """A coupon worth more than the goods it is for."""

    code = "reward_above_threshold"
    message = _("A reward must not be worth more than the threshold of its coupon.")


class TooManyInvitations(BadCampaign):
    """The rewarded invitations of a member, or all rewards, are none or without end."""

    code = "too_many_invitations"
    message = _("Reward at least 1 and at most %(maximum)s invitations.")


class NotOneMode(BadCampaign):
    """Tiers in a declining campaign, or a coupon of each invitation in a ladder."""

    code = "not_one_mode"
    message = _("A ladder has tiers; a reward for every invitation has one coupon.")


class RewardEatsSale(BadCampaign):
    """Rewards and the highest commission could reach what was paid."""

    code = "reward_eats_sale"
    message = _(
        "%(buyers)s invited buyers who each buy the cheapest goods pay %(paid)s yuan; coupons of"
        " %(rewards)s yuan and the highest commission would use that up. Lower the reward."
    )


class WordingRefused(BadCampaign):
    """The text holds phrases that WeChat or the law forbids."""

    code = "wording_refused"
    message = _("These phrases are not allowed: %(terms)s")


class TemplateTooSmall(BadCampaign):
    """The coupon template has too few free coupons for the promised rewards."""

    code = "template_too_small"
    message = _("The coupon “%(title)s” has too few left for %(needed)s rewards.")


class MakerReviews(DomainError):
    """Who made or submitted a campaign wants to approve it."""

    code = "maker_reviews"
    message = _("Another person than the one who made it must review this.")
    status = 403


# --- Taking part ----------------------------------------------------------------------------


class CampaignNotStarted(DomainError):
    """The campaign runs later."""

    code = "campaign_not_started"
    message = _("This campaign has not started yet.")


class CampaignPaused(DomainError):
    """The campaign takes nobody new for now."""

    code = "campaign_paused"
    message = _("This campaign is paused; please try later.")


class CampaignOver(DomainError):
    """The campaign has ended; its last moment is too late."""

    code = "campaign_over"
    message = _("This campaign is over.")
