"""The columns of an order history, by their Chinese and English titles."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.importing.reading import Column

COLUMNS = (
    Column("order_no", "订单号", False, _("number of the order in the old system, unique")),
    Column("line_no", "行号", False, _("number of the line within its order, from 1")),
    Column("buyer_no", "买家编号", False, _("number of the buyer in the old system")),
    Column("placed_at", "下单时间", False, _("2026-01-31 12:00:00, Beijing time")),
    Column("paid_at", "支付时间", False, _("2026-01-31 12:00:00, Beijing time")),
    Column("completed_at", "完成时间", True, _("when the goods were received; empty if not yet")),
    Column("sku_code", "商品编码", False, _("SKU code")),
    Column("product_name", "商品名称", False, _("name of the product")),
    Column("category", "类目", False, _("category of the product")),
    Column("quantity", "数量", False, _("whole number from 1")),
    Column("paid_amount", "实付金额", False, _("paid for the goods of the line, yuan")),
    Column("freight", "运费", True, _("freight of the line, yuan; empty is 0")),
    Column("refunded_amount", "退款金额", True, _("refunded of the line, yuan; empty is 0")),
    Column("promoter_code", "推广员编号", True, _("who brought the buyer; empty if nobody")),
)
FIELDS = {column.field: column for column in COLUMNS}
