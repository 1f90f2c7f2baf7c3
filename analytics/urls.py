"""Addresses of this package below /api/v1/."""

from __future__ import annotations

from django.urls import path

from analytics.views import EventsView

urlpatterns = [path("events", EventsView.as_view(), name="events")]
