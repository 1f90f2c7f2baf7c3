"""Events of the mini-program, taken in batches; the same event again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from analytics.errors import EventRefused
from analytics.models import Event
from analytics.rules import time_of_event
from referrals.models import Member


@dataclass(frozen=True)
class Told:
    """One event as the mini-program tells it."""

    client_event_id: str
    name: str
    occurred_at: datetime
    object_ref: str = ""
    channel: str = ""


@dataclass(frozen=True)
class Taken:
    """What became of a batch; refusals by the index of their event."""

    accepted: int
    duplicate: int
    refused: dict[int, EventRefused]


def take_events(*, member_id: int, events: Mapping[int, Told], at: datetime) -> Taken:
    """Record the events of a member, by their index in the batch, each at most once.

    An event is known by its member and client_event_id: the first telling stands.
    """
    refused: dict[int, EventRefused] = {}
    new: dict[str, Event] = {}
    for index, told in events.items():
        try:
            event = _event(told, member_id, at)
        except EventRefused as refusal:
            refused[index] = refusal
        else:
            new.setdefault(told.client_event_id, event)
    with transaction.atomic():
        # One batch of a member after the other, so that the counts are true.
        Member.objects.select_for_update(no_key=True).get(pk=member_id)
        mine = Event.objects.filter(member_id=member_id, client_event_id__in=new)
        known = set(mine.values_list("client_event_id", flat=True))
        Event.objects.bulk_create(event for key, event in new.items() if key not in known)
    accepted = len(new) - len(known)
    return Taken(accepted, len(events) - len(refused) - accepted, refused)


def _event(told: Told, member_id: int, at: datetime) -> Event:
    """Raises UnknownEvent, EventInFuture, EventTooOld."""
    return Event(
        member_id=member_id,
        client_event_id=told.client_event_id,
        name=told.name,
        object_ref=told.object_ref,
        channel=told.channel,
        occurred_at=time_of_event(name=told.name, occurred_at=told.occurred_at, at=at),
        received_at=at,
    )
