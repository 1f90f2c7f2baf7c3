"""The shape of grades in the API."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class GradeWaySerializer(serializers.Serializer[Any]):
    """A grade of the rule in force; one of its ways is enough."""

    name = serializers.CharField()
    ways = serializers.ListField(child=serializers.CharField())


class GradeStandingSerializer(serializers.Serializer[Any]):
    """My grade, why I have it, and what it takes to earn another."""

    grade = serializers.CharField(allow_null=True)
    since = serializers.DateTimeField(allow_null=True)
    because = serializers.CharField(help_text="Empty where nothing was ever decided.")
    protected_until = serializers.DateTimeField(allow_null=True)
    warning = serializers.CharField(help_text="Empty without one.")
    grades = GradeWaySerializer(many=True)
