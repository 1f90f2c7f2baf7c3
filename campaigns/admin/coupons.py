from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from campaigns.models import Coupon, CouponTemplate
from campaigns.services.coupons import cancel_coupon
from distro.admin_base import DayRangeFilter, Page, ReadOnlyPage
from distro.admin_steps import WhyForm, step


@admin.register(CouponTemplate)
class CouponTemplateAdmin(Page):
    """Kinds of coupons; once one was issued or promised only their number can grow."""

    list_display = ("title", "code", "value_fen", "threshold_fen", "issued", "reserved", "total")
    list_filter = ("category",)
    search_fields = ("title", "code")
    autocomplete_fields = ("category", "product")
    fields = (
        ("code", "title"),
        ("value_fen", "threshold_fen"),
        ("category", "product"),
        ("valid_days", "per_member"),
        ("total", "issued", "reserved"),
    )
    readonly_fields = ("issued", "reserved")

    def fixed_fields(self, request: HttpRequest, obj: Any) -> Iterable[str]:
        """Fix the content of what members already hold."""
        in_use = obj is not None and obj.issued + obj.reserved > 0
        return [name.removesuffix("_id") for name in obj.frozen_columns] if in_use else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: coupons and campaigns point to it."""
        return False


@admin.register(Coupon)
class CouponAdmin(ReadOnlyPage):
    """Coupons of members."""

    list_display = ("code", "member", "template", "value_fen", "status", "valid_until", "order")
    list_filter = (("valid_from", DayRangeFilter), "status", "template")
    search_fields = ("code__exact", "member__no__exact", "order__number__startswith")
    list_select_related = ("member", "template", "order")
    fields = (
        ("code", "member", "status"),
        ("template", "value_fen"),
        ("valid_from", "valid_until"),
        ("order", "used_at"),
    )
    actions_detail = ("cancel",)
    offered_in = {"cancel": (Coupon.Status.ISSUED,)}

    cancel = step(
        cancel_coupon,
        key="coupon_id",
        label=_("Cancel the coupon"),
        permissions=["campaigns.change_coupontemplate"],
        form=WhyForm,
        danger=True,
    )
