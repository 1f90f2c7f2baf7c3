"""The endpoint that puts the demo's clock forward; elsewhere it is not there."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distro import clock

YEAR_S = 366 * 24 * 3600


class DemoClockView(APIView):
    """Business time of a demo."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    class InputSerializer(serializers.Serializer[Any]):
        seconds = serializers.IntegerField(min_value=0, max_value=YEAR_S)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Pretend that there is nothing, except in a demo."""
        if not settings.DEMO_CLOCK:
            raise Http404
        super().initial(request, *args, **kwargs)

    @extend_schema(exclude=True)
    def post(self, request: Request) -> Response:
        """Move the clock forward; answer what time it is now."""
        body = self.InputSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        clock.move(body.validated_data["seconds"])
        return Response({"now": clock.now()})
