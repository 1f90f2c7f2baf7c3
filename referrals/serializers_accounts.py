"""Shapes of JSON about closing an account."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from referrals.models import Closure


class CloseIn(serializers.Serializer[Any]):
    """The wish to close one's account, confirmed by hand."""

    confirmed = serializers.BooleanField(help_text="Never ticked beforehand.")
    note = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)


class WaitOut(serializers.Serializer[Any]):
    """One thing that keeps the account open."""

    kind = serializers.ChoiceField(Closure.Wait.values)
    text = serializers.SerializerMethodField()
    amount_fen = serializers.IntegerField(help_text="0 where it is no sum.")

    def get_text(self, wait: Any) -> str:
        kind = wait["kind"] if isinstance(wait, dict) else wait.kind
        return str(Closure.Wait(kind).label)


class ClosureOut(serializers.Serializer[Any]):
    """A closing of one's account."""

    status = serializers.CharField(help_text="waiting, done or cancelled.")
    scope = serializers.CharField(help_text="account; promoter when only that is closed.")
    requested_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    waits = WaitOut(many=True)


class ClosingOut(serializers.Serializer[Any]):
    """What closing would wait for now, and the last closing, if there was one."""

    would_wait = WaitOut(many=True)
    closing = ClosureOut(allow_null=True)
