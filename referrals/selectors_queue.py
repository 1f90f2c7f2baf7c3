"""What a reviewer should know of applications before he decides; read for a whole page at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import timedelta

from django.db.models import Count, Q, TextChoices
from django.utils.translation import gettext_lazy as _

from referrals.models import (
    Agreement,
    AgreementAcceptance,
    Application,
    Identity,
    Member,
    Promoter,
    Visit,
)

FRESH = timedelta(hours=1)  # between joining and applying
DEVICES_SINCE = timedelta(days=30)
REJECTED = Application.Status.REJECTED


class Risk(TextChoices):
    """What makes an application worth a second look; a person decides, no rule does."""

    SAME_PERSON = "same_person", _("Has another account?")  # by phone, unionid or ID number
    SAME_DEVICE = "same_device", _("Same device as upline")
    FRESH = "fresh", _("Joined just before")
    REJECTED = "rejected", _("Rejected before")
    UPLINE = "upline", _("Upline not active")


def risks_of(applications: Collection[Application]) -> dict[int, list[Risk]]:
    """Return what to look at, by application; a fixed number of queries for any page.

    The applications come with their member and their upline's member.
    """
    ids = [row.member_id for row in applications]
    uplines = [row.parent.member_id for row in applications if row.parent]
    twins = _with_twins(applications)
    devices = _devices([*ids, *uplines], applications)
    rejected = _rejections(ids)
    found: dict[int, list[Risk]] = {}
    for row in applications:
        upline = row.parent.member_id if row.parent else 0
        checks = [
            (Risk.SAME_PERSON, row.member_id in twins),
            (Risk.SAME_DEVICE, bool(devices[row.member_id] & devices[upline])),
            (Risk.FRESH, row.requested_at - row.member.joined_at < FRESH),
            (Risk.REJECTED, rejected.get(row.member_id, 0) > (row.status == REJECTED)),
            (Risk.UPLINE, bool(row.parent and row.parent.status != Promoter.Status.ACTIVE)),
        ]
        found[row.pk] = [risk for risk, holds in checks if holds]
    return found


def _with_twins(applications: Iterable[Application]) -> set[int]:
    """Return the applicants of whom another account has the phone, unionid or ID number."""
    applicants = {row.member_id: row.member for row in applications}
    phones = {row.phone_index for row in applicants.values()} - {""}
    unionids = {row.unionid for row in applicants.values()} - {None, ""}
    own = Identity.objects.filter(member__in=applicants)
    numbers = Identity.objects.filter(id_index__in=own.values("id_index"))
    accounts = Member.objects.filter(Q(phone_index__in=phones) | Q(unionid__in=unionids))
    keys: dict[str, set[int]] = defaultdict(set)
    for pk, phone, unionid in accounts.values_list("pk", "phone_index", "unionid"):
        keys[f"phone {phone}"].add(pk)
        keys[f"unionid {unionid}"].add(pk)
    for pk, number in numbers.values_list("member", "id_index"):
        keys[f"number {number}"].add(pk)
    keys.pop("phone ", None)
    keys.pop("unionid ", None)
    keys.pop("unionid None", None)
    shared = [members for members in keys.values() if len(members) > 1]
    return {pk for members in shared for pk in members if pk in applicants}


def _devices(
    member_ids: Collection[int], applications: Iterable[Application]
) -> defaultdict[int, set[str]]:
    """Return the devices that members opened links with, around the oldest application."""
    moments = [row.requested_at for row in applications]
    devices: defaultdict[int, set[str]] = defaultdict(set)
    if not moments:
        return devices
    since = min(moments) - DEVICES_SINCE
    rows = Visit.objects.filter(member__in=member_ids, occurred_at__gte=since)
    rows = rows.exclude(device_hmac="").order_by()
    for pk, device in rows.values_list("member", "device_hmac").distinct():
        devices[pk or 0].add(device)
    return devices


def _rejections(member_ids: Collection[int]) -> dict[int, int]:
    """Return how often members were rejected."""
    rows = Application.objects.filter(member__in=member_ids, status=REJECTED)
    counted = rows.order_by().values("member").annotate(times=Count("pk"))
    return dict(counted.values_list("member", "times"))


def identity_states(member_ids: Collection[int]) -> dict[int, str]:
    """Return the status of the identities that members have given."""
    rows = Identity.objects.filter(member__in=member_ids)
    return {row.member_id: row.get_status_display() for row in rows.only("member", "status")}


def signers(member_ids: Collection[int], agreement: Agreement) -> set[int]:
    """Return those of the members who signed a version."""
    rows = AgreementAcceptance.objects.filter(agreement=agreement, member__in=member_ids)
    return set(rows.values_list("member", flat=True))
