"""Addresses of this package below /api/v1/."""

from __future__ import annotations

from django.urls import path

from orders.views.catalogue import CategoriesView, ProductsView, ProductView
from orders.views.notices import PaymentNoticeView, RefundNoticeView
from orders.views.orders import (
    CancelView,
    OrdersView,
    OrderView,
    PayView,
    QuoteView,
    ReceiveView,
    SyncView,
)
from orders.views.refunds import RefundRequestView, RefundView, RefundWithdrawView
from orders.views.teams import TeamSummaryView, TeamView

urlpatterns = [
    path("categories", CategoriesView.as_view()),
    path("products", ProductsView.as_view()),
    path("products/<str:code>", ProductView.as_view()),
    path("orders/quote", QuoteView.as_view()),
    path("orders", OrdersView.as_view()),
    path("orders/<str:number>", OrderView.as_view()),
    path("orders/<str:number>/pay", PayView.as_view()),
    path("orders/<str:number>/sync", SyncView.as_view()),
    path("orders/<str:number>/cancel", CancelView.as_view()),
    path("orders/<str:number>/receive", ReceiveView.as_view()),
    path("orders/<str:number>/refunds", RefundRequestView.as_view()),
    path("refunds/<str:number>", RefundView.as_view()),
    path("refunds/<str:number>/withdraw", RefundWithdrawView.as_view()),
    path("promoter/team", TeamView.as_view()),
    path("promoter/team/summary", TeamSummaryView.as_view()),
    path("wechat/pay/notify", PaymentNoticeView.as_view()),
    path("wechat/refund/notify", RefundNoticeView.as_view()),
]
