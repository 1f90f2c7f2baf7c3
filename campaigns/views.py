"""Campaigns and coupons as a member sees them."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from campaigns.models import Campaign, Participation
from campaigns.selectors import campaigns_open, coupons_of, participation_of, published_campaign
from campaigns.serializers import (
    CampaignAnswerSerializer,
    CampaignSerializer,
    CouponSerializer,
    JoinSerializer,
    ParticipationSerializer,
)
from campaigns.services.inviting import join_campaign
from distro import clock
from distro.api.idempotency import idempotent
from distro.api.pagination import KeysetPagination, page_of
from referrals.auth import member_of

TEMPLATE = {
    "title": "5 yuan off",
    "threshold_fen": 5000,
    "valid_days": 30,
    "category": None,
    "product_code": None,
}
COUPON = {
    "code": "7KQ2MXW9PA4C",
    "value_fen": 500,
    "status": "issued",
    "status_display": "Usable",
    "valid_from": "2026-11-02T10:00:00+08:00",
    "valid_until": "2026-12-02T10:00:00+08:00",
    "template": TEMPLATE,
    "order_number": None,
}
CAMPAIGN = {
    "code": "autumn",
    "title": "Bring a friend",
    "status": "running",
    "mode": "ladder",
    "mode_display": "Ladder: each tier once",
    "starts_at": "2026-11-01T00:00:00+08:00",
    "ends_at": "2026-12-01T00:00:00+08:00",
}
MINE = {
    "link_code": "K7W2M9PX",
    "joined_at": "2026-11-02T10:00:00+08:00",
    "counted": 1,
    "waiting": 1,
    "rewards": [
        {
            "position": 1,
            "value_fen": 500,
            "coupon_code": "7KQ2MXW9PA4C",
            "granted_at": "2026-11-12T10:00:00+08:00",
        }
    ],
}
DETAIL = CAMPAIGN | {
    "rules_text": "Share your link. When a new friend's first order is past its return period …",
    "rewarded_is": "First paid order, return period over",
    "max_invitees": 3,
    "rewards_left": 98,
    "reward_limit_bps": None,
    "rewards": [
        {"invited_buyers": 1, "value_fen": 500, "coupon": TEMPLATE},
        {"invited_buyers": 3, "value_fen": 1500, "coupon": TEMPLATE},
    ],
}


class CampaignListView(APIView):
    throttle_scope = "read"
    pagination_class = KeysetPagination

    @extend_schema(
        operation_id="campaigns",
        responses=CampaignSerializer(many=True),
        examples=[OpenApiExample("Campaign", CAMPAIGN, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """The campaigns that run now, the newest first."""
        rows = campaigns_open(clock.now())
        return page_of(request, rows, CampaignSerializer, column="starts_at")


class CampaignView(APIView):
    throttle_scope = "read"

    @extend_schema(
        operation_id="campaign",
        responses=CampaignAnswerSerializer,
        examples=[OpenApiExample("Joined", {"campaign": DETAIL, "mine": MINE}, response_only=True)],
    )
    def get(self, request: Request, code: str) -> Response:
        """One campaign with its rules in full, before and after joining."""
        campaign = published_campaign(code)
        return _answer(campaign, participation_of(member_of(request).pk, campaign))


class JoinView(APIView):
    throttle_scope = "write"

    @extend_schema(
        operation_id="campaign_join",
        request=JoinSerializer,
        responses={201: ParticipationSerializer},
        examples=[
            OpenApiExample("By chat", {"channel": "chat"}, request_only=True),
            OpenApiExample(
                "Joined", MINE | {"counted": 0, "waiting": 0, "rewards": []}, response_only=True,
                status_codes=["201"],
            ),
        ],
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, code: str) -> Response:
        """Take part: get a link of my own; joining again answers the same."""
        form = JoinSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        part = join_campaign(
            member=member_of(request),
            code=code,
            channel=form.validated_data["channel"],
            at=clock.now(),
        )
        return Response(ParticipationSerializer(part).data, status=201)


class CouponListView(APIView):
    throttle_scope = "read"
    pagination_class = KeysetPagination

    @extend_schema(
        operation_id="me_coupons",
        responses=CouponSerializer(many=True),
        examples=[OpenApiExample("Coupon", COUPON, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """My coupons, the newest first."""
        return page_of(request, coupons_of(member_of(request).pk), CouponSerializer, column="id")


def _answer(campaign: Campaign, mine: Participation | None) -> Response:
    answer = {"campaign": campaign, "mine": mine}
    return Response(CampaignAnswerSerializer(answer).data)
