"""Telling promoters of a new version of their agreement, in batches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from distro import clock
from referrals import selectors_joining
from referrals.models import Agreement, Message, SubscribeQuota
from referrals.services.messages import in_members_language, notify, template_of

MESSAGE_KIND = "agreement"
PAGE = "pages/promoter/agreement"
AT_ONCE = 1_000
SLACK = timedelta(days=1)  # approvals may commit long after their time


def announce_agreements(*, at: datetime) -> int:
    """Tell each promoter and applicant once of the version that rules, and of each that will.

    The first run over a version goes through all of them; later ones look at who came since.
    Returns how many were told.
    """
    return sum([_announce(one, at) for one in selectors_joining.announced_agreements(at)])


def _announce(agreement: Agreement, at: datetime) -> int:
    """Tell of one version; the first version of all is news to nobody."""
    if not selectors_joining.has_predecessor(agreement):
        return 0
    since = agreement.announced_at - SLACK if agreement.announced_at else None
    told = sum([_tell(agreement, page, at) for page in _pages(agreement, since)])
    Agreement.objects.filter(pk=agreement.pk).update(announced_at=at)
    return told


def _pages(agreement: Agreement, since: datetime | None) -> Iterator[list[int]]:
    """Yield members, page by page, so that no query stays open over the writes."""
    yield list(selectors_joining.applicants_to_announce(agreement))
    rows = selectors_joining.promoters_to_announce(agreement, since=since)
    last = 0
    while page := list(rows.filter(pk__gt=last)[:AT_ONCE]):
        yield [member_id for _promoter_id, member_id in page]
        last = page[-1][0]


def _tell(agreement: Agreement, member_ids: Collection[int], at: datetime) -> int:
    """Write the message to members who have none yet; over WeChat too where one is accepted."""
    keys = {f"agreement:{agreement.pk}:{member_id}": member_id for member_id in member_ids}
    with transaction.atomic():
        there = set(Message.objects.filter(key__in=keys).values_list("key", flat=True))
        new = {key: member_id for key, member_id in keys.items() if key not in there}
        title, body = _text(agreement)
        accepting = _accepting(new.values())
        rows = [
            Message(
                member_id=member_id, kind=MESSAGE_KIND, key=key, title=title, body=body,
                page=PAGE, created_at=at,
            )
            for key, member_id in new.items()
            if member_id not in accepting
        ]  # fmt: skip
        Message.objects.bulk_create(rows, ignore_conflicts=True)
        for key, member_id in new.items():
            if member_id in accepting:
                notify(
                    member_id=member_id, kind=MESSAGE_KIND, key=key, title=title, body=body,
                    page=PAGE, at=at,
                )  # fmt: skip
    return len(new)


def _accepting(member_ids: Iterable[int]) -> set[int]:
    """Return the members who accept one more message of this kind over WeChat."""
    template = template_of(MESSAGE_KIND)
    if template is None:
        return set()
    rows = SubscribeQuota.objects.filter(template=template, left__gt=0)
    return set(rows.filter(member__in=list(member_ids)).values_list("member", flat=True))


def _text(agreement: Agreement) -> tuple[str, str]:
    moment = agreement.effective_from.astimezone(clock.BEIJING)
    with in_members_language():
        facts = {"version": agreement.version, "day": f"{moment:%Y-%m-%d}"}
        title = _("The promoter agreement has a new version")
        body = _(
            "Version %(version)s rules from %(day)s. Read and accept it; until you have, you can"
            " make no new share links and request no withdrawal from that day on. What you earned"
            " stays yours. If you do not agree you may quit."
        )
        return title, body % facts
