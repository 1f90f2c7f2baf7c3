"""The map of addresses; the apps' own maps are named as strings only."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from distro.probes import healthz, readyz

api: list[URLPattern | URLResolver] = [
    path("", include("distro.api.urls")),
    path("", include("referrals.urls")),
    path("", include("orders.urls")),
    path("", include("campaigns.urls")),
    path("", include("commissions.urls")),
    path("", include("analytics.urls")),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/v1/", include((api, "api"))),
    path("i18n/", include("django.conf.urls.i18n")),
    path("healthz", healthz),
    path("readyz", readyz),
]

# Below /api/ these answer in the API's one error shape.
handler400 = "distro.api.errors.bad_request"
handler403 = "distro.api.errors.permission_denied"
handler404 = "distro.api.errors.page_not_found"
handler500 = "distro.api.errors.server_error"
