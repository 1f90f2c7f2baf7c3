"""Fields of requests that DRF's own read too loosely."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework import serializers


class MomentField(serializers.DateTimeField):
    """A time that every clock and every database can hold."""

    def to_internal_value(self, value: Any) -> datetime:
        """Return the time; refuse one that is out of the calendar in another zone."""
        try:
            return super().to_internal_value(value)
        except OverflowError:
            return self.fail("overflow")
