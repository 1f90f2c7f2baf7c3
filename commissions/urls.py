"""Addresses of this package below /api/v1/."""

from __future__ import annotations

from django.urls import path

from commissions import views
from commissions import views_accounts as accounts
from commissions import views_withdrawals as withdrawals
from commissions.views_grades import GradeView

urlpatterns = [
    path("promoter/balance", views.BalanceView.as_view()),
    path("promoter/former-accounts", accounts.FormerAccountsView.as_view()),
    path("promoter/commissions", views.CommissionListView.as_view()),
    path("promoter/commissions/<int:commission_id>", views.CommissionView.as_view()),
    path("promoter/ledger", views.LedgerView.as_view()),
    path("promoter/grade", GradeView.as_view()),
    path("promoter/withdrawals/quote", withdrawals.WithdrawalQuoteView.as_view()),
    path("promoter/withdrawals", withdrawals.WithdrawalsView.as_view()),
    path("promoter/withdrawals/<slug:number>", withdrawals.WithdrawalView.as_view()),
    path("promoter/withdrawals/<slug:number>/cancel", withdrawals.CancelWithdrawalView.as_view()),
    path("wechat/transfer/notify", withdrawals.TransferNotifyView.as_view()),
]
