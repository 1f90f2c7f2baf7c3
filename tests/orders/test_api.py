"""The endpoints: shapes, ownership, idempotency, fixed numbers of queries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from distro import clock
from distro.wechat.errors import WechatUnknown
from orders.models import Order, Payment, Refund, Sku
from orders.services.refunds import approve_refund
from orders.services.shipping import ship_order
from referrals.auth import MemberActor
from referrals.models import Member
from tests.factories import make_member, make_sku
from tests.orders.conftest import FakePay, bought, open_for, paid_state, place
from tests.orders.test_shipping import STAFF

pytestmark = pytest.mark.django_db

ADDRESS = {"receiver": "张三", "phone": "13800000000", "address": "武夷山市 1 号"}


@pytest.fixture(autouse=True)
def frozen(at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: at)


@pytest.fixture
def member() -> Member:
    return make_member()


@pytest.fixture
def client(member: Member) -> APIClient:
    return client_of(member)


def client_of(member: Member) -> APIClient:
    client = APIClient(headers={"accept-language": "en"})
    client.force_authenticate(user=MemberActor(member))  # type: ignore[arg-type]
    return client


def post(client: APIClient, path: str, body: Any = None, key: str = "key-0001") -> Any:
    headers = {"Idempotency-Key": key}
    return client.post(f"/api/v1/{path}", body, headers=headers)


def cart(*items: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"items": [{"sku": sku, "quantity": n} for sku, n in items]} | more


# --- Catalogue ------------------------------------------------------------------------------


def test_anybody_may_look_at_the_shop() -> None:
    sku = make_sku(990, stock=7, name="250 克")
    make_sku(500, product=sku.product, on_sale=False)
    hidden = make_sku()
    hidden.product.on_sale = False
    hidden.product.save()
    client = APIClient()
    assert [row["id"] for row in client.get("/api/v1/categories").json()] == [
        sku.product.category_id,
        hidden.product.category_id,
    ]
    listed = client.get("/api/v1/products").json()
    assert [(row["code"], row["from_fen"]) for row in listed["results"]] == [
        (sku.product.code, 990)
    ]
    shown = client.get(f"/api/v1/products/{sku.product.code}").json()
    assert shown["skus"] == [{"code": sku.code, "name": "250 克", "price_fen": 990, "stock": 7}]
    for code in (hidden.product.code, "nothing"):
        assert client.get(f"/api/v1/products/{code}").status_code == 404


def test_products_are_paged_by_position_and_filtered_by_category() -> None:
    skus = [make_sku() for _ in range(5)]
    client = APIClient()
    codes, cursor = [], ""
    while cursor is not None:
        page = client.get("/api/v1/products", {"limit": 2, "cursor": cursor}).json()
        codes += [row["code"] for row in page["results"]]
        cursor = page["next"]
    assert codes == [sku.product.code for sku in reversed(skus)]
    mine = client.get("/api/v1/products", {"category": skus[1].product.category_id}).json()
    assert [row["code"] for row in mine["results"]] == [skus[1].product.code]
    assert client.get("/api/v1/products", {"category": "x"}).status_code == 400


@pytest.mark.parametrize("rows", [1, 6])
def test_lists_take_a_fixed_number_of_queries(
    rows: int,
    client: APIClient,
    member: Member,
    at: datetime,
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    for _ in range(rows):
        place(at, member, (make_sku(), 1), (make_sku(), 1))
    with django_assert_num_queries(1):
        client.get("/api/v1/products")
    with django_assert_num_queries(2):
        assert len(client.get("/api/v1/orders").json()["results"]) == rows


# --- Quote, place ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "code", "field"),
    [
        (0, "quantity_out_of_range", "items.0.quantity"),
        (-1, "quantity_out_of_range", "items.0.quantity"),
        (10_001, "quantity_out_of_range", "items.0.quantity"),
        ("many", "invalid", "items.0.quantity"),
        (None, "invalid", "items.0.quantity"),
        (1.5, "invalid", "items.0.quantity"),
    ],
)
@pytest.mark.parametrize("path", ["orders/quote", "orders"])
def test_a_bad_quantity_is_answered_with_its_field(
    path: str, quantity: Any, code: str, field: str, client: APIClient
) -> None:
    answer = post(client, path, cart((make_sku().code, quantity), address=ADDRESS))
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert list(answer.json()["fields"]) == [field]
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "invalid", "items"),
        ({"items": []}, "nothing_ordered", "items"),
        ({"items": "tea"}, "invalid", "items"),
        (cart(("nothing", 1)), "unknown_sku", "items.0.sku"),
        (cart(("x" * 65, 1)), "invalid", "items.0.sku"),
    ],
)
def test_a_bad_cart_is_answered_with_its_field(
    body: dict[str, Any], code: str, field: str, client: APIClient
) -> None:
    answer = post(client, "orders", body | {"address": ADDRESS})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert any(name.startswith(field) for name in answer.json()["fields"])
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    "change", [{"receiver": ""}, {"phone": "call me"}, {"phone": ""}, {"address": "长" * 201}]
)
def test_a_bad_address_is_answered_with_its_field(
    change: dict[str, str], client: APIClient
) -> None:
    answer = post(client, "orders", cart((make_sku().code, 1), address=ADDRESS | change))
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [f"address.{next(iter(change))}"]
    assert not Order.objects.exists()


def test_prices_sent_by_the_client_are_ignored(client: APIClient) -> None:
    sku = make_sku(price_fen=5_000)
    body = cart((sku.code, 2), address=ADDRESS, paid_fen=1, goods_fen=1)
    body["items"][0]["price_fen"] = 1
    assert post(client, "orders", body).json()["paid_fen"] == 10_000


def test_a_quote_writes_nothing_and_needs_no_key(client: APIClient) -> None:
    sku = make_sku(price_fen=5_000, stock=1)
    answer = client.post("/api/v1/orders/quote", cart((sku.code, 3)))
    assert answer.json() == {
        "lines": [
            {
                "sku": sku.code,
                "title": str(sku),
                "quantity": 3,
                "price_fen": 5_000,
                "goods_fen": 15_000,
                "discount_fen": 0,
                "paid_fen": 15_000,
            }
        ],
        "goods_fen": 15_000,
        "discount_fen": 0,
        "freight_fen": 0,
        "paid_fen": 15_000,
    }
    assert not Order.objects.exists()


def test_a_repeated_request_places_one_order(client: APIClient) -> None:
    sku = make_sku(stock=10)
    body = cart((sku.code, 2), address=ADDRESS)
    first, second = post(client, "orders", body), post(client, "orders", body)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert Order.objects.count() == 1
    assert Sku.objects.get().stock == 8
    assert client.post("/api/v1/orders", body).json()["code"] == "idempotency_key_missing"


def test_a_refused_order_leaves_no_trace(client: APIClient) -> None:
    sku = make_sku(stock=1)
    answer = post(client, "orders", cart((sku.code, 2), address=ADDRESS))
    assert (answer.status_code, answer.json()["code"]) == (409, "out_of_stock")
    assert answer.json()["message"] == f"Only 1 left of {sku}."
    assert not Order.objects.exists()


# --- Ownership ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "orders/{number}"),
        ("post", "orders/{number}/pay"),
        ("post", "orders/{number}/sync"),
        ("post", "orders/{number}/cancel"),
        ("post", "orders/{number}/receive"),
        ("post", "orders/{number}/refunds"),
        ("get", "refunds/{refund}"),
        ("post", "refunds/{refund}/withdraw"),
    ],
)
def test_nobody_reaches_what_is_another_members(
    method: str, path: str, client: APIClient, at: datetime, fake_pay: FakePay
) -> None:
    order = bought(at)
    body = {"lines": [{"line_no": 1, "amount_fen": 1}], "reason": "x"}
    owner = client_of(order.member)
    refund = post(owner, f"orders/{order.number}/refunds", body).json()
    url = f"/api/v1/{path.format(number=order.number, refund=refund['number'])}"
    answer = getattr(client, method)(url, body, headers={"Idempotency-Key": "key-0002"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    order.refresh_from_db()
    assert (order.status, Refund.objects.get().status) == ("paid", "requested")
    assert APIClient().get(url).status_code in {401, 405}


def test_a_list_holds_only_my_own_orders(client: APIClient, member: Member, at: datetime) -> None:
    place(at)
    mine, paid = place(at, member), bought(at, member=member)
    rows = client.get("/api/v1/orders").json()["results"]
    assert [row["number"] for row in rows] == [paid.number, mine.number]
    rows = client.get("/api/v1/orders", {"status": "paid"}).json()["results"]
    assert [row["number"] for row in rows] == [paid.number]
    assert client.get("/api/v1/orders", {"status": "lost"}).status_code == 400


# --- The life of an order -------------------------------------------------------------------


def test_an_order_is_paid_through_the_api(
    client: APIClient, member: Member, at: datetime, fake_pay: FakePay
) -> None:
    order = place(at, member)
    answer = post(client, f"orders/{order.number}/pay")
    assert answer.json() == {"package": "prepay_id=wx1"}
    assert fake_pay.prepaid[0].openid == member.openid
    payment = Payment.objects.get()
    fake_pay.payments[payment.out_trade_no] = paid_state(payment)
    shown = client.post(f"/api/v1/orders/{order.number}/sync").json()
    assert (shown["status"], shown["paid_at"]) == ("paid", "2026-11-02T10:00:00+08:00")
    again = post(client, f"orders/{order.number}/pay", key="key-0002")
    assert (again.status_code, again.json()["code"]) == (409, "not_payable")


def test_a_silent_wechat_is_a_503_and_the_next_try_uses_the_same_number(
    client: APIClient, member: Member, at: datetime, fake_pay: FakePay
) -> None:
    order = place(at, member)
    fake_pay.errors["prepay"] = WechatUnknown("connection")
    answer = post(client, f"orders/{order.number}/pay")
    assert (answer.status_code, answer.json()["code"]) == (503, "wechat_silent")
    assert post(client, f"orders/{order.number}/pay").status_code == 200
    assert fake_pay.prepaid[0] == fake_pay.prepaid[1]
    assert Payment.objects.count() == 1


def test_an_order_is_cancelled_through_the_api(
    client: APIClient, member: Member, at: datetime, fake_pay: FakePay
) -> None:
    order = place(at, member)
    open_for(order, at)
    assert post(client, f"orders/{order.number}/cancel").json()["status"] == "cancelled"
    again = post(client, f"orders/{order.number}/cancel", key="key-0002")
    assert again.json()["code"] == "not_cancellable"


def test_a_shipment_is_shown_and_received(client: APIClient, member: Member, at: datetime) -> None:
    order = bought(at, member=member)
    refused = post(client, f"orders/{order.number}/receive")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_receivable")
    ship_order(order_id=order.pk, company="顺丰", tracking_no="SF1", by=STAFF, at=at)
    shown = client.get(f"/api/v1/orders/{order.number}").json()
    assert shown["shipment"]["tracking_no"] == "SF1"
    assert shown["receiver"] == ADDRESS["receiver"]
    assert post(client, f"orders/{order.number}/receive").json()["status"] == "completed"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"reason": "x"}, "nothing_to_refund", "lines"),
        ({"lines": [{"line_no": 1, "amount_fen": 1}]}, "invalid", "reason"),
        ({"lines": [{"line_no": 2, "amount_fen": 1}]}, "unknown_line", "lines.0.line_no"),
        ({"lines": [{"line_no": 1, "amount_fen": 0}]}, "amount_out_of_range", "lines.0"),
        ({"lines": [{"line_no": 1, "amount_fen": -1}]}, "amount_out_of_range", "lines.0"),
        ({"lines": [{"line_no": 1, "amount_fen": 10**10 + 1}]}, "amount_out_of_range", "lines"),
        ({"lines": [{"line_no": 1, "amount_fen": 10_001}]}, "refund_too_high", "lines.0"),
        ({"lines": [{"line_no": 1}]}, "invalid", "lines.0.amount_fen"),
        ({"freight_fen": 1}, "refund_too_high", "freight_fen"),
    ],
)  # fmt: skip
def test_a_bad_refund_is_answered_with_its_field(
    body: dict[str, Any], code: str, field: str, client: APIClient, member: Member, at: datetime
) -> None:
    order = bought(at, member=member)
    whole = body if code == "invalid" else {"reason": "买多了"} | body
    answer = post(client, f"orders/{order.number}/refunds", whole)
    assert answer.json()["code"] == code
    assert next(iter(answer.json()["fields"])).startswith(field)
    assert not Refund.objects.exists()


def test_a_refund_is_asked_for_shown_and_withdrawn(
    client: APIClient, member: Member, at: datetime
) -> None:
    order = bought(at, member=member)
    body = {"lines": [{"line_no": 1, "quantity": 1, "amount_fen": 9_999}], "reason": "买多了"}
    path = f"orders/{order.number}/refunds"
    refund = post(client, path, body).json()
    assert post(client, path, body).json() == refund
    assert (refund["status"], refund["amount_fen"]) == ("requested", 9_999)
    shown = client.get(f"/api/v1/orders/{order.number}").json()["refunds"]
    assert shown == [refund]
    withdrawn = post(client, f"refunds/{refund['number']}/withdraw").json()
    assert withdrawn["status"] == "withdrawn"


def test_a_decided_refund_is_not_withdrawn(client: APIClient, member: Member, at: datetime) -> None:
    order = bought(at, member=member)
    body = {"lines": [{"line_no": 1, "amount_fen": 1}], "reason": "x"}
    refund = post(client, f"orders/{order.number}/refunds", body).json()
    approve_refund(refund_id=Refund.objects.get().pk, by=STAFF, at=at)
    answer = post(client, f"refunds/{refund['number']}/withdraw")
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
