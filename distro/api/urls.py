"""Addresses of the ground below /api/v1/."""

from __future__ import annotations

from django.urls import path

from distro.api.docs import DocsView, SchemaView
from distro.demo_clock import DemoClockView

urlpatterns = [
    path("schema", SchemaView.as_view(), name="schema"),
    path("docs", DocsView.as_view(), name="docs"),
    path("demo/clock", DemoClockView.as_view(), name="demo-clock"),
]
