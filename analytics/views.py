"""Events from the mini-program."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from analytics.serializers import BatchSerializer, TakenSerializer, answer_of, read_batch
from analytics.services.events import take_events
from distro import clock
from referrals.auth import member_of

BATCH = {
    "events": [
        {
            "client_event_id": "b7d1c2-1",
            "name": "product_view",
            "occurred_at": "2026-11-02T10:00:00+08:00",
            "object_ref": "P0001",
            "channel": "chat",
        },
        {
            "client_event_id": "b7d1c2-2",
            "name": "liked",
            "occurred_at": "2026-11-02T10:00:05+08:00",
        },
    ]
}
TAKEN = {
    "accepted": 1,
    "duplicate": 0,
    "rejected": [
        {
            "index": 1,
            "code": "unknown_event",
            "field": "name",
            "message": "There is no event with this name.",
        }
    ],
}


class EventsView(APIView):
    throttle_scope = "events"

    @extend_schema(
        operation_id="events",
        request=BatchSerializer,
        responses=TakenSerializer,
        examples=[
            OpenApiExample("Two events", BATCH, request_only=True),
            OpenApiExample("One was taken", TAKEN, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        """Tell up to 100 events; each counts once, however often it is told.

        Needs no Idempotency-Key: the events carry their own.
        """
        events, malformed = read_batch(request.data)
        member = member_of(request)
        taken = take_events(member_id=member.pk, events=events, at=clock.now())
        return Response(answer_of(taken, malformed))
