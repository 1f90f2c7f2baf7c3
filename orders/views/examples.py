"""Examples in the description of the API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

CATEGORY = {"id": 3, "name": "茶叶"}
PRODUCT = {
    "code": "TEA-01",
    "title": "正山小种",
    "category": CATEGORY,
    "image_url": "https://cdn.example.com/tea-01.jpg",
    "from_fen": 9900,
}
PRODUCT_DETAIL = PRODUCT | {
    "description": "武夷山桐木关",
    "returnable": True,
    "skus": [{"code": "TEA-01-250", "name": "250 克", "price_fen": 9900, "stock": 58}],
}
QUOTE_REQUEST = {"items": [{"sku": "TEA-01-250", "quantity": 2}], "coupon": ""}
QUOTE_LINE = {
    "sku": "TEA-01-250",
    "title": "正山小种 250 克",
    "quantity": 2,
    "price_fen": 9900,
    "goods_fen": 19800,
    "discount_fen": 0,
    "paid_fen": 19800,
}
SUMS = {"goods_fen": 19800, "discount_fen": 0, "freight_fen": 800, "paid_fen": 20600}
QUOTE = {"lines": [QUOTE_LINE], **SUMS}
ADDRESS = {"receiver": "张三", "phone": "13800000000", "address": "福建省武夷山市星村镇 1 号"}
PLACE_REQUEST = QUOTE_REQUEST | {"address": ADDRESS}
ORDER = {
    "number": "D261102K7W2M9Q4XHPT",
    "status": "paid",
    "status_display": "已付款，待发货",
    **SUMS,
    "refunded_fen": 0,
    "placed_at": "2026-11-02T10:00:00+08:00",
    "pay_before": "2026-11-02T10:30:00+08:00",
    "paid_at": "2026-11-02T10:01:00+08:00",
    "shipped_at": None,
    "completed_at": None,
    "cancelled_at": None,
    "lines": [{"line_no": 1, **QUOTE_LINE, "refunded_fen": 0}],
}
ORDER_DETAIL = ORDER | {
    "freight_refunded_fen": 0,
    **ADDRESS,
    "shipment": None,
    "refunds": [],
}
PAY_PARAMS = {
    "timeStamp": "1793584860",
    "nonceStr": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
    "package": "prepay_id=wx02100100123456",
    "signType": "RSA",
    "paySign": "oR9d8PuhnIc…",
}
REFUND_REQUEST = {
    "lines": [{"line_no": 1, "quantity": 1, "amount_fen": 9900}],
    "freight_fen": 0,
    "reason": "买多了",
}
REFUND = {
    "number": "R261103M4T8W6C2YQKX",
    "status": "requested",
    "status_display": "待审核",
    "amount_fen": 9900,
    "goods_fen": 9900,
    "freight_fen": 0,
    "reason": "买多了",
    "decision": "",
    "requested_at": "2026-11-03T09:00:00+08:00",
    "approved_at": None,
    "succeeded_at": None,
    "lines": [{"line_no": 1, "title": "正山小种 250 克", "quantity": 1, "amount_fen": 9900}],
}


def asked(name: str, value: dict[str, Any]) -> OpenApiExample:
    """Return an example of a request."""
    return OpenApiExample(name, value, request_only=True)


def answered(name: str, value: dict[str, Any], status: str = "200") -> OpenApiExample:
    """Return an example of an answer."""
    return OpenApiExample(name, value, response_only=True, status_codes=[status])
