"""Phrases that a campaign's text may not hold."""

from __future__ import annotations

import pytest

from campaigns.wording import BLOCK, PHRASES, REVIEW, Hit, blocked_in, hits_in


def test_inviting_friends_to_buy_together_passes() -> None:
    assert hits_in("邀请好友一起拼团") == []


def test_sharing_to_three_groups_before_ordering_is_blocked() -> None:
    assert hits_in("分享到3个群才能下单") == [Hit("forced_share", "分享到3个群", 0, BLOCK)]


@pytest.mark.parametrize(
    "text", ["分享", "邀请", "好友下单后得券", "分享商品给好友", "上新", "第二件半价", "现金支付"]
)
def test_ordinary_words_pass(text: str) -> None:
    assert hits_in(text) == []


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("转发才能领取", "forced_share"),
        ("分享到三个微信群", "forced_share"),
        ("关注后领取优惠券", "induced_follow"),
        ("躺赚不是梦", "exaggerated_gain"),
        ("拉人头就有奖励", "recruit_headcount"),
        ("先交入门费", "entry_fee"),
        ("消费满500元即成为会员", "entry_fee"),
        ("保本理财", "medical_financial"),
        ("请下载APP", "app_jump"),
    ],
)
def test_inducement_is_blocked(text: str, category: str) -> None:
    assert [hit.category for hit in blocked_in(text)] == [category]


@pytest.mark.parametrize("text", ["三级分销", "国家级品质", "抽奖活动", "仅剩5件", "最后一天"])
def test_doubtful_phrases_are_left_to_the_reviewer(text: str) -> None:
    assert blocked_in(text) == []
    assert {hit.action for hit in hits_in(text)} == {REVIEW}


@pytest.mark.parametrize(
    "text", ["拉 人 头", "拉\u200b人头", "拉人頭", "拉\n人头", "下载ＡＰＰ", "下載app"]
)
def test_no_disguise_hides_a_phrase(text: str) -> None:
    assert len(blocked_in(text)) == 1


def test_a_hit_says_where_it_begins_in_the_text_as_written() -> None:
    assert hits_in("你好 \u200b 拉 人 頭！") == [Hit("recruit_headcount", "拉人头", 5, BLOCK)]


def test_every_category_has_an_action_and_phrases() -> None:
    assert all(action in (BLOCK, REVIEW) and phrases for action, phrases in PHRASES.values())
