"""What the endpoints of this package have in common."""

from __future__ import annotations

from rest_framework.request import Request

from distro.api.throttles import ActorThrottle


def address_of(request: Request) -> str:
    """Return the caller's address, as the trusted proxies tell it."""
    return ActorThrottle().get_ident(request) or ""
