"""The shape of teams in the API: masked names, and nothing else that tells who somebody is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from rest_framework import serializers

from distro.clock import day_start
from orders.errors_teams import BadPeriod
from orders.selectors_teams import FIRST_DAY, LAST_DAY, Teammate, TeamSort
from referrals.explanations import masked_name
from referrals.models import Promoter

PERIOD_DAYS_MAX = 366
LEVEL_MAX = 1_000_000
DAY_BOUNDS = [MinValueValidator(FIRST_DAY), MaxValueValidator(LAST_DAY)]


class PeriodSerializer(serializers.Serializer[Any]):
    """From one Beijing day to another, both whole; the running month where none is named."""

    first = serializers.DateField(
        required=False, validators=DAY_BOUNDS, help_text="Default: the first of the month."
    )
    last = serializers.DateField(required=False, validators=DAY_BOUNDS, help_text="Default: today.")

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Add `start` and `end`, half-open; raise BadPeriod."""
        today = self.context["today"]
        last = data.get("last", max(today, data.get("first", today)))
        first = data.get("first", last.replace(day=1))
        if not timedelta() <= last - first < timedelta(days=PERIOD_DAYS_MAX):
            raise BadPeriod(field="first", days=PERIOD_DAYS_MAX)
        moments = {"start": day_start(first), "end": day_start(last + timedelta(days=1))}
        return {**data, "first": first, "last": last, **moments}


class TeamFilterSerializer(PeriodSerializer):
    """Which part of the team, sorted by what."""

    level = serializers.IntegerField(
        default=1, min_value=0, max_value=LEVEL_MAX,
        help_text="1: the direct team; 2: its direct teams, and so on; 0: everybody.",
    )  # fmt: skip
    joined = serializers.BooleanField(
        default=False, help_text="Only those who joined in the period."
    )
    sort = serializers.ChoiceField(TeamSort.choices, default=TeamSort.JOINED)


class TeammateSerializer(serializers.Serializer[Teammate]):
    """One promoter of the team, with what he sold himself in the period."""

    name = serializers.SerializerMethodField(help_text="Masked.")
    grade = serializers.CharField(source="promoter.grade.name", default=None, allow_null=True)
    status = serializers.ChoiceField(Promoter.Status.choices, source="promoter.status")
    approved_at = serializers.DateTimeField(source="promoter.approved_at")
    level = serializers.IntegerField(help_text="Below me; 1 is direct.")
    direct_team = serializers.IntegerField(source="direct")
    orders = serializers.IntegerField(source="sold.orders", help_text="Not refunded in full.")
    active_days = serializers.IntegerField(source="sold.days", help_text="Days with such an order.")
    gmv_fen = serializers.IntegerField(source="sold.net_fen", help_text="Net of refunds.")

    def get_name(self, mate: Teammate) -> str:
        """Mask it."""
        return masked_name(mate.promoter.member)


class TeamLevelSerializer(serializers.Serializer[Any]):
    """All promoters at one level below me."""

    level = serializers.IntegerField()
    promoters = serializers.IntegerField()
    joined = serializers.IntegerField(help_text="In the period.")
    sellers = serializers.IntegerField(help_text="With an order in the period.")
    orders = serializers.IntegerField()
    gmv_fen = serializers.IntegerField(source="net_fen")


class TeamSummarySerializer(serializers.Serializer[Any]):
    """My team in numbers; GMV is net of refunds, by the day of the payment."""

    first = serializers.DateField()
    last = serializers.DateField()
    team = serializers.IntegerField()
    direct = serializers.IntegerField()
    joined = serializers.IntegerField()
    orders = serializers.IntegerField()
    gmv_fen = serializers.IntegerField(help_text="The team's, without my own.")
    own_orders = serializers.IntegerField(source="own.orders")
    own_gmv_fen = serializers.IntegerField(source="own.net_fen")
    levels = TeamLevelSerializer(many=True)
