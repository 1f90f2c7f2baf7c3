"""Persons with more than one account."""

from __future__ import annotations

from datetime import datetime

from distro.crypto import blind_index
from referrals.models import (
    Member,
)
from referrals.services.merging import approve_merge, propose_merge
from tests.factories import (
    make_member,
)
from tests.referrals.joining import SECOND, STAFF

NUMBER = "11010519491231002X"
PHONES = [blind_index("phone", f"+861380013800{n}") for n in range(3)]


def merged(one: Member, into: Member, at: datetime) -> Member:
    row = propose_merge(merged_id=one.pk, survivor_id=into.pk, reason="one person", by=STAFF, at=at)
    approve_merge(merge_id=row.pk, by=SECOND, at=at)
    return Member.objects.get(pk=into.pk)


def with_two_phones(at: datetime) -> Member:
    """Return a person whose older account, with the second phone, was merged into this one."""
    stays, former = make_member(phone_index=PHONES[0]), make_member(phone_index=PHONES[1])
    return merged(former, stays, at)
