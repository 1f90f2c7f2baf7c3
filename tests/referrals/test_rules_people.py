"""Whose ID number is real, who is an adult, who is one person with two accounts."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from distro.errors import DomainError
from referrals.errors import BadIdNumber, BadName, BadPhone, TooYoung
from referrals.rules.people import (
    Person,
    normal_id_number,
    normal_name,
    normal_phone,
    person_of,
)

TODAY = date(2026, 11, 2)


def with_check(body: str) -> str:
    """Return an ID number with its check character, computed the long way."""
    weights = [pow(2, 17 - index, 11) for index in range(17)]
    total = sum(int(digit) * weight for digit, weight in zip(body, weights))
    return body + "10X98765432"[total % 11]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("110105194912310021", BadIdNumber),  # check character
        ("11010519491231002", BadIdNumber),  # 17 characters
        ("1101051949123100200", BadIdNumber),
        ("110105491231002", BadIdNumber),  # the old form of 15 digits
        (with_check("11010520230230001"), BadIdNumber),  # 30 February
        (with_check("11010520261103001"), BadIdNumber),  # born tomorrow
        (with_check("11010517991231002"), BadIdNumber),
        (with_check("01010519491231002"), BadIdNumber),
        ("11010519491231O02X", BadIdNumber),
        ("=1+1", BadIdNumber),
        ("", BadIdNumber),
        (with_check("11010520081103001"), TooYoung),  # 18 tomorrow
    ],
)
def test_a_wrong_id_number_is_refused(text: str, error: type[DomainError]) -> None:
    with pytest.raises(error) as caught:
        normal_id_number(text, today=TODAY)
    assert caught.value.field == "id_number"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("11010519491231002X", "11010519491231002X"),
        (" 11010519491231002x ", "11010519491231002X"),
        ("１１０１０５１９４９１２３１００２Ｘ", "11010519491231002X"),
        (with_check("11010520081102001"), with_check("11010520081102001")),  # 18 today
    ],
)
def test_an_adults_id_number_is_taken(text: str, number: str) -> None:
    assert normal_id_number(text, today=TODAY) == number


@pytest.mark.parametrize(
    "name", ["", "张", "张三1", "=cmd()", "<b>x</b>", "张" * 41, "a_b", "@SUM"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(BadName):
        normal_name(name)


@pytest.mark.parametrize("name", ["张三", "买买提·艾合买提", "Anna-Maria O'Neil"])
def test_a_name_is_taken(name: str) -> None:
    assert normal_name(f" {name} ") == name


@pytest.mark.parametrize("text", ["", "123", "1380013800", "138001380000", "+0123456789", "abc"])
def test_what_is_no_phone_number_is_refused(text: str) -> None:
    with pytest.raises(BadPhone):
        normal_phone(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("13800138000", "+8613800138000"),
        ("138 0013-8000", "+8613800138000"),
        ("8613800138000", "+8613800138000"),
        ("+86 13800138000", "+8613800138000"),
        ("１３８００１３８０００", "+8613800138000"),
        ("+85291234567", "+85291234567"),
    ],
)
def test_one_phone_has_one_form(text: str, number: str) -> None:
    assert normal_phone(text) == number


def person(*marks: Any) -> Person:
    return person_of([(*marks, *[None] * (4 - len(marks)))])


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Person(1), True),
        (Person(2), False),
        (person(2, "u"), True),
        (person(2, None, "p"), True),
        (person(2, None, "", "i"), True),
        (person(2, "p", "i", "u"), False),
        (person_of([(2, None, "", None), (2, None, "p", None)]), True),
    ],
)
def test_a_person_is_known_in_disguise(other: Person, same: bool) -> None:
    me = person(1, "u", "p", "i")
    assert me.is_same_as(other) is other.is_same_as(me) is same


def test_two_unknown_persons_are_two() -> None:
    assert not Person(1).is_same_as(Person(2))
