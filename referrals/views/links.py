"""Share links, their pictures, visits, and what binds a customer."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distro import clock
from distro.api.idempotency import idempotent
from distro.api.pagination import KeysetPagination, page_of
from referrals import selectors
from referrals.auth import MemberActor, member_of
from referrals.explanations import binding_explained, masked_name
from referrals.serializers import BindingOut, LinkIn, LinkOut, VisitIn, VisitOut
from referrals.services import links
from referrals.views.doors import address_of

PNG = b"\x89PNG"
LINK = {
    "code": "K7PQ2MXA", "target": "product", "target_ref": "P1001", "channel": "poster",
    "created_at": "2026-11-02T10:00:00+08:00", "expires_at": None, "revoked_at": None,
    "broken_since": None, "broken_reason": "",
}  # fmt: skip


class LinksView(APIView):
    """One's share links."""

    pagination_class = KeysetPagination

    @extend_schema(
        responses=LinkOut(many=True),
        examples=[OpenApiExample("A poster", value=LINK, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """Return one's links, the newest first."""
        return page_of(request, selectors.links_of(member_of(request)), LinkOut, column="id")

    @extend_schema(
        request=LinkIn,
        responses={201: LinkOut},
        examples=[
            OpenApiExample(
                "A poster of a product",
                value={"target": "product", "target_ref": "P1001", "channel": "poster"},
                request_only=True,
            ),
            OpenApiExample(
                "A live room for a group, until midnight",
                value={
                    "target": "live", "target_ref": "L20261102", "channel": "group",
                    "expires_at": "2026-11-03T00:00:00+08:00",
                },
                request_only=True,
            ),
            OpenApiExample("The new link", value=LINK, response_only=True),
        ],
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        """Make a share link."""
        data = LinkIn(data=request.data)
        data.is_valid(raise_exception=True)
        member = member_of(request)
        link = links.create_link(member=member, **data.validated_data, at=clock.now())
        return Response(LinkOut(link).data, status=201)


class RevokeLinkView(APIView):
    """Taking a share link back."""

    @extend_schema(
        request=None,
        responses=LinkOut,
        examples=[
            OpenApiExample("Revoked", value=LINK | {"revoked_at": "2026-11-05T09:30:00+08:00"})
        ],
    )
    def post(self, request: Request, code: str) -> Response:
        """Make a link of one's own useless; doing it again changes nothing."""
        link = links.revoke_link(code=code, member=member_of(request), at=clock.now())
        return Response(LinkOut(link).data)


class WxacodeView(APIView):
    """The mini-program code of a share link."""

    throttle_scope = "write"  # each one asks WeChat

    @extend_schema(
        responses={(200, "image/png"): OpenApiTypes.BINARY},
        examples=[OpenApiExample("A picture", value="\x89PNG…", media_type="image/png")],
    )
    def get(self, request: Request, code: str) -> HttpResponse:
        """Return the picture that opens the mini-program with this link."""
        link = selectors.own_link(member_of(request), code, at=clock.now())
        picture = links.wxacode(link=link)
        kind = "image/png" if picture.startswith(PNG) else "image/jpeg"
        answer = HttpResponse(picture, content_type=kind)
        answer["Cache-Control"] = "private, max-age=86400"
        return answer


class VisitsView(APIView):
    """Openings of share links, by members and strangers."""

    permission_classes = (AllowAny,)

    @extend_schema(
        request=VisitIn,
        responses={201: VisitOut},
        examples=[
            OpenApiExample(
                "A friend's poster",
                value={
                    "code": "K7PQ2MXA", "visit_key": "v-3f9a81c2", "device": "d-8f2c",
                    "scene": "1047",
                },
                request_only=True,
            ),
            OpenApiExample(
                "Bound by it",
                value={"target": "product", "target_ref": "P1001", "outcome": "bound"},
                response_only=True,
            ),
        ],
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Record that a link was opened, once per visit key, and bind a member who is free."""
        data = VisitIn(data=request.data)
        data.is_valid(raise_exception=True)
        member = member_of(request) if isinstance(request.user, MemberActor) else None
        ip = address_of(request)
        opening = links.open_link(member=member, **data.validated_data, ip=ip, at=clock.now())
        return Response(VisitOut(opening).data, status=201)


UNBOUND = {
    "bound": False, "promoter": None, "since": None, "expires_at": None, "protected_until": None,
}  # fmt: skip
BOUND = {
    "bound": True, "promoter": "李*", "since": "2026-11-02T10:00:00+08:00", "expires_at": None,
    "protected_until": "2026-12-02T10:00:00+08:00",
    "explanation": "已绑定 李*，依据：2026年11月2日首次触达（海报，分享码 K7PQ2MXA）；"
    "保护期至 2026年12月2日，长期有效。",
}  # fmt: skip


class BindingView(APIView):
    """Whose customer one is."""

    @extend_schema(responses=BindingOut, examples=[OpenApiExample("Bound", value=BOUND)])
    def get(self, request: Request) -> Response:
        """Say in one sentence whose customer one is and why."""
        now = clock.now()
        binding = selectors.open_binding(member_of(request).pk, at=now)
        if binding is None:
            text = _("You are not bound to any promoter.")
            return Response(BindingOut({**UNBOUND, "explanation": text}).data)
        facts = {
            "bound": True,
            "promoter": masked_name(binding.promoter.member),
            "since": binding.started_at,
            "expires_at": binding.expires_at,
            "protected_until": binding.protected_until,
            "explanation": binding_explained(binding, at=now),
        }
        return Response(BindingOut(facts).data)
