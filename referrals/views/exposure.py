"""Whether the mini-program shows the promoter entry."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distro import clock
from referrals.auth import member_of
from referrals.serializers_exposure import EntryOut
from referrals.services.exposure import decide_exposure


class EntryView(APIView):
    """The promoter entry, as one sees it."""

    @extend_schema(
        responses=EntryOut,
        examples=[
            OpenApiExample("Shown", value={"shown": True, "reason": "everyone"}),
            OpenApiExample(
                "Not before the first purchase", value={"shown": False, "reason": "not_received"}
            ),
        ],
    )
    def get(self, request: Request) -> Response:
        """Say whether to show the promoter entry; where it is hidden an application is refused."""
        row = decide_exposure(member=member_of(request), at=clock.now())
        return Response(EntryOut(row).data)
