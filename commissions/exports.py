"""The accrual file for finance (佣金计提明细): one row a commission, the same from every door.

UTF-8 with BOM, CRLF, RFC 4180. The last line holds the totals and says what the file is; the
manifest says it for machines, with the SHA-256 of the whole file. Order and names of the columns
stay; a new column goes to the end, and then SCHEMA counts up.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import tablib  # type: ignore[import-untyped]
from django.db.models import OuterRef, QuerySet, Subquery
from import_export import resources
from import_export.fields import Field
from import_export.formats.base_formats import CSV

from commissions.models import Commission
from distro import audit
from distro.actors import Actor
from distro.clock import BEIJING, day_start
from distro.crypto import mask_id, mask_name
from distro.money import percent, yuan
from orders.models import Payment
from referrals.models import Binding, Identity

SCHEMA = "commission_accrual/1"
TITLE = "佣金计提明细"
BOM = b"\xef\xbb\xbf"
CELL_CHARS = 32_000  # Excel takes 32,767 characters in a cell
CUT = "…(已截断)"
# A cell that begins so may be run as a formula; the full-width signs come from Chinese keyboards.
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
CHUNK = 1_000  # rows read at a time

MODES = {
    Binding.Mode.FIRST_TOUCH.value: "首次触达",
    Binding.Mode.LAST_TOUCH.value: "末次触达",
    Binding.Mode.REGISTER_ONLY.value: "仅注册",
    Binding.Mode.IMPORT.value: "导入",
    Binding.Mode.MANUAL.value: "人工绑定",
}


class Plain(str):
    """A cell that our own code wrote, so that it needs no guard against formulas."""

    __slots__ = ()


# --- Cells ----------------------------------------------------------------------------------


def guard(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula, and of a length that it can show."""
    if isinstance(cell, Plain):
        return str(cell)
    text = f"'{cell}" if cell.startswith(RISKY) else cell
    return text if len(text) <= CELL_CHARS else text[: CELL_CHARS - len(CUT)] + CUT


def money(fen: int | None) -> Plain:
    """Write fen as yuan with two decimals."""
    return Plain("" if fen is None else yuan(fen))


def moment(at: datetime | None) -> Plain:
    """Write a time as in Beijing."""
    return Plain(f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}" if at else "")


def promoter_name(row: Commission) -> str:
    """Return the promoter's verified name, else his nickname, masked."""
    member = row.promoter.member
    identity = getattr(member, "identity", None)
    verified = identity is not None and identity.status == Identity.Status.VERIFIED
    return mask_name(identity.name if verified and identity else member.nickname)


def free_at(row: Commission) -> datetime | None:
    """Return from when on a commission may be settled; None while that is open."""
    matured = row.order.matured_at
    return max(row.release_at, matured) if row.release_at and matured else None


def state(row: Commission, as_of: datetime) -> Plain:
    """Name the state of a commission at a moment."""
    if row.voided_at:
        return Plain("作废")
    if row.status == Commission.Status.REVERSED:
        return Plain("已冲回")
    if row.status == Commission.Status.SETTLED:
        return Plain("已结算")
    if row.release_at is None:
        return Plain("待收货")
    free = free_at(row)
    return Plain("可结算" if free and free <= as_of else "冻结中")


def remarks(row: Commission) -> str:
    """Say what the numbers alone do not."""
    notes = []
    if row.capped:
        notes.append("触及佣金上限")
    if row.fixed_fen is not None:
        notes.append(f"每件固定{yuan(row.fixed_fen)}元")
    if row.accrual.plan_forced:
        notes.append("导入时指定方案")
    if row.accrual.revision > 1:
        notes.append(f"第{row.accrual.revision}次计提")
    return "；".join(notes)


Cell = Callable[[Commission, datetime], str]

COLUMNS: list[tuple[str, Cell]] = [
    ("计提编号", lambda row, at: number_of(row)),
    ("订单号", lambda row, at: row.order.number),
    ("订单行号", lambda row, at: Plain(row.line.line_no)),
    ("微信支付单号", lambda row, at: row.transaction_id or ""),  # type: ignore[attr-defined]
    ("支付时间（北京时间）", lambda row, at: moment(row.paid_at)),
    ("商品编码", lambda row, at: row.line.sku_code),
    ("商品名称", lambda row, at: row.line.title),
    ("买家编号(脱敏)", lambda row, at: mask_id(row.order.member.no)),
    ("推广员编号", lambda row, at: row.promoter.code),
    ("推广员姓名(脱敏)", lambda row, at: promoter_name(row)),
    ("层级", lambda row, at: Plain(row.level)),
    ("关系绑定时间（北京时间）", lambda row, at: moment(_binding(row, "started_at"))),
    ("归因方式", lambda row, at: MODES.get(_binding(row, "mode") or "", "")),
    ("计佣基数(元)", lambda row, at: money(row.base_fen)),
    ("佣金比例(%)", lambda row, at: Plain("" if row.rate_bps is None else percent(row.rate_bps))),
    ("佣金金额(元)", lambda row, at: money(row.amount_fen)),
    ("阶梯奖励(元)", lambda row, at: money(0)),
    ("规则版本", lambda row, at: f"{row.plan.code} v{row.plan.version}"),
    ("状态(待收货/冻结中/可结算/已结算/已冲回/作废)", state),
    ("冻结至（北京时间）", lambda row, at: moment(row.release_at)),
    ("可结算时间（北京时间）", lambda row, at: moment(free_at(row))),
    ("退款金额(元)", lambda row, at: money(row.line.refunded_fen)),
    ("冲回金额(元)", lambda row, at: money(row.reversed_fen)),
    ("计提月份", lambda row, at: Plain(f"{row.accrual.accrued_at.astimezone(BEIJING):%Y-%m}")),
    ("备注", lambda row, at: remarks(row)),
    ("币种", lambda row, at: Plain("CNY")),
]
TITLES = [title for title, _cell in COLUMNS]


def number_of(row: Commission) -> str:
    """Return the number of a commission: order, line, level, and which accrual of the order."""
    return f"{row.order.number}-{row.line.line_no}-{row.level}-{row.accrual.revision}"


def _binding(row: Commission, name: str) -> Any:
    return getattr(row.order.binding, name, None)


# --- Rows -----------------------------------------------------------------------------------


@dataclass
class Totals:
    """What a file sums up to."""

    rows: int = 0
    fen: dict[str, int] = field(default_factory=lambda: {"amount": 0, "reversed": 0, "kept": 0})

    def add(self, row: Commission) -> None:
        """Count one row."""
        self.rows += 1
        self.fen["amount"] += row.amount_fen
        self.fen["reversed"] += row.reversed_fen
        self.fen["kept"] += row.kept_fen


@dataclass(frozen=True)
class Made:
    """Under which circumstances a file was made."""

    by: Actor
    maker: str
    filter: str
    as_of: datetime


def commissions_between(first: date | None, last: date | None) -> QuerySet[Commission]:
    """Return the commissions of orders paid from one Beijing day to another, both whole."""
    rows = Commission.objects.all()
    if first:
        rows = rows.filter(paid_at__gte=day_start(first))
    if last:
        rows = rows.filter(paid_at__lt=day_start(last + timedelta(days=1)))
    return rows


def with_all_it_needs(rows: QuerySet[Commission]) -> QuerySet[Commission]:
    """Read everything that a line needs with its row, and nothing personal besides names."""
    payment = Payment.objects.filter(order=OuterRef("order"), status=Payment.Status.SUCCEEDED)
    return (
        rows.select_related(
            "order__member", "order__binding", "line", "plan", "accrual",
            "promoter__member__identity",
        )
        .defer(
            "order__receiver", "order__phone", "order__address", "order__member__phone",
            "promoter__member__phone", "promoter__member__identity__id_number",
        )
        .annotate(transaction_id=Subquery(payment.values("transaction_id")[:1]))
        .order_by("pk")
    )  # fmt: skip


def table(
    rows: QuerySet[Commission], *, made: Made, totals: Totals, chunk: int = CHUNK
) -> Iterator[list[str]]:
    """Yield a line for each commission and the line of totals; count into `totals` on the way."""
    for row in with_all_it_needs(rows).iterator(chunk_size=chunk):
        totals.add(row)
        yield [guard(cell(row, made.as_of)) for _title, cell in COLUMNS]
    yield total_line(totals, made)


def total_line(totals: Totals, made: Made) -> list[str]:
    """Return the last line: sums under their columns, and what the file is."""
    line = dict.fromkeys(TITLES, "")
    line["计提编号"] = "合计"
    line["订单号"] = f"{totals.rows}行"
    line["佣金金额(元)"] = yuan(totals.fen["amount"])
    line["阶梯奖励(元)"] = yuan(0)
    line["冲回金额(元)"] = yuan(totals.fen["reversed"])
    line["备注"] = (
        f"schema={SCHEMA}；筛选：{made.filter or '全部'}；"
        f"截至{moment(made.as_of)}（北京时间）；制表：{made.maker}"
    )
    line["币种"] = "CNY"
    return [guard(Plain(cell) if cell[:1] == "-" else cell) for cell in line.values()]


def csv_bytes(lines: Iterable[list[str]]) -> Iterator[bytes]:
    """Yield a file piece by piece: BOM and titles, then line after line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    start = BOM
    writer.writerow(TITLES)
    for line in lines:
        yield start + _taken(buffer)
        start = b""
        writer.writerow(line)
    yield start + _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    data = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return data


def write_accruals(
    rows: QuerySet[Commission], *, made: Made, write: Callable[[bytes], object]
) -> dict[str, Any]:
    """Write the file in constant memory and return its manifest; leaves an audit entry."""
    totals, digest = Totals(), hashlib.sha256()
    for piece in csv_bytes(table(rows, made=made, totals=totals)):
        digest.update(piece)
        write(piece)
    manifest = manifest_of(totals, made, digest.hexdigest())
    audit.record(
        by=made.by,
        action="commission.export",
        target="commissions.commission",
        detail=manifest,
        at=made.as_of,
    )
    return manifest


def manifest_of(totals: Totals, made: Made, sha256: str) -> dict[str, Any]:
    """Return what a file is, for machines."""
    return {
        "title": TITLE,
        "schema": SCHEMA,
        "rows": totals.rows,
        "sums_yuan": {name: yuan(fen) for name, fen in totals.fen.items()},
        "currency": "CNY",
        "sha256": sha256,
        "filter": made.filter,
        "as_of": made.as_of.astimezone(BEIJING).isoformat(timespec="seconds"),
        "maker": made.maker,
    }


# --- The admin's button ---------------------------------------------------------------------


class AccrualCsv(CSV):
    """The file's own form; the cells are guarded already, numbers stay numbers."""

    def get_title(self) -> str:
        """Name the format in the form."""
        return f"CSV ({SCHEMA})"

    def export_data(self, dataset: tablib.Dataset, **kwargs: Any) -> bytes:
        """Return the whole file."""
        return b"".join(csv_bytes(list(map(str, line)) for line in dataset))


class AccrualResource(resources.Resource):
    """Commissions for django-import-export, with the columns of the file."""

    @classmethod
    def get_display_name(cls) -> str:
        """Name the resource in the form."""
        return TITLE

    def __init__(self, made: Made | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.made = made
        self.totals = Totals()
        self.fields = {title: Field(column_name=title) for title in TITLES}

    def export(self, queryset: QuerySet[Commission] | None = None, **kwargs: Any) -> tablib.Dataset:
        """Return titles, lines and totals."""
        assert self.made is not None
        rows = Commission.objects.all() if queryset is None else queryset
        dataset = tablib.Dataset(headers=TITLES)
        for line in table(rows, made=self.made, totals=self.totals):
            dataset.append(line)
        return dataset
