"""Who asks."""

from __future__ import annotations

from typing import cast

from rest_framework.request import Request

from referrals.auth import MemberActor
from referrals.models import Member


def buyer_of(request: Request) -> Member:
    """Return the member who is signed in; every view that calls this demands one."""
    return cast(MemberActor, request.user).member
