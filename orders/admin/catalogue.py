from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from distro import audit, clock
from distro.actors import Actor
from distro.admin_base import DatedPolicyMixin, Page, Rows
from distro.admin_steps import step, text_field
from orders.models import Category, Product, ShopPolicy, Sku
from orders.services import stock

PIECES_MAX = 1_000_000


class StockForm(BaseDialogForm):
    """Asks how many pieces came in (or, with a minus, are gone), and why."""

    pieces = forms.IntegerField(
        label=_("Pieces in (with a minus: out)"),
        min_value=-PIECES_MAX,
        max_value=PIECES_MAX,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    reason = text_field(_("Reason"), 200)


@transaction.atomic
def adjust_stock(*, sku_id: int, pieces: int, reason: str, by: Actor, at: datetime) -> None:
    """Move stock by pieces, never to a number: orders move it at the same time."""
    if pieces < 0:
        stock.take({sku_id: -pieces})
    else:
        stock.give_back({sku_id: pieces})
    sku = Sku.objects.get(pk=sku_id)
    detail = {"pieces": pieces, "stock": sku.stock}
    audit.record(by=by, action="sku.stock", target=sku, reason=reason, detail=detail, at=at)


class StockIsMovedMixin:
    """The stock of a new variant is typed in; later it only moves."""

    def fixed_fields(self, request: HttpRequest, obj: Any) -> Iterable[str]:
        """Fix the stock of what is there."""
        return {*super().fixed_fields(request, obj), *(("stock",) if obj else ())}  # type: ignore[misc]


class SkuRows(StockIsMovedMixin, Rows):
    """The variants of a product."""

    model = Sku
    fields = ("code", "name", "price_fen", "cost_fen", "stock", "on_sale")
    ordering = ("pk",)
    show_change_link = True


@admin.register(Category)
class CategoryAdmin(Page):
    """Categories of the shop."""

    list_display = ("name", "position")
    search_fields = ("name",)
    ordering = ("position", "pk")


@admin.register(Product)
class ProductAdmin(Page):
    """Products with their variants."""

    list_display = ("title", "code", "category", "on_sale", "returnable", "created_at")
    list_filter = ("on_sale", "returnable", "category")
    search_fields = ("title", "code", "skus__code")
    list_select_related = ("category",)
    autocomplete_fields = ("category",)
    fields = (
        ("code", "category"),
        "title",
        "description",
        "image_url",
        ("on_sale", "returnable"),
    )
    inlines = (SkuRows,)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Date a new product."""
        if not change:
            obj.created_at = clock.now()
        super().save_model(request, obj, form, change)


@admin.register(Sku)
class SkuAdmin(StockIsMovedMixin, Page):
    """Variants; their stock moves by orders and by a dialog."""

    list_display = ("code", "product", "name", "price_fen", "stock", "on_sale")
    list_filter = ("on_sale", "product__category")
    search_fields = ("code", "name", "product__title")
    list_select_related = ("product",)
    autocomplete_fields = ("product",)
    fields = ("product", ("code", "name"), ("price_fen", "cost_fen"), ("stock", "on_sale"))
    actions_detail = ("move_stock",)

    move_stock = step(
        adjust_stock,
        key="sku_id",
        label=_("Move stock"),
        permissions=["orders.change_sku"],
        form=StockForm,
    )


@admin.register(ShopPolicy)
class ShopPolicyAdmin(DatedPolicyMixin, Page):
    """Times and freight of the shop, from a date on."""

    list_display = (
        "effective_from",
        "pay_minutes",
        "receive_days",
        "return_days",
        "freight_fen",
        "free_freight_from_fen",
    )
    ordering = ("-effective_from",)
