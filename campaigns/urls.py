"""Addresses of this package below /api/v1/."""

from __future__ import annotations

from django.urls import path

from campaigns.views import CampaignListView, CampaignView, CouponListView, JoinView

urlpatterns = [
    path("campaigns", CampaignListView.as_view(), name="campaigns"),
    path("campaigns/<slug:code>", CampaignView.as_view(), name="campaign"),
    path("campaigns/<slug:code>/join", JoinView.as_view(), name="campaign-join"),
    path("me/coupons", CouponListView.as_view(), name="me-coupons"),
]
