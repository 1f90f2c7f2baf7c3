"""The shape of what the mini-program is told about the promoter entry."""

from __future__ import annotations

from rest_framework import serializers

from referrals.models import ExposureDecision


class EntryOut(serializers.ModelSerializer[ExposureDecision]):
    """Whether to show the promoter entry, and why."""

    class Meta:
        model = ExposureDecision
        fields = ("shown", "reason")
