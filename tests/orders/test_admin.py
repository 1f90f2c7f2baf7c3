"""Steps in the admin: a dialog, one service a row, refusals shown, counts told."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from distro.models import AuditEntry, StateChange
from orders.models import Order, Product, Refund, Shipment, ShopPolicy, Sku
from orders.rules import RefundItem
from orders.services.refunds import request_refund
from tests.analytics.admin_world import make_staff
from tests.factories import AT, make_member, make_order, make_sku

pytestmark = pytest.mark.django_db

SUBMITTED = {"_form_submitted": "on"}


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(make_staff("operator"))
    return client


def step(client, model, name, row, follow=True, **answers):
    url = reverse(f"admin:orders_{model}_{name}", args=[row.pk])
    return client.post(url, {**SUBMITTED, **answers}, follow=follow)


def told(answer) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def ask(order: Order, amount_fen: int = 100) -> Refund:
    item = RefundItem(line_id=order.lines.get().pk, quantity=0, amount_fen=amount_fen)
    return request_refund(
        order_id=order.pk, lines=[item], freight_fen=0, reason="x", by=order.member.actor, at=AT
    )


def test_shipping_asks_for_carrier_and_number(operator):
    order = make_order()
    dialog = operator.get(reverse("admin:orders_order_ship", args=[order.pk])).content.decode()
    assert 'name="company"' in dialog
    assert 'name="tracking_no"' in dialog
    answer = step(operator, "order", "ship", order, company="顺丰", tracking_no="SF1")
    assert told(answer) == ["已完成 1 条。"]
    assert Shipment.objects.get().tracking_no == "SF1"
    change = StateChange.objects.get()
    assert (change.to_status, change.actor_kind) == ("shipped", "staff")


def test_a_look_at_the_dialog_ships_nothing(operator):
    order = make_order()
    url = reverse("admin:orders_order_ship", args=[order.pk])
    operator.get(url, {**SUBMITTED, "company": "x", "tracking_no": "x"})
    operator.post(url, {**SUBMITTED, "company": "", "tracking_no": ""})
    assert not Shipment.objects.exists()


def test_a_refusal_is_shown_and_counted(operator):
    order = make_order(status="shipped")
    answer = step(operator, "order", "ship", order, company="x", tracking_no="x")
    texts = told(answer)
    assert len(texts) == 2
    assert "1" in texts[1]
    assert not Shipment.objects.exists()


def test_a_step_on_what_is_not_there_is_not_found(operator):
    for key in ("999999", "x"):
        url = reverse("admin:orders_order_ship", args=[key])
        answer = operator.post(url, {**SUBMITTED, "company": "x", "tracking_no": "x"})
        assert answer.status_code == 404


def test_the_dialogs_script_is_sent_back_by_a_header(operator):
    order = make_order()
    url = reverse("admin:orders_order_ship", args=[order.pk])
    form = {**SUBMITTED, "company": "x", "tracking_no": "x"}
    answer = operator.post(url, form, headers={"HX-Request": "true"})
    assert answer["HX-Redirect"] == reverse("admin:orders_order_change", args=[order.pk])


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("placed", {"cancel"}),
        ("paid", {"ship", "refund"}),
        ("shipped", {"complete", "refund"}),
        ("completed", {"refund"}),
        ("refunded", set()),
        ("cancelled", set()),
    ],
)
def test_a_page_offers_what_the_state_allows(operator, status, offered):
    order = make_order(status=status)
    answer = operator.get(reverse("admin:orders_order_change", args=[order.pk]))
    paths = {
        action["path"].rstrip("/").split("/")[-1] for action in answer.context["actions_detail"]
    }
    assert paths == offered


def test_a_batch_calls_the_service_for_each_row_and_tells_both_counts(operator):
    good, bad = ask(make_order()), ask(make_order())
    Refund.objects.filter(pk=bad.pk).update(status="rejected")
    form = {"action": "approve_selected", "_selected_action": [good.pk, bad.pk]}
    answer = operator.post(reverse("admin:orders_refund_changelist"), form, follow=True)
    texts = told(answer)
    assert "已完成 1 条。" in texts
    assert "未完成 1 条。" in texts
    assert dict(Refund.objects.values_list("pk", "status")) == {
        good.pk: "approved",
        bad.pk: "rejected",
    }


def test_a_batch_is_not_offered_without_the_right():
    refund = ask(make_order())
    client = Client()
    client.force_login(make_staff("support"))
    form = {"action": "approve_selected", "_selected_action": [refund.pk]}
    page = client.get(reverse("admin:orders_refund_changelist"))
    assert "approve_selected" not in page.content.decode()
    client.post(reverse("admin:orders_refund_changelist"), form)
    assert Refund.objects.get().status == "requested"


def test_a_rejection_needs_its_reason(operator):
    refund = ask(make_order())
    step(operator, "refund", "reject", refund, reason="")
    assert Refund.objects.get().status == "requested"
    step(operator, "refund", "reject", refund, reason="已使用")
    refund.refresh_from_db()
    assert (refund.status, refund.decision) == ("rejected", "已使用")


def test_staff_ask_for_a_refund_line_by_line_in_yuan(operator):
    order = make_order(paid_fen=10_000, freight_fen=800)
    line = order.lines.get()
    dialog = operator.get(reverse("admin:orders_order_refund", args=[order.pk])).content.decode()
    assert "100.00" in dialog
    answers = {
        f"amount_{line.pk}": "12.34",
        f"pieces_{line.pk}": "0",
        "freight": "3",
        "reason": "破损",
    }
    step(operator, "order", "refund", order, **answers)
    refund = Refund.objects.get()
    assert (refund.goods_fen, refund.freight_fen, refund.status) == (1234, 300, "requested")
    assert refund.lines.get().amount_fen == 1234


@pytest.mark.parametrize("amount", ["100.01", "-1", "abc", "1.234"])
def test_a_wrong_sum_asks_for_no_refund(operator, amount):
    order = make_order(paid_fen=10_000)
    line = order.lines.get()
    answers = {f"amount_{line.pk}": amount, f"pieces_{line.pk}": "0", "reason": "x"}
    step(operator, "order", "refund", order, **answers)
    assert not Refund.objects.exists()


# --- Catalogue ------------------------------------------------------------------------------


def test_prices_are_written_in_yuan(operator):
    sku = make_sku(price_fen=12_345, stock=7)
    url = reverse("admin:orders_sku_change", args=[sku.pk])
    assert 'value="123.45"' in operator.get(url).content.decode()
    form = {"product": sku.product_id, "code": sku.code, "name": "大", "price_fen": "99.9",
            "cost_fen": "0", "on_sale": "on"}  # fmt: skip
    operator.post(url, form)
    sku.refresh_from_db()
    assert (sku.price_fen, sku.name, sku.stock) == (9990, "大", 7)


@pytest.mark.parametrize("price", ["", "-1", "1.999", "一百", "100000000.01"])
def test_a_wrong_price_is_not_saved(operator, price):
    sku = make_sku(price_fen=12_345)
    form = {"product": sku.product_id, "code": sku.code, "price_fen": price, "cost_fen": "0"}
    answer = operator.post(reverse("admin:orders_sku_change", args=[sku.pk]), form)
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors["price_fen"]
    sku.refresh_from_db()
    assert sku.price_fen == 12_345


def test_saving_a_product_does_not_undo_a_sale_beside_it(operator, monkeypatch):
    sku = make_sku(stock=10)
    product = sku.product
    form = {
        "code": product.code, "title": "新标题", "category": product.category_id,
        "description": "", "image_url": "", "on_sale": "on", "returnable": "on",
        "skus-TOTAL_FORMS": "1", "skus-INITIAL_FORMS": "1", "skus-0-id": sku.pk,
        "skus-0-product": product.pk, "skus-0-code": sku.code, "skus-0-name": "中",
        "skus-0-price_fen": "100.00", "skus-0-cost_fen": "0.00", "skus-0-on_sale": "on",
        "skus-0-stock": "10",
    }  # fmt: skip
    full_clean = Sku.full_clean

    def sell_meanwhile(self, *args, **kwargs):
        Sku.objects.filter(pk=sku.pk).update(stock=4)
        return full_clean(self, *args, **kwargs)

    monkeypatch.setattr(Sku, "full_clean", sell_meanwhile)
    answer = operator.post(reverse("admin:orders_product_change", args=[product.pk]), form)
    assert answer.status_code == 302, answer.context["errors"]
    sku.refresh_from_db()
    assert (sku.name, sku.stock, Product.objects.get().title) == ("中", 4, "新标题")


@pytest.mark.parametrize(("pieces", "stock"), [("5", 15), ("-10", 0), ("-11", 10), ("x", 10)])
def test_stock_moves_by_pieces_and_never_below_zero(operator, pieces, stock):
    sku = make_sku(stock=10)
    step(operator, "sku", "move_stock", sku, pieces=pieces, reason="盘点")
    sku.refresh_from_db()
    assert sku.stock == stock
    assert AuditEntry.objects.filter(action="sku.stock").count() == (stock != 10)


def test_a_policy_that_rules_is_not_changed_but_followed_by_another():
    client = Client()
    client.force_login(make_staff("owner"))
    past = ShopPolicy.objects.create(effective_from=AT.replace(year=2020), return_days=7)
    url = reverse("admin:orders_shoppolicy_change", args=[past.pk])
    assert client.get(url).status_code == 200
    assert client.post(url, {"return_days": "30"}).status_code == 403
    past.refresh_from_db()
    assert past.return_days == 7


def test_an_order_page_tells_its_history_by_name(operator):
    order = make_order(member=make_member())
    step(operator, "order", "ship", order, company="x", tracking_no="x")
    page = operator.get(reverse("admin:orders_order_change", args=[order.pk]))
    steps = next(panel["steps"] for panel in page.context["panels"] if "steps" in panel)
    assert [str(one["title"]) for one in steps] == ["已发货"]
    assert steps[0]["who"].startswith("operator")
