"""How staff see and write money and rates: yuan and percent; fen and basis points stay inside."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.functional import lazystr
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextInputWidget

from distro.errors import DomainError
from distro.money import BPS, FEN_MAX, parse_yuan, percent, yuan

Column = Callable[[Any], object]

EMPTY = "–"


def yuan_text(fen: int | None) -> str:
    """Write fen as yuan for the screen, with thousands marks: "-1,234.50"."""
    if fen is None:
        return EMPTY
    whole, _point, cents = yuan(abs(fen)).partition(".")
    return f"{'-' if fen < 0 else ''}{int(whole):,}.{cents}"


def yuan_cell(fen: int | None) -> SafeString:
    """Return an amount for a table cell or a read-only field."""
    return format_html('<span class="amount">{}</span>', yuan_text(fen))


def percent_cell(bps: int | None) -> SafeString:
    """Return a rate for a table cell or a read-only field."""
    return format_html('<span class="amount">{}</span>', EMPTY if bps is None else percent(bps))


def unit_label(text: object) -> str:
    """Name a column of fen or basis points by the unit that the screen shows."""
    shown = str(text).replace(_("(fen)"), _("(yuan)"))
    return shown.replace(_("(bps)"), _("(%)"))


CELLS: dict[str, Callable[[int | None], SafeString]] = {"_fen": yuan_cell, "_bps": percent_cell}


def is_amount(name: object) -> bool:
    """Say whether a field holds fen or basis points."""
    return isinstance(name, str) and name.endswith(tuple(CELLS))


def masked_address(address: str) -> str:
    """Show the province and city an address begins with, and nothing that leads to a door."""
    return f"{address[:6]}****"


@cache
def amount_column(model: type[Model], name: str) -> Column:
    """Return the column that shows a field of fen or basis points."""
    label = getattr(model._meta.get_field(name), "verbose_name", name)
    cell = CELLS[name[-4:]]

    def column(row: Model) -> SafeString:
        return cell(getattr(row, name))

    return replacing(name, named(column, name, _lazy_label(label), ordering=name))


@cache
def masked_column(model: type[Model], name: str, mask: Callable[[str], str]) -> Column:
    """Return the column that shows a person's data so that it no longer names the person."""
    label = getattr(model._meta.get_field(name), "verbose_name", name)

    def column(row: Model) -> str:
        return mask(getattr(row, name) or "") or EMPTY

    return replacing(name, named(column, name, label))


@cache
def titled_column(name: str, title: Any) -> Column:
    """Return the column of a field under a name that its model does not give it."""

    def column(row: Model) -> object:
        value = getattr(row, name)
        return EMPTY if value in (None, "") else value

    return replacing(name, named(column, name, title, ordering=name))


def amounts(title: object, value: Callable[[Any], int | None], name: str) -> Column:
    """Return a column of yuan that is computed from the row."""

    def column(row: Model) -> SafeString:
        return yuan_cell(value(row))

    return named(column, f"{name}_fen", title)


def named(column: Column, name: str, label: object, ordering: str | None = None) -> Column:
    """Give a column what Django's admin asks of it."""
    column.__name__ = name
    return admin.display(column, description=label, ordering=ordering)  # type: ignore[call-overload]


def replacing(name: str, column: Column) -> Column:
    """Mark a column as one that stands for a field."""
    column.replaces = name  # type: ignore[attr-defined]
    return column


def _lazy_label(label: object) -> object:
    return lazystr(_Label(label))


class _Label:
    """A label in the reader's language, not in that of the first reader."""

    def __init__(self, label: object) -> None:
        self.label = label

    def __str__(self) -> str:
        return unit_label(self.label)


# --- Form fields ----------------------------------------------------------------------------


class YuanField(forms.CharField):
    """Reads yuan, as in 12.34, and gives fen."""

    maximum = FEN_MAX
    widget = UnfoldAdminTextInputWidget

    def to_python(self, value: Any) -> Any:
        """Return whole units, None for nothing; refuse what is no amount."""
        if isinstance(value, int):
            return value
        text = str(value or "").strip().removesuffix("%").strip()
        if not text:
            return None
        try:
            units = parse_yuan(text)
        except DomainError as error:
            raise ValidationError(str(error)) from None
        if not 0 <= units <= self.maximum:
            message = gettext_lazy("Write a number from 0 to %(maximum)s.")
            raise ValidationError(message, params={"maximum": yuan(self.maximum)})
        return units

    def prepare_value(self, value: Any) -> Any:
        """Write whole units with two decimals."""
        return yuan(value) if isinstance(value, int) else value


class PercentField(YuanField):
    """Reads a percentage, as in 12.5, and gives basis points."""

    maximum = BPS


FORM_FIELDS: dict[str, type[YuanField]] = {"_fen": YuanField, "_bps": PercentField}
