"""A caller for tests of the API's own machinery: signed in by the header X-Member."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import admin
from django.urls import path
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.views import APIView

from distro.actors import Actor

ADMIN = path("admin/", admin.site.urls)  # every request passes middleware that looks for it


@dataclass
class Caller:
    actor: Actor
    is_authenticated = True


class HeaderAuthentication(BaseAuthentication):
    def authenticate(self, request):
        member = request.headers.get("X-Member")
        return (Caller(Actor("member", int(member))), None) if member else None

    def authenticate_header(self, request):
        return "Bearer"


class MemberView(APIView):
    authentication_classes = (HeaderAuthentication,)
    permission_classes = (IsAuthenticated,)
    throttle_classes = ()
