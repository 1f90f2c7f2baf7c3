"""Log-in, log-out, a member's own data and messages."""

from __future__ import annotations

from dataclasses import dataclass

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distro import clock
from distro.api.idempotency import idempotent
from distro.api.pagination import KeysetPagination, page_of
from referrals import selectors
from referrals.auth import member_of
from referrals.models import Member, MemberToken
from referrals.serializers import (
    LoginIn,
    LoginOut,
    MeIn,
    MeOut,
    MessageOut,
    ReadIn,
    ReadOut,
    SubscriptionOut,
    SubscriptionsIn,
)
from referrals.services import members, messages


class LoginView(APIView):
    """Exchange WeChat's login code for a token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_scope = "login"

    @extend_schema(
        request=LoginIn,
        responses=LoginOut,
        examples=[
            OpenApiExample(
                "From a friend's poster",
                value={"code": "0a3B…", "link_code": "K7PQ2MXA", "device": "d-8f2c"},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Log in; the first time makes a member. A bad share code does not stop it."""
        data = LoginIn(data=request.data)
        data.is_valid(raise_exception=True)
        result = members.login_with_code(**data.validated_data, at=clock.now())
        return Response(LoginOut(result).data)


class LogoutView(APIView):
    """Forget the token of this request."""

    @extend_schema(
        request=None,
        responses={204: None},
        examples=[OpenApiExample("Nothing to send", value={}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        """Log out on this device."""
        assert isinstance(request.auth, MemberToken)
        members.revoke_token(token_id=request.auth.pk, at=clock.real_now())
        return Response(status=204)


@dataclass(frozen=True)
class Me:
    """A member with what the first screen shows beside him."""

    member: Member
    promoter_code: str | None
    unread: int

    def __getattr__(self, name: str) -> object:
        return getattr(self.member, name)


ME = {
    "no": "M7K2PXQ4RTA", "nickname": "小王", "phone": "138****8000",
    "joined_at": "2026-11-02T10:00:00+08:00", "promoter_code": None, "unread": 2,
}  # fmt: skip


class MeView(APIView):
    """One's own data."""

    @extend_schema(responses=MeOut, examples=[OpenApiExample("A buyer", value=ME)])
    def get(self, request: Request) -> Response:
        """Return one's own data."""
        return self._answer(member_of(request))

    @extend_schema(
        request=MeIn,
        responses=MeOut,
        examples=[OpenApiExample("A new name", value={"nickname": "小王"}, request_only=True)],
    )
    def patch(self, request: Request) -> Response:
        """Change one's name; take over the phone number behind WeChat's phone code."""
        data = MeIn(data=request.data)
        data.is_valid(raise_exception=True)
        member = member_of(request)
        if code := data.validated_data.get("phone_code"):
            member = members.set_phone_with_code(member_id=member.pk, phone_code=code)
        if nickname := data.validated_data.get("nickname"):
            member = members.rename(member_id=member.pk, nickname=nickname)
        return self._answer(member)

    def _answer(self, member: Member) -> Response:
        promoter = selectors.promoter_of(member.pk)
        code = promoter.code if promoter else None
        return Response(MeOut(Me(member, code, selectors.unread_count(member))).data)


class InboxView(APIView):
    """The messages of the shop."""

    pagination_class = KeysetPagination

    @extend_schema(
        responses=MessageOut(many=True),
        examples=[
            OpenApiExample(
                "One message",
                value={
                    "kind": "promoter", "title": "你已成为推广员", "body": "申请已通过。",
                    "page": "pages/promoter/index", "created_at": "2026-11-02T10:00:00+08:00",
                    "read_at": None,
                },
                response_only=True,
            )
        ],
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Return one's messages, the newest first."""
        return page_of(request, selectors.inbox_of(member_of(request)), MessageOut, column="id")


class InboxReadView(APIView):
    """Marking messages as read."""

    @extend_schema(
        request=ReadIn,
        responses=ReadOut,
        examples=[OpenApiExample("All so far", value={"read": 2, "unread": 0}, response_only=True)],
    )
    def post(self, request: Request) -> Response:
        """Mark the messages up to a moment as read; doing it again changes nothing."""
        data = ReadIn(data=request.data)
        data.is_valid(raise_exception=True)
        member, now = member_of(request), clock.now()
        until = data.validated_data.get("until", now)
        read = messages.mark_read(member=member, until=until, at=now)
        return Response(ReadOut({"read": read, "unread": selectors.unread_count(member)}).data)


SUBSCRIPTION = {"kind": "commission", "template_id": "Zx3…", "left": 1}


class SubscriptionsView(APIView):
    """Which messages one wants over WeChat."""

    @extend_schema(
        responses=SubscriptionOut(many=True),
        examples=[OpenApiExample("One kind", value=[SUBSCRIPTION], response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """Return the templates to ask the member for, and how many messages he still accepts."""
        return self._answer(member_of(request))

    @extend_schema(
        request=SubscriptionsIn,
        responses=SubscriptionOut(many=True),
        examples=[
            OpenApiExample("Accepted", value={"accepted": ["commission"]}, request_only=True)
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Note that the member accepted one more message of each kind."""
        data = SubscriptionsIn(data=request.data)
        data.is_valid(raise_exception=True)
        member = member_of(request)
        messages.accept_templates(member_id=member.pk, kinds=data.validated_data["accepted"])
        return self._answer(member)

    def _answer(self, member: Member) -> Response:
        left = selectors.quotas_of(member)
        rows = [
            {"kind": kind, "template_id": template, "left": left.get(template, 0)}
            for kind, template in messages.templates().items()
        ]
        return Response(SubscriptionOut(rows, many=True).data)
