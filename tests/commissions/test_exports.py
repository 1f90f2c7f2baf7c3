"""The accrual file for finance: its form, its cells, its totals, the same from both doors."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tracemalloc
from datetime import date, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from commissions.admin import commissions as page
from commissions.exports import (
    CELL_CHARS,
    COLUMNS,
    SCHEMA,
    TITLES,
    Made,
    Plain,
    commissions_between,
    guard,
    moment,
    money,
    state,
    table,
    write_accruals,
)
from commissions.exports import Totals as FileTotals
from commissions.models import Commission
from commissions.services.accruing import accrue, set_release
from commissions.services.reversing import reverse_for_refund
from commissions.services.settling import settle_due
from distro.actors import SYSTEM
from distro.models import AuditEntry
from orders.models import Order, Payment
from referrals.models import Identity, Member, Promoter
from tests.analytics.admin_world import make_staff
from tests.commissions.builders import make_attributed, make_chain, make_plan, receive, refund_line
from tests.factories import AT, make_sku

pytestmark = pytest.mark.django_db

RULES_6_2 = """
    计提编号 订单号 订单行号 微信支付单号 支付时间 商品编码 商品名称 买家编号(脱敏) 推广员编号
    推广员姓名(脱敏) 层级 关系绑定时间 归因方式 计佣基数(元) 佣金比例(%) 佣金金额(元) 阶梯奖励(元)
    规则版本 状态(待收货/冻结中/可结算/已结算/已冲回/作废) 冻结至 可结算时间 退款金额(元)
    冲回金额(元) 计提月份 备注
"""


def made(filter_: str = "") -> Made:
    return Made(SYSTEM, "测试", filter_, AT + timedelta(days=1))


def sold(*paid: int, **kw) -> Order:
    """Sell lines through a chain of two promoters who earn 10 % and 5 %."""
    chain = make_chain(2)
    order = make_attributed(chain, *paid, **kw)
    Payment.objects.filter(order=order).update(transaction_id=f"4200{order.pk}")
    accrue(order_id=order.pk, at=AT)
    return order


def file_of(rows=None, **kw) -> tuple[bytes, dict]:
    out = io.BytesIO()
    rows = Commission.objects.all() if rows is None else rows
    manifest = write_accruals(rows, made=made(**kw), write=out.write)
    return out.getvalue(), manifest


def read(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_the_columns_are_those_of_the_finance_rules_and_then_the_currency():
    names = [title.removesuffix("（北京时间）") for title, _ in COLUMNS]
    assert names == [*RULES_6_2.split(), "币种"]
    assert len(set(TITLES)) == len(TITLES)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(1)", "'@SUM(1)"),
        ("+86 138", "'+86 138"),
        ("-5", "'-5"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("＝1+1", "'＝1+1"),
        ("＋1", "'＋1"),
        ("－1", "'－1"),
        ("＠x", "'＠x"),
        ('a"b,c', 'a"b,c'),
        ("", ""),
        ("普通 = 文本", "普通 = 文本"),
        (Plain("-5.00"), "-5.00"),
        (money(-500), "-5.00"),
        (money(123_456_789), "1234567.89"),
        (money(None), ""),
    ],
)
def test_a_cell_is_no_formula_and_a_number_stays_one(cell, written):
    assert guard(cell) == written


def test_a_huge_cell_is_cut_with_a_mark():
    cut = guard("=" + "x" * 1_000_000)
    assert len(cut) == CELL_CHARS
    assert cut.endswith("…(已截断)")


def test_times_are_those_of_beijing():
    assert moment(datetime.fromisoformat("2026-11-01T16:00:00+00:00")) == "2026-11-02 00:00:00"
    assert moment(None) == ""


def test_the_file_has_bom_crlf_and_quotes():
    make_plan(1000)
    title = 'a"b,c'
    sku = make_sku()
    sold(10_000, sku=sku)
    type(sku.product).objects.filter(pk=sku.product_id).update(title=title)
    Commission.objects.get().line.__class__.objects.update(title=title)
    data, _ = file_of()
    assert data.startswith(b"\xef\xbb\xbf" + TITLES[0].encode())
    assert data.count(b"\r\n") == data.count(b"\n") == 3
    assert b'"a""b,c"' in data
    assert read(data)[0]["商品名称"] == title


def test_a_row_says_what_was_paid_to_whom_for_what():
    plan = make_plan(1000, 500)
    order = sold(10_001)
    near = Promoter.objects.get(pk=order.promoter_1_id)
    Member.objects.filter(pk=near.member_id).update(nickname="欧阳明日")
    rows = read(file_of()[0])
    first, second, total = rows
    assert first == {
        "计提编号": f"{order.number}-1-1-1",
        "订单号": order.number,
        "订单行号": "1",
        "微信支付单号": f"4200{order.pk}",
        "支付时间（北京时间）": "2026-11-02 10:00:00",
        "商品编码": order.lines.get().sku_code,
        "商品名称": order.lines.get().title,
        "买家编号(脱敏)": "*" * len(order.member.no),
        "推广员编号": near.code,
        "推广员姓名(脱敏)": "欧**",
        "层级": "1",
        "关系绑定时间（北京时间）": "2026-11-02 10:00:00",
        "归因方式": "首次触达",
        "计佣基数(元)": "100.01",
        "佣金比例(%)": "10.00",
        "佣金金额(元)": "10.00",
        "阶梯奖励(元)": "0.00",
        "规则版本": f"{plan.code} v{plan.version}",
        "状态(待收货/冻结中/可结算/已结算/已冲回/作废)": "待收货",
        "冻结至（北京时间）": "",
        "可结算时间（北京时间）": "",
        "退款金额(元)": "0.00",
        "冲回金额(元)": "0.00",
        "计提月份": "2026-11",
        "备注": "",
        "币种": "CNY",
    }
    assert (second["层级"], second["佣金金额(元)"]) == ("2", "5.00")
    assert (total["计提编号"], total["订单号"], total["佣金金额(元)"]) == ("合计", "2行", "15.00")
    assert SCHEMA in total["备注"]
    assert "制表：测试" in total["备注"]


def test_a_verified_name_is_masked_too():
    make_plan(1000)
    order = sold(10_000)
    member = Promoter.objects.get(pk=order.promoter_1_id).member
    Identity.objects.create(
        member=member, name="司马相如", id_number="11010519491231002X", id_index="i",
        status="verified", submitted_at=AT,
    )  # fmt: skip
    data, _ = file_of()
    assert read(data)[0]["推广员姓名(脱敏)"] == "司**"
    for secret in ("司马相如", "11010519491231002X"):
        assert secret.encode() not in data


def test_a_formula_in_a_product_name_reaches_the_file_as_text():
    make_plan(1000)
    order = sold(10_000)
    order.lines.update(title="=1+1")
    assert read(file_of()[0])[0]["商品名称"] == "'=1+1"


def test_the_state_follows_the_commission():
    make_plan(1000)
    order = sold(10_000)
    row = Commission.objects.select_related("order").get()
    assert state(row, AT) == "待收货"
    due = receive(order)
    set_release(order_id=order.pk)
    row = Commission.objects.select_related("order").get()
    assert state(row, due - timedelta(days=2)) == "冻结中"
    assert state(row, due) == "可结算"
    settle_due(at=due)
    row = Commission.objects.select_related("order").get()
    assert state(row, due) == "已结算"
    refund = refund_line(order.lines.get(), 10_000, at=due)
    reverse_for_refund(refund_id=refund.pk, at=due)
    row = Commission.objects.select_related("order").get()
    assert state(row, due) == "已冲回"
    row.voided_at = due
    assert state(row, due) == "作废"


def test_the_manifest_counts_sums_and_hashes_the_file():
    make_plan(1000, 500)
    order = sold(10_000)
    refund = refund_line(order.lines.get(), 5_000)
    reverse_for_refund(refund_id=refund.pk, at=AT)
    data, manifest = file_of(filter_="支付日 2026-11-02")
    assert manifest == {
        "title": "佣金计提明细",
        "schema": "commission_accrual/1",
        "rows": 2,
        "sums_yuan": {"amount": "15.00", "reversed": "7.50", "kept": "7.50"},
        "currency": "CNY",
        "sha256": hashlib.sha256(data).hexdigest(),
        "filter": "支付日 2026-11-02",
        "as_of": "2026-11-03T10:00:00+08:00",
        "maker": "测试",
    }
    entry = AuditEntry.objects.get(action="commission.export")
    assert entry.detail == manifest
    assert read(data)[-1]["冲回金额(元)"] == "7.50"


def test_days_are_whole_days_in_beijing():
    make_plan(1000, effective_from=AT - timedelta(days=12_000))
    midnight = datetime.fromisoformat("1997-01-02T00:00:00+08:00")
    orders = [
        sold(10_000, placed_at=at, paid_at=at)
        for at in (midnight - timedelta(seconds=1), midnight, midnight + timedelta(hours=23.9))
    ]
    day = date(1997, 1, 2)
    rows = commissions_between(day, day).values_list("order", flat=True)
    assert set(rows) == {orders[1].pk, orders[2].pk}
    assert commissions_between(None, day).count() == 3
    assert commissions_between(date(1997, 1, 3), None).count() == 0


def test_the_number_of_queries_does_not_grow_with_the_rows():
    make_plan(1000, 500)
    sold(10_000)
    with CaptureQueriesContext(connection) as few:
        list(table(Commission.objects.all(), made=made(), totals=FileTotals()))
    for _ in range(5):
        sold(10_000, 20_000)
    with CaptureQueriesContext(connection) as many:
        list(table(Commission.objects.all(), made=made(), totals=FileTotals()))
    assert len(many) == len(few) == 1


def test_the_memory_does_not_grow_with_the_rows():
    make_plan(1000)
    order = sold(10_000)
    _copy(order, 3_000)
    tracemalloc.start()
    file_of()  # warm: caches of columns, codecs
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    size = len(file_of()[0])
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert size > 500_000
    assert peak - 2 * size < 16 * 1024 * 1024  # the test keeps the file itself


def _copy(order: Order, times: int) -> None:
    """Multiply an order's commission, each on a line of its own."""
    line, row = order.lines.get(), Commission.objects.get()
    lines = []
    for number in range(2, times + 2):
        fields = {f.attname: getattr(line, f.attname) for f in line._meta.concrete_fields}
        lines.append(type(line)(**fields | {"id": None, "line_no": number}))
    lines = type(line).objects.bulk_create(lines)
    Commission.objects.bulk_create(
        Commission(
            **{f.attname: getattr(row, f.attname) for f in row._meta.concrete_fields}
            | {"id": None, "line_id": one.pk}
        )
        for one in lines
    )


# --- The command ----------------------------------------------------------------------------


def test_the_command_writes_the_file_and_its_manifest(tmp_path):
    make_plan(1000)
    sold(10_000)
    path, err = tmp_path / "a.csv", StringIO()
    owner = make_staff("owner")
    call_command(
        "export_accruals", str(path), "--from", "2026-11-02", "--to", "2026-11-02", "--by",
        owner.username, stderr=err,
    )  # fmt: skip
    manifest = json.loads((tmp_path / "a.csv.manifest.json").read_text("utf-8"))
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (manifest["rows"], manifest["maker"]) == (1, owner.username)
    assert manifest["filter"] == "支付日 2026-11-02 至 2026-11-02"
    assert json.loads(err.getvalue()) == manifest
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "a.csv.manifest.json"]
    entry = AuditEntry.objects.get(action="commission.export")
    assert (entry.actor_kind, entry.actor_id) == ("staff", owner.pk)


def test_the_command_writes_to_the_standard_output(capfdbinary):
    make_plan(1000)
    sold(10_000)
    call_command("export_accruals", "-", stderr=StringIO())
    assert len(read(capfdbinary.readouterr().out)) == 2


@pytest.mark.parametrize(
    "arguments",
    [["--from", "2026-11-03", "--to", "2026-11-02"], ["--by", "nobody"], ["--from", "yesterday"]],
)
def test_the_command_refuses_nonsense_and_writes_nothing(tmp_path, arguments):
    with pytest.raises(CommandError):
        call_command("export_accruals", str(tmp_path / "a.csv"), *arguments)
    assert not list(tmp_path.iterdir())
    assert not AuditEntry.objects.exists()


# --- The admin's button ---------------------------------------------------------------------

EXPORT = "admin:commissions_commission_export"


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(make_staff(role))
    return client


def test_the_button_gives_the_same_rows_as_the_command():
    make_plan(1000, 500)
    sold(10_000)
    sold(333)
    answer = client_of("finance").post(reverse(EXPORT), {"format": "0", "resource": "0"})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/csv")
    from_button, from_command = read(answer.content), read(file_of()[0])
    assert from_button[:-1] == from_command[:-1]
    assert len(from_button) == 5
    assert {**from_button[-1], "备注": ""} == {**from_command[-1], "备注": ""}
    entry = AuditEntry.objects.filter(action="commission.export").earliest("id")
    assert entry.actor_kind == "staff"
    assert entry.detail["rows"] == 4
    assert entry.detail["sha256"] == hashlib.sha256(answer.content).hexdigest()


def test_the_button_exports_what_the_list_shows():
    make_plan(1000, 500)
    order = sold(10_000)
    sold(20_000)
    answer = client_of("finance").post(
        f"{reverse(EXPORT)}?q={order.number}&level=1", {"format": "0", "resource": "0"}
    )
    rows = read(answer.content)
    assert [(row["订单号"], row["层级"]) for row in rows[:-1]] == [(order.number, "1")]
    assert order.number in rows[-1]["备注"]


def test_too_many_rows_are_refused_with_a_way_out(monkeypatch):
    make_plan(1000, 500)
    sold(10_000)
    monkeypatch.setattr(page, "ROWS_MAX", 1)
    answer = client_of("finance").get(reverse(EXPORT), follow=True)
    texts = [str(message) for message in answer.context["messages"]]
    assert any("export_accruals" in text for text in texts)
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("role", ["operator", "support", ""])
def test_a_role_without_the_right_exports_nothing(role):
    make_plan(1000)
    sold(10_000)
    client = client_of(role)
    assert client.get(reverse(EXPORT)).status_code == 403
    assert client.post(reverse(EXPORT), {"format": "0", "resource": "0"}).status_code == 403
    assert not AuditEntry.objects.exists()
