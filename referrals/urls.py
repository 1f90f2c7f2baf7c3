"""Addresses of this package below /api/v1/."""

from __future__ import annotations

from django.urls import path

from referrals.views import accounts, exposure, joining, links, me, promoters

urlpatterns = [
    path("auth/login", me.LoginView.as_view(), name="login"),
    path("auth/logout", me.LogoutView.as_view(), name="logout"),
    path("me", me.MeView.as_view(), name="me"),
    path("me/inbox", me.InboxView.as_view(), name="inbox"),
    path("me/inbox/read", me.InboxReadView.as_view(), name="inbox-read"),
    path("me/subscriptions", me.SubscriptionsView.as_view(), name="subscriptions"),
    path("me/closing", accounts.ClosingView.as_view(), name="closing"),
    path("me/closing/withdraw", accounts.WithdrawClosingView.as_view(), name="withdraw-closing"),
    path("me/identity", promoters.IdentityView.as_view(), name="identity"),
    path("me/binding", links.BindingView.as_view(), name="binding"),
    path("agreements/promoter", joining.AgreementView.as_view(), name="promoter-agreement"),
    path("agreements/promoter/sign", joining.SignView.as_view(), name="sign-agreement"),
    path("promoter/gate", joining.GateView.as_view(), name="promoter-gate"),
    path("promoter/apply", joining.ApplyView.as_view(), name="promoter-apply"),
    path("promoter/quitting", joining.QuittingView.as_view(), name="quitting"),
    path(
        "promoter/quitting/withdraw",
        joining.WithdrawQuittingView.as_view(),
        name="withdraw-quitting",
    ),
    path("promoter/entry", exposure.EntryView.as_view(), name="promoter-entry"),
    path("promoter", promoters.PromoterView.as_view(), name="promoter"),
    path("share-links", links.LinksView.as_view(), name="share-links"),
    path("share-links/<str:code>/revoke", links.RevokeLinkView.as_view(), name="revoke-link"),
    path("share-links/<str:code>/wxacode", links.WxacodeView.as_view(), name="wxacode"),
    path("visits", links.VisitsView.as_view(), name="visits"),
]
