"""The ledger: booking many transfers at once against one by one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import transaction

from analytics.bench.figures import PAIRS, Figure, at_least, compare
from commissions.services.ledger import EXPENSE, Entry, Kind, Ref, post
from distro.clock import BEIJING
from referrals.bulk import attach
from referrals.models import Member

AT = datetime(2026, 1, 31, 12, 0, tzinfo=BEIJING)


def bench_ledger(*, quick: bool) -> Iterator[Figure]:
    """Book many transfers at once against one by one."""
    count = 50 if quick else 200
    promoters = [_promoter(number) for number in range(10)]
    batch = 0

    def entries() -> list[Entry]:
        nonlocal batch
        batch += 1
        return [
            Entry(
                EXPENSE, Ref(Kind.FROZEN, promoters[n % 10]), 1, "accrue", f"{batch}:{n}", "bench"
            )
            for n in range(count)
        ]

    def one_by_one() -> None:
        for entry in entries():
            post([entry], at=AT)

    ratio = compare(one_by_one, lambda: post(entries(), at=AT), PAIRS)
    yield at_least("ledger", f"{count} transfers: one by one / at once", ratio, 5.0)


def _promoter(number: int) -> int:
    member = Member.objects.create(no=f"bench{number}", joined_at=AT)
    with transaction.atomic():
        return attach(member_id=member.pk, parent_id=None, code=f"BENCH{number:03d}", at=AT)
