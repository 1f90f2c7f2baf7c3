"""Invented people: names, phones and openids that the sandbox knows, ID numbers that pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from faker import Faker

from distro.wechat.sandbox.control import Person, SandboxControl
from referrals.rules.people import ID_CHECK, ID_WEIGHTS

ASKED_AT_ONCE = 500
REGIONS = ("110105", "310104", "330106", "440305", "510107", "320102", "420106", "610113")
OLDEST, YOUNGEST = date(1962, 1, 1), date(2004, 12, 31)


@dataclass(frozen=True)
class Someone:
    """A person before the shop knows him."""

    number: int
    name: str
    openid: str
    unionid: str
    phone: str
    id_number: str
    address: str

    @property
    def device(self) -> str:
        """Return what his phone says of itself."""
        return f"demo-phone-{self.number}"


def invent(count: int, *, control: SandboxControl, rng: Random) -> list[Someone]:
    """Return people of whom the sandbox knows openid and phone; person n is "demo-n" there."""
    fake = Faker("zh_CN")
    fake.seed_instance(rng.randrange(2**32))
    names = [f"demo-{number}" for number in range(1, count + 1)]
    known: dict[str, Person] = {}
    for start in range(0, count, ASKED_AT_ONCE):
        known |= control.people(names[start : start + ASKED_AT_ONCE])
    return [
        Someone(
            number=number,
            name=fake.name(),
            openid=known[name].openid,
            unionid=known[name].unionid,
            phone=known[name].phone,
            id_number=id_number(number, rng),
            address=fake.address().split(" ")[0],
        )
        for number, name in enumerate(names, start=1)
    ]


def id_number(number: int, rng: Random) -> str:
    """Return a well-formed ID number of an adult, another one for each number."""
    days = rng.randrange((YOUNGEST - OLDEST).days)
    born = OLDEST + timedelta(days=days)
    body = f"{REGIONS[number % len(REGIONS)]}{born:%Y%m%d}{number // len(REGIONS) % 1000:03d}"
    return body + check_digit(body)


def check_digit(body: str) -> str:
    """Return the last character of an ID number."""
    return ID_CHECK[sum(weight * int(digit) for weight, digit in zip(ID_WEIGHTS, body)) % 11]


def growing(count: int, days: int, *, rng: Random, slope: float = 2.0) -> Sequence[int]:
    """Spread a count over days, the last of which sees `slope` + 1 times as many as the first."""
    weights = [1 + slope * day / max(1, days - 1) for day in range(days)]
    chosen = rng.choices(range(days), weights=weights, k=count)
    return [chosen.count(day) for day in range(days)]
