"""Rows for tests, as small as they may be; every test names what matters to it."""

from __future__ import annotations

import itertools
import secrets
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from orders.models import Category, Order, OrderLine, Product, Sku
from referrals.bulk import attach
from referrals.models import Agreement, Member, Promoter, ReferralPolicy, ShareLink
from referrals.rules.codes import new_code
from referrals.rules.evidence import text_hash

AT = datetime(2026, 11, 2, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))  # as the fixture `at`
counter = itertools.count(1)


def make_member(**kw: Any) -> Member:
    n = next(counter)
    return Member.objects.create(**{"no": f"M{n:07d}", "openid": f"o{n:07d}", "joined_at": AT} | kw)


def make_sku(price_fen: int = 10_000, stock: int = 100, **kw: Any) -> Sku:
    n = next(counter)
    if "product" not in kw:
        category = kw.pop("category", None) or Category.objects.create(name=f"Category {n}")
        kw["product"] = Product.objects.create(
            code=f"P{n}", title=f"Product {n}", category=category, created_at=AT
        )
    return Sku.objects.create(**{"code": f"S{n}", "price_fen": price_fen, "stock": stock} | kw)


def make_order(member: Member | None = None, paid_fen: int = 10_000, **kw: Any) -> Order:
    """Make a paid order of one line, as a row: no fact is told, nothing is attributed."""
    n, sku = next(counter), kw.pop("sku", None) or make_sku(price_fen=paid_fen)
    amounts = {"goods_fen": paid_fen, "paid_fen": paid_fen + kw.get("freight_fen", 0)}
    times = {"placed_at": AT, "paid_at": AT, "pay_before": AT + timedelta(minutes=30)}
    fields = {"number": f"D{n:07d}", "member": member or make_member(), "status": "paid"}
    order = Order.objects.create(**fields | amounts | times | kw)
    OrderLine.objects.create(
        order=order, line_no=1, sku=sku, sku_code=sku.code, title=str(sku), quantity=1,
        price_fen=order.goods_fen, goods_fen=order.goods_fen, discount_fen=order.discount_fen,
        paid_fen=order.goods_fen - order.discount_fen,
    )  # fmt: skip
    return order


def make_promoter(parent: Promoter | None = None, **kw: Any) -> Promoter:
    """Make a promoter as an approval does, without an application: attached, pending if below."""
    member, at = kw.pop("member", None) or make_member(), kw.pop("at", AT)
    code = kw.pop("code", None) or new_code(secrets.choice)
    with transaction.atomic():
        parent_id = parent.pk if parent else None
        pk = attach(member_id=member.pk, parent_id=parent_id, code=code, at=at)
    if kw:
        Promoter.objects.filter(pk=pk).update(**kw)
    return Promoter.objects.get(pk=pk)


def make_link(member: Member | None = None, **kw: Any) -> ShareLink:
    code = new_code(secrets.choice)
    owner = member or make_promoter().member
    return ShareLink.objects.create(**{"code": code, "member": owner, "created_at": AT} | kw)


def make_agreement(body: str = "Share honestly.", **kw: Any) -> Agreement:
    """Make a published agreement that is in force at AT."""
    n, early = next(counter), AT - timedelta(days=30)
    fields = {"code": "promoter", "version": n, "title": "Promoter agreement", "body": body}
    fields |= {"worsening": False}
    times = {"effective_from": early, "published_at": early}
    return Agreement.objects.create(**fields | times | {"body_sha256": text_hash(body)} | kw)


def make_policy(**kw: Any) -> ReferralPolicy:
    """Make the referral policy in force at AT; each call is newer than the one before."""
    start = AT - timedelta(days=30) + timedelta(seconds=next(counter))
    return ReferralPolicy.objects.create(**{"effective_from": start} | kw)
