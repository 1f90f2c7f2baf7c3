"""Who sees the promoter entry: the draw and the decision, on plain values."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from referrals.rules.exposure import (
    BUCKETS,
    EVERYONE,
    NOBODY,
    PROMOTERS,
    RECEIVED,
    SHOWN,
    TAG,
    Draw,
    Reason,
    bucket_of,
    decide,
    fixed_until,
)


# The first 8 hexadecimal digits as `printf '%s%s' salt person | sha256sum` writes them.
@pytest.mark.parametrize(
    ("salt", "person", "digits", "bucket"),
    [
        ("spring-2026", "o6_bmjrPTlm6_2sgVt7hMZOPfL2M", "95731686", 7590),
        ("abc", "person-1", "38d302b1", 2881),
        ("abc", "person-2", "58c7dd62", 3346),
        ("xyz", "person-1", "aeae3c30", 4256),
        ("salt", "用户", "2eca841b", 4027),
        ("abc", "", "ba7816bf", 2319),
    ],
)
def test_the_place_is_the_hash_modulo_ten_thousand(
    salt: str, person: str, digits: str, bucket: int
) -> None:
    assert bucket_of(salt, person) == int(digits, 16) % 10_000 == bucket


def test_a_tenth_of_a_fixed_set_of_persons_is_held_out() -> None:
    drawn = [bucket_of("distro", f"person-{n}") for n in range(20_000)]
    held = sum(bucket < 1_000 for bucket in drawn)
    assert abs(held - 2_000) < 130  # three standard deviations
    tenths = [sum(bucket // 1_000 == tenth for bucket in drawn) for tenth in range(10)]
    assert max(abs(count - 2_000) for count in tenths) < 130
    assert min(drawn) >= 0
    assert max(drawn) < BUCKETS


def test_another_salt_draws_other_persons_independently() -> None:
    both = [
        n
        for n in range(20_000)
        if bucket_of("one", f"person-{n}") < 1_000 and bucket_of("two", f"person-{n}") < 1_000
    ]
    assert 150 < len(both) < 250  # a tenth of a tenth


def test_a_smaller_share_of_the_same_draw_lies_within_the_larger_one() -> None:
    drawn = {n: bucket_of("s", f"person-{n}") for n in range(2_000)}
    assert {n for n, b in drawn.items() if b < 500} < {n for n, b in drawn.items() if b < 1_000}


NOT_DRAWN = {"in_holdout": False, "is_promoter": False, "is_invited": False, "in_segment": False}


@pytest.mark.parametrize(
    ("segment", "facts", "reason"),
    [
        (EVERYONE, {}, "everyone"),
        (EVERYONE, {"in_holdout": True}, "holdout"),
        (EVERYONE, {"in_holdout": True, "in_segment": True}, "holdout"),
        (EVERYONE, {"in_holdout": True, "is_promoter": True}, "is_promoter"),
        (EVERYONE, {"in_holdout": True, "is_invited": True}, "invited"),
        (EVERYONE, {"is_promoter": True, "is_invited": True}, "is_promoter"),
        (RECEIVED, {}, "not_received"),
        (RECEIVED, {"in_segment": True}, "has_received"),
        (RECEIVED, {"in_segment": True, "in_holdout": True}, "holdout"),
        (RECEIVED, {"is_promoter": True}, "is_promoter"),
        (RECEIVED, {"is_invited": True}, "invited"),
        (PROMOTERS, {}, "promoters_only"),
        (PROMOTERS, {"is_promoter": True}, "is_promoter"),
        (PROMOTERS, {"is_invited": True}, "invited"),
        (TAG, {}, "no_tag"),
        (TAG, {"in_segment": True}, "has_tag"),
        (TAG, {"in_segment": True, "in_holdout": True}, "holdout"),
        (NOBODY, {}, "nobody"),
        (NOBODY, {"is_promoter": True}, "nobody"),
        (NOBODY, {"is_invited": True}, "nobody"),
        (NOBODY, {"in_holdout": True}, "nobody"),
    ],
)
def test_the_decision_has_one_reason(segment: str, facts: dict[str, bool], reason: str) -> None:
    decision = decide(segment=segment, **NOT_DRAWN | facts)
    assert decision.reason == Reason(reason)
    assert decision.in_holdout is facts.get("in_holdout", False)
    assert decision.shown is (decision.reason in SHOWN)


def test_every_reason_is_reached_by_some_decision() -> None:
    told = {
        decide(
            segment=segment, in_holdout=held, is_promoter=prom, is_invited=inv, in_segment=inside
        ).reason
        for segment in (EVERYONE, RECEIVED, PROMOTERS, NOBODY, TAG)
        for held in (True, False)
        for prom in (True, False)
        for inv in (True, False)
        for inside in (True, False)
    }
    assert told == set(Reason)


DAY = timedelta(days=1)
YEAR = timedelta(days=366)


def test_without_a_holdout_nothing_is_fixed(at: datetime) -> None:
    assert fixed_until([], at=at) is None
    assert fixed_until([Draw(at, "a", 0)], at=at) is None
    assert fixed_until([Draw(at + DAY, "a", 1_000)], at=at) is None


def test_a_holdout_is_fixed_for_twelve_months_from_its_first_policy(at: datetime) -> None:
    same = [Draw(at, "a", 1_000), Draw(at + 9 * DAY, "a", 1_000)]
    assert fixed_until(same, at=at + 30 * DAY) == at + YEAR


def test_another_draw_or_share_begins_its_own_twelve_months(at: datetime) -> None:
    row = [Draw(at, "a", 1_000), Draw(at + 5 * DAY, "b", 1_000), Draw(at + 9 * DAY, "b", 500)]
    assert fixed_until(row, at=at + 4 * DAY) == at + YEAR
    assert fixed_until(row, at=at + 6 * DAY) == at + 5 * DAY + YEAR
    assert fixed_until(row, at=at + 9 * DAY) == at + 9 * DAY + YEAR


def test_a_holdout_that_was_ended_begins_anew(at: datetime) -> None:
    row = [Draw(at, "a", 1_000), Draw(at + DAY, "a", 0), Draw(at + 2 * DAY, "a", 1_000)]
    assert fixed_until(row, at=at + 2 * DAY) == at + 2 * DAY + YEAR
