"""Phrases that a campaign's text may not hold, or that its reviewer must look at.

Phrases, not words: "分享" and "邀请" alone are ordinary. Spaces, invisible characters, full-width
forms and traditional characters do not hide a phrase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK, REVIEW = "block", "review"
NUMBER = "[0-9一二三四五六七八九十百两几]+"

# category -> (action, phrases as regular expressions over the folded text)
PHRASES: dict[str, tuple[str, list[str]]] = {
    "forced_share": (
        BLOCK,
        [
            "转发才能",
            "分享才能",
            "分享后解锁",
            "转发后解锁",
            "不转不是",
            "必须转发",
            "必须分享",
            f"(分享|转发)到{NUMBER}个(微信)?群",
        ],
    ),
    "induced_follow": (BLOCK, ["关注后领取", "关注公众号才可", "先关注再"]),
    "exaggerated_gain": (
        BLOCK,
        ["月入过万", "躺赚", "日赚", "稳赚", "零投入高回报", "百元现金天天领"],
    ),
    "recruit_headcount": (
        BLOCK,
        ["拉人头", "发展下线", "招募下线", "裂变团队收益", "无限代", "静态收益"],
    ),
    "entry_fee": (BLOCK, ["入门费", "加盟费激活", "购买即成为代理", f"消费满{NUMBER}元?即?成为"]),
    "medical_financial": (BLOCK, ["治愈", "根治", "保本", "保收益"]),
    "app_jump": (BLOCK, ["下载app", "复制口令打开", "备用链接"]),
    "levels": (REVIEW, ["三级分销", "多级", "九级", "上线", "下线"]),
    "absolute": (REVIEW, ["国家级", "最高级", "最佳", "第一", "顶级", "唯一", "100%有效"]),
    "false_urgency": (REVIEW, ["最后一天", f"仅剩{NUMBER}件"]),
    "chance": (REVIEW, ["抽奖", "随机红包", "碰碰运气"]),
    "privacy": (REVIEW, ["输入身份证", "通讯录授权"]),
}
# Traditional forms of the characters above.
SIMPLIFIED = str.maketrans(
    "轉發纔後解鎖須個關領眾號過萬賺穩資報現錢頭裂變團隊無靜態門費盟購買為滿癒療證級線國頂獎隨機"
    "紅運氣輸訊錄權載製複開備鏈僅兩幾",
    "转发才后解锁须个关领众号过万赚稳资报现钱头裂变团队无静态门费盟购买为满愈疗证级线国顶奖随机"
    "红运气输讯录权载制复开备链仅两几",
)
UNSEEN = {"Cf", "Cc", "Zs", "Zl", "Zp", "Mn"}  # Unicode categories


@dataclass(frozen=True)
class Hit:
    """One phrase found; `offset` is where it begins in the text as written."""

    category: str
    term: str
    offset: int
    action: str


def hits_in(text: str) -> list[Hit]:
    """Return the phrases of a text that are forbidden or to be looked at, in their order."""
    return sorted(_find(text), key=lambda hit: hit.offset)


def blocked_in(text: str) -> list[Hit]:
    """Return the phrases that keep a text from being published."""
    return [hit for hit in hits_in(text) if hit.action == BLOCK]


def _find(text: str) -> Iterator[Hit]:
    folded = [(char, index) for index, written in enumerate(text) for char in _fold(written)]
    plain = "".join(char for char, _ in folded)
    for category, (action, phrases) in PHRASES.items():
        for match in re.finditer("|".join(phrases), plain):
            yield Hit(category, match.group(), folded[match.start()][1], action)


def _fold(char: str) -> str:
    """Return what a character stands for, without what cannot be seen."""
    folded = unicodedata.normalize("NFKC", char).casefold().translate(SIMPLIFIED)
    return "".join(c for c in folded if unicodedata.category(c) not in UNSEEN)
