"""The shape of events in the API."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from analytics.errors import EventMalformed, EventRefused, TooManyEvents
from analytics.rules import BATCH_MAX, EVENT_NAMES
from analytics.services.events import Taken, Told
from distro.api.fields import MomentField
from referrals.models import ShareLink


class EventSerializer(serializers.Serializer[object]):
    """One event; `client_event_id` is made by the mini-program and sent again on a repeat."""

    client_event_id = serializers.RegexField(r"^[!-~]{1,64}$")
    name = serializers.CharField(
        max_length=32, help_text="One of: " + ", ".join(sorted(EVENT_NAMES))
    )
    occurred_at = MomentField(help_text="With its time zone.")
    object_ref = serializers.RegexField(
        r"^[0-9A-Za-z._/-]{0,64}$",
        required=False,
        default="",
        allow_blank=True,
        help_text="A product, campaign or page; never a person.",
    )
    channel = serializers.ChoiceField(
        choices=ShareLink.Channel.choices, required=False, default="", allow_blank=True
    )

    def validate_occurred_at(self, value: Any) -> Any:
        """Refuse a time whose zone we would have to guess."""
        written = str(self.initial_data["occurred_at"])
        if not (written.endswith("Z") or "+" in written[10:] or "-" in written[10:]):
            raise serializers.ValidationError("time zone")
        return value


class BatchSerializer(serializers.Serializer[object]):
    """Up to 100 events; for the description only, each event is read by itself."""

    events = EventSerializer(many=True)


class RefusedSerializer(serializers.Serializer[object]):
    """An event that was not taken; sending it again is of no use."""

    index = serializers.IntegerField()
    code = serializers.CharField()
    field = serializers.CharField()
    message = serializers.CharField()


class TakenSerializer(serializers.Serializer[object]):
    """What became of the batch."""

    accepted = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    rejected = RefusedSerializer(many=True)


def read_batch(data: object) -> tuple[dict[int, Told], dict[int, EventRefused]]:
    """Return the events and the malformed ones, both by their index. Raises TooManyEvents."""
    rows = data.get("events") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not 1 <= len(rows) <= BATCH_MAX:
        raise TooManyEvents(field="events", maximum=BATCH_MAX)
    events: dict[int, Told] = {}
    refused: dict[int, EventRefused] = {}
    for index, row in enumerate(rows):
        form = EventSerializer(data=row)
        if form.is_valid():
            events[index] = Told(**form.validated_data)
        else:
            field = next(name for name in (*form.errors, "event") if name != "non_field_errors")
            refused[index] = EventMalformed(field=field, name=field)
    return events, refused


def answer_of(taken: Taken, malformed: dict[int, EventRefused]) -> dict[str, Any]:
    """Return the answer to a batch, the refusals in the order of their events."""
    refused = taken.refused | malformed
    return {
        "accepted": taken.accepted,
        "duplicate": taken.duplicate,
        "rejected": [
            {"index": index, "code": why.code, "field": why.field or "", "message": str(why)}
            for index, why in sorted(refused.items())
        ],
    }
