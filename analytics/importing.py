"""Taking an order history over: from a file to orders, commissions, settlements and daily facts."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from django.db import transaction
from django.db.models import F, Sum
from django.utils.translation import gettext as _

from analytics.services.folding import fold_range
from commissions.models import Commission, Plan
from commissions.services.accruing import accrue_orders
from commissions.services.settling import settle_due
from distro.clock import beijing_day
from distro.csvfiles import cell
from distro.importing.reading import open_table
from distro.money import yuan
from orders.importing.columns import COLUMNS
from orders.importing.parsing import parse
from orders.importing.staging import StagedOrder, Staging
from orders.models import Order, OrderLine
from orders.services.importing import Written, import_chunk

CHUNK = 500  # orders written in one transaction, fewer when they have
CHUNK_ROWS = 2_000  # so many lines
Progress = Callable[[str, int], None]  # what is done, how much more of it


@dataclass
class Totals:
    """What an import came to."""

    orders: int = 0
    lines: int = 0
    quantity: int = 0
    paid_fen: int = 0
    commission_fen: int = 0
    buyers: int = 0
    skipped: int = 0
    rejected: int = 0
    encoding: str = ""
    days: set[date] = field(default_factory=set)

    def __str__(self) -> str:
        return (
            f"imported: {self.orders} orders, {self.lines} lines, {self.buyers} buyers,"
            f" {self.quantity} items, paid {yuan(self.paid_fen)} yuan,"
            f" commission {yuan(self.commission_fen)} yuan;"
            f" skipped {self.skipped} known; rejected {self.rejected} rows"
        )


def import_history(
    *,
    path: Path,
    rejects: Path,
    create_missing: bool,
    plan: Plan | None,
    at: datetime,
    progress: Progress,
) -> Totals:
    """Import a file of orders; an order already known is skipped, a faulty one rejected whole.

    plan: accrue the orders under it, whatever its start; None: they earn nothing.
    rejects: where the rejected rows are listed with line, field and reason.
    Raises FileNotReadable, FileEmpty, ColumnMissing, ColumnTwice before anything is written.
    """
    totals = Totals()
    with Staging() as staging:
        _stage(path, staging, totals, at, progress)
        staging.index()
        progress("total", staging.count())
        for orders in _chunks(staging.orders()):
            _import(orders, staging, totals, create_missing=create_missing, plan=plan, at=at)
            progress("orders", len(orders))
        totals.buyers, totals.rejected = staging.buyers(), staging.rejected_rows()
        if totals.rejected:
            _list_rejects(staging, rejects)
    _follow_up(totals, settle=plan is not None, at=at, progress=progress)
    return totals


def _stage(path: Path, staging: Staging, totals: Totals, at: datetime, progress: Progress) -> None:
    with open_table(path, COLUMNS) as (encoding, rows):
        totals.encoding = encoding
        for line, cells in rows:
            values, faults = parse(line, cells, now=at)
            staging.add(line, values, faults)
            progress("rows", 1)


def _chunks(orders: Iterator[StagedOrder]) -> Iterator[list[StagedOrder]]:
    chunk: list[StagedOrder] = []
    rows = 0
    for order in orders:
        chunk.append(order)
        rows += len(order.rows)
        if len(chunk) == CHUNK or rows >= CHUNK_ROWS:
            yield chunk
            chunk, rows = [], 0
    if chunk:
        yield chunk


def _import(
    orders: list[StagedOrder],
    staging: Staging,
    totals: Totals,
    *,
    create_missing: bool,
    plan: Plan | None,
    at: datetime,
) -> None:
    """Write and accrue one chunk in one transaction."""
    buyers = sorted({row["buyer_no"] for order in orders for _line, row in order.rows})
    with transaction.atomic():
        written = import_chunk(
            orders=orders,
            first_placed=staging.first_placed(buyers),
            create_missing=create_missing,
            at=at,
        )
        accrue_orders(order_ids=written.order_ids, plan=plan, at=at, quiet=True)
    for number, faults in written.faults.items():
        staging.reject(number, faults)
    _count(totals, written, staging)


def _count(totals: Totals, written: Written, staging: Staging) -> None:
    lines = OrderLine.objects.filter(order_id__in=written.order_ids)
    sums = lines.aggregate(quantity=Sum("quantity"), paid=Sum("paid_fen"))
    commissions = Commission.objects.filter(order_id__in=written.order_ids)
    kept = commissions.aggregate(sum=Sum(F("amount_fen") - F("reversed_fen")))["sum"]
    totals.orders += len(written.order_ids)
    totals.lines += lines.count()
    totals.quantity += sums["quantity"] or 0
    totals.paid_fen += sums["paid"] or 0
    totals.commission_fen += kept or 0
    totals.skipped += written.known
    orders = Order.objects.filter(pk__in=written.order_ids)
    staging.note_buyers([str(no) for no in orders.values_list("member__external_no", flat=True)])
    for paid_at in orders.values_list("paid_at", flat=True):
        assert paid_at is not None
        totals.days.add(beijing_day(paid_at))


def _follow_up(totals: Totals, *, settle: bool, at: datetime, progress: Progress) -> None:
    """Settle what was received long ago and bring the daily facts up to date."""
    if settle and totals.orders:
        progress("settling", settle_due(at=at))
    if totals.days:
        progress("days", fold_range(first=min(totals.days), last=max(totals.days), at=at))


def _list_rejects(staging: Staging, path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([_("line"), _("order no."), _("field"), _("reason")])
        other = _("another line of this order is faulty")
        for line, number, name, reason in staging.rejects():
            writer.writerow([line, cell(number), name, reason or other])
