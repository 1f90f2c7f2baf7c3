"""What a promoter sees of grades: his own, why, and how each is earned."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commissions.explaining_grades import standing_explained
from commissions.selectors_standing import standing_of
from commissions.serializers_grades import GradeStandingSerializer
from distro import clock
from referrals.auth import member_of
from referrals.selectors import promoter_or_refuse

STANDING = {
    "grade": "金牌",
    "since": "2026-10-16T12:00:00+08:00",
    "because": "金牌：2026-10 本人已结算销售额 ¥12,000.00 ≥ ¥10,000.00。",
    "protected_until": None,
    "warning": "",
    "grades": [{"name": "金牌", "ways": ["一个月内本人已结算销售额 ≥ ¥10,000.00"]}],
}


class GradeView(APIView):
    throttle_scope = "read"

    @extend_schema(
        operation_id="promoter_grade",
        responses=GradeStandingSerializer,
        examples=[OpenApiExample("Gold", STANDING, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """My grade, why I have it, and how each grade is earned."""
        promoter = promoter_or_refuse(member_of(request).pk)
        shown = standing_explained(standing_of(promoter, at=clock.now()))
        return Response(GradeStandingSerializer(shown).data)
