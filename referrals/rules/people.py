"""Who is the same person, which phone and ID numbers are real."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from referrals.errors import BadIdNumber, BadName, BadPhone, TooYoung

ADULT_YEARS = 18
ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
ID_CHECK = "10X98765432"
ID_NUMBER = re.compile(r"[1-9]\d{16}[\dX]", re.ASCII)
NAME = re.compile(r"[^\W\d_](?:[^\W\d_]|[ ·.'’-]){0,38}[^\W\d_]")
FULL_TO_HALF = {**{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}, 0x3000: 0x20}


@dataclass(frozen=True)
class Person:
    """What all accounts of one person tell about him; nothing is empty text.

    member_id: the account that stays, for one that was merged.
    """

    member_id: int
    unionids: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()  # blind indexes
    id_numbers: frozenset[str] = frozenset()  # blind indexes, whatever came of the identity

    def is_same_as(self, other: Person) -> bool:
        """Say whether one person is behind both."""
        return (
            self.member_id == other.member_id
            or not self.unionids.isdisjoint(other.unionids)
            or not self.phones.isdisjoint(other.phones)
            or not self.id_numbers.isdisjoint(other.id_numbers)
        )


Marks = tuple[int, str | None, str | None, str | None]  # living account, unionid, phone, ID number


def person_of(rows: Iterable[Marks]) -> Person:
    """Put together what each account of one person, also of those merged into it, tells."""
    living, unionids, phones, id_numbers = zip(*rows)
    marks = (frozenset(filter(None, texts)) for texts in (unionids, phones, id_numbers))
    return Person(living[0], *marks)


def normal_phone(text: str) -> str:
    """Return a phone number in E.164, +86 where no country is given; raise BadPhone."""
    digits = re.sub(r"[\s()-]", "", text.translate(FULL_TO_HALF))
    if re.fullmatch(r"1\d{10}", digits, re.ASCII):
        return "+86" + digits
    if re.fullmatch(r"86(1\d{10})", digits, re.ASCII):
        return "+" + digits
    if re.fullmatch(r"\+[1-9]\d{6,14}", digits, re.ASCII):
        return digits
    raise BadPhone(field="phone_code")


def normal_id_number(text: str, *, today: date) -> str:
    """Return an 18-character ID number of an adult, X as a capital.

    Raises BadIdNumber for shape, date or check character, TooYoung below 18 years.
    """
    number = text.strip().translate(FULL_TO_HALF).upper()
    if not ID_NUMBER.fullmatch(number):
        raise BadIdNumber(field="id_number")
    weighted = sum(weight * int(digit) for weight, digit in zip(ID_WEIGHTS, number))
    born = _date(number[6:14])
    if number[17] != ID_CHECK[weighted % 11] or born is None or not _plausible(born, today):
        raise BadIdNumber(field="id_number")
    if (born.year + ADULT_YEARS, born.month, born.day) > (today.year, today.month, today.day):
        raise TooYoung(field="id_number", years=ADULT_YEARS)
    return number


def normal_name(text: str) -> str:
    """Return a real name, blanks at its ends removed; raise BadName."""
    name = " ".join(text.split())
    if not NAME.fullmatch(name):
        raise BadName(field="name")
    return name


def _date(digits: str) -> date | None:
    try:
        return datetime.strptime(digits, "%Y%m%d").date()  # noqa: DTZ007 - a day, no moment
    except ValueError:
        return None


def _plausible(born: date, today: date) -> bool:
    return born.year >= 1880 and born <= today
