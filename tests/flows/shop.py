"""A shop for stories: real services from the share link to the paid-out commission."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from commissions.models import Plan, PlanRate, Withdrawal
from commissions.services.ledger import balances
from commissions.services.publishing import accept_level_2, publish_plan
from commissions.services.reviewing import approve_request
from commissions.services.withdrawals import request_withdrawal
from distro.actors import Actor
from distro.wechat.states import PaymentState, RefundState
from orders.models import Order, Payment, Refund
from orders.rules import Item, RefundItem
from orders.services.paying import confirm_payment, open_payment
from orders.services.placing import Address, place_order
from orders.services.refunding import finish_refund
from orders.services.refunds import approve_refund, request_refund
from orders.services.shipping import complete_order, mature_orders, ship_order
from referrals.models import Agreement, Member, Promoter, ReferralPolicy
from referrals.services.agreements import Evidence, publish_agreement
from referrals.services.identities import submit_identity
from referrals.services.links import create_link
from referrals.services.members import login
from referrals.services.promoters import apply_to_promote
from tests.commissions.payout_world import make_rules
from tests.factories import counter, make_sku

STAFF, SECOND = Actor("staff", 1), Actor("staff", 2)
HOME = Address(receiver="李雷", phone="13800138000", address="上海市 1 号")


def open_shop(at: datetime, *bps: int) -> Agreement:
    """Publish agreement, policies and a plan that pays these shares by level."""
    start = at - timedelta(days=30)
    ReferralPolicy.objects.create(
        effective_from=start, gate=ReferralPolicy.Gate.EVERYONE, identity_review=False
    )
    make_rules(at)
    agreement = Agreement.objects.create(
        version=1, title="推广协议", body="正文", effective_from=start
    )
    publish_agreement(agreement_id=agreement.pk, by=STAFF, at=start)
    agreement.refresh_from_db()
    plan = Plan.objects.create(
        code="demo", name="demo", level_max=len(bps), cap_bps=2000, effective_from=start
    )
    for level, share in enumerate(bps, start=1):
        PlanRate.objects.create(plan=plan, level=level, rate_bps=share)
    if len(bps) > 1:
        accept_level_2(plan_id=plan.pk, by=STAFF, at=start)
    publish_plan(plan_id=plan.pk, by=STAFF, at=start)
    return agreement


def join(at: datetime, by: Promoter | None = None, openid: str = "") -> Member:
    """Let a new person log in, through a promoter's link if one is given."""
    code = ""
    if by is not None:
        link = create_link(
            member=by.member, target="home", target_ref="", channel="chat", expires_at=None, at=at
        )
        code = link.code
    result = login(
        openid=openid or f"o{next(counter):027d}", unionid=None, link_code=code, device="d", at=at
    )
    assert result.link_error is None
    return result.member


def promote(member: Member, agreement: Agreement, at: datetime) -> Promoter:
    apply_to_promote(
        member=member,
        agreement_id=agreement.pk,
        body_sha256=agreement.body_sha256,
        evidence=Evidence(ip="10.1.2.3"),
        note="",
        at=at,
    )
    return Promoter.objects.get(member=member)


def buy(member: Member, price_fen: int, at: datetime) -> Order:
    """Place an order of one piece."""
    sku = make_sku(price_fen=price_fen)
    return place_order(member_id=member.pk, items=[Item(sku.pk, 1)], coupon="", address=HOME, at=at)


def pay(order: Order, at: datetime, **kw: Any) -> str:
    """Let WeChat say that an order is paid."""
    order.refresh_from_db()
    payment = Payment.objects.filter(order=order).first() or open_payment(
        order_id=order.pk, openid=order.member.openid, at=at
    )
    state = {
        "out_trade_no": payment.out_trade_no,
        "trade_state": "SUCCESS",
        "transaction_id": f"42{payment.pk:026d}",
        "amount_fen": payment.amount_fen,
        "currency": "CNY",
        "payer_openid": payment.openid,
        "success_time": at,
        "appid": "wx",
        "mchid": "19",
    }
    return confirm_payment(state=PaymentState(**state | kw), at=at)


def deliver(order: Order, at: datetime) -> datetime:
    """Ship, receive, and let the return period pass; return when it is over."""
    ship_order(order_id=order.pk, company="SF", tracking_no="SF1", by=STAFF, at=at)
    complete_order(order_id=order.pk, by=order.member.actor, at=at + timedelta(days=2))
    over = at + timedelta(days=9)
    mature_orders(at=over)
    return over


def refund(order: Order, goods_fen: int, at: datetime, freight_fen: int = 0) -> Refund:
    """Give money back for the order's only line, through to WeChat's SUCCESS."""
    line = order.lines.get()
    row = request_refund(
        order_id=order.pk,
        lines=[RefundItem(line.pk, 0, goods_fen)],
        freight_fen=freight_fen,
        reason="不喜欢",
        by=STAFF,
        at=at,
    )
    approve_refund(refund_id=row.pk, by=STAFF, at=at)
    row.refresh_from_db()
    order.refresh_from_db()
    state = RefundState(
        out_refund_no=row.out_refund_no,
        out_trade_no=row.payment.out_trade_no if row.payment else "",
        refund_id=f"50{row.pk:026d}",
        status="SUCCESS",
        refund_fen=row.amount_fen,
        total_fen=order.paid_fen,
        success_time=at,
    )
    finish_refund(state=state, at=at)
    row.refresh_from_db()
    return row


def verify(promoter: Promoter, at: datetime) -> None:
    """Let a promoter submit a well-formed identity, accepted at once by the shop's policy."""
    body = f"11010519900307{next(counter) % 1000:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    check = "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]
    submit_identity(member_id=promoter.member_id, name="王小明", id_number=body + check, at=at)


def withdraw(promoter: Promoter, amount_fen: int, at: datetime) -> Withdrawal:
    """Ask for money and have it approved where it is reviewed."""
    request = request_withdrawal(promoter_id=promoter.pk, amount_fen=amount_fen, at=at)
    if request.approvals_needed:
        approve_request(request_id=request.pk, by=STAFF, at=at)
    return request.withdrawals.get()


def stands(promoter: Promoter) -> tuple[int, int, int, int]:
    """Return frozen, available, withdrawing and owed, in fen."""
    b = balances(promoter.pk)
    return b.frozen_fen, b.available_fen, b.withdrawing_fen, b.owed_fen
