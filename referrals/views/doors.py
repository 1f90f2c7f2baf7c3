"""What the endpoints of this package have in common."""

from __future__ import annotations

from rest_framework.request import Request

from distro.api.throttles import ActorThrottle
from referrals.auth import MemberActor
from referrals.models import Member


def member_of(request: Request) -> Member:
    """Return who asks; the permission classes let nobody else in."""
    assert isinstance(request.user, MemberActor)
    return request.user.member


def address_of(request: Request) -> str:
    """Return the caller's address, as the trusted proxies tell it."""
    return ActorThrottle().get_ident(request) or ""
