"""A promoter's own team: who belongs to it, and what it sells."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distro import clock
from distro.api.pagination import RankedPagination
from orders.selectors_teams import (
    Key,
    Teammate,
    TeamQuery,
    TeamSort,
    own_sales,
    team_levels,
    team_page,
)
from orders.serializers_teams import (
    PeriodSerializer,
    TeamFilterSerializer,
    TeammateSerializer,
    TeamSummarySerializer,
)
from orders.views.examples import answered
from referrals.auth import member_of
from referrals.selectors import promoter_or_refuse

TEAMMATE = {
    "name": "王*", "grade": None, "status": "active",
    "approved_at": "2026-11-02T10:00:00+08:00", "level": 1, "direct_team": 0,
    "orders": 3, "active_days": 2, "gmv_fen": 59_700,
}  # fmt: skip
SUMMARY = {
    "first": "2026-11-01", "last": "2026-11-22", "team": 5, "direct": 2, "joined": 1,
    "orders": 12, "gmv_fen": 238_800, "own_orders": 4, "own_gmv_fen": 79_600,
    "levels": [
        {
            "level": 1, "promoters": 2, "joined": 0, "sellers": 2, "orders": 8,
            "gmv_fen": 159_200,
        },
        {"level": 2, "promoters": 3, "joined": 1, "sellers": 1, "orders": 4, "gmv_fen": 79_600},
    ],
}  # fmt: skip


def asked_of(request: Request, shape: type[PeriodSerializer]) -> dict[str, Any]:
    """Read the parameters; raise BadPeriod."""
    today = clock.beijing_day(clock.now())
    asked = shape(data=request.query_params, context={"today": today})
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


class TeamView(APIView):
    """One's team."""

    throttle_scope = "read"
    pagination_class = RankedPagination

    @extend_schema(
        operation_id="promoter_team",
        parameters=[TeamFilterSerializer],
        responses=TeammateSerializer(many=True),
        examples=[answered("One of the team", TEAMMATE)],
    )
    def get(self, request: Request) -> Response:
        """Return my team with masked names: the direct team, one level, or everybody."""
        asked = asked_of(request, TeamFilterSerializer)
        query = TeamQuery(
            promoter_or_refuse(member_of(request).pk).pk,
            asked["start"],
            asked["end"],
            asked["level"] or None,
            asked["joined"],
            TeamSort(asked["sort"]),
        )

        def rows(after: Key | None, limit: int) -> list[Teammate]:
            return team_page(query, after=after, limit=limit)

        name = f"team.{query.promoter_id}.{query.sort}"
        return RankedPagination().answer(request, name, rows, TeammateSerializer)


class TeamSummaryView(APIView):
    """One's team in numbers."""

    throttle_scope = "read"

    @extend_schema(
        operation_id="promoter_team_summary",
        parameters=[PeriodSerializer],
        responses=TeamSummarySerializer,
        examples=[answered("A team of five", SUMMARY)],
    )
    def get(self, request: Request) -> Response:
        """Return how many belong to my team, by level, and what they and I sold."""
        asked = asked_of(request, PeriodSerializer)
        promoter = promoter_or_refuse(member_of(request).pk)
        time = {"start": asked["start"], "end": asked["end"]}
        levels = team_levels(promoter.pk, **time)
        summary = {
            "first": asked["first"],
            "last": asked["last"],
            "team": sum(row.promoters for row in levels),
            "direct": sum(row.promoters for row in levels if row.level == 1),
            "joined": sum(row.joined for row in levels),
            "orders": sum(row.orders for row in levels),
            "gmv_fen": sum(row.net_fen for row in levels),
            "own": own_sales(promoter.pk, **time),
            "levels": levels,
        }
        return Response(TeamSummarySerializer(summary).data)
