"""Who asks: a member by his opaque token, who is never a staff user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from distro import clock
from distro.actors import Actor
from referrals import selectors
from referrals.errors import TokenInvalid
from referrals.models import Member, MemberToken

SCHEME = "Bearer"


@dataclass(frozen=True)
class MemberActor:
    """What `request.user` is on the API; it has no rights in the admin."""

    member: Member
    is_authenticated: bool = True
    is_active: bool = True
    is_staff: bool = False
    is_superuser: bool = False

    @property
    def actor(self) -> Actor:
        """Return who this is in histories and audit rows."""
        return self.member.actor

    @property
    def pk(self) -> str:
        """Return a name that no staff user's id can equal."""
        return str(self.actor)

    def __str__(self) -> str:
        return str(self.actor)


def member_of(request: Request) -> Member:
    """Return the member who asks; the view demands one."""
    assert isinstance(request.user, MemberActor)
    return request.user.member


class MemberTokenAuthentication(BaseAuthentication):
    """Read "Authorization: Bearer <token>"; a request without one is nobody's."""

    def authenticate(self, request: Request) -> tuple[MemberActor, MemberToken] | None:
        """Return who asks and with which token.

        Raises TokenInvalid, MemberBlocked, MemberClosed.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != SCHEME.lower():
            return None
        row = selectors.live_token(token.strip(), at=clock.real_now())
        if row is None:
            raise TokenInvalid
        member = row.member.living  # the token of a merged account leads to the one that stays
        selectors.refuse_inactive(member)
        return MemberActor(member), row

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return SCHEME


class MemberTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describe the token in the schema."""

    target_class = MemberTokenAuthentication
    name = "memberToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the security scheme."""
        return {"type": "http", "scheme": "bearer", "description": "The token of auth/login."}
