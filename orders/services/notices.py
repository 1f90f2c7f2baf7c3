"""WeChat's notifications, kept once each and acted on once."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from distro.models import WechatNotice
from distro.wechat.notices import Notice, payment_of, refund_of
from orders.services.paying import confirm_payment
from orders.services.refunding import finish_refund

logger = logging.getLogger(__name__)


def take_payment_notice(*, notice: Notice, at: datetime) -> str:
    """Act on a believed TRANSACTION.SUCCESS; return the outcome. Raises NoticeRefused."""
    state = payment_of(notice)
    if state.trade_state != "SUCCESS":
        logger.error("ALARM payment %s notified as %s", state.out_trade_no, state.trade_state)
        return handle_once(notice=notice, work=lambda: "not_paid", at=at)
    return handle_once(notice=notice, work=lambda: confirm_payment(state=state, at=at), at=at)


def take_refund_notice(*, notice: Notice, at: datetime) -> str:
    """Act on a believed REFUND.*; return the outcome. Raises NoticeRefused."""
    state = refund_of(notice)
    return handle_once(notice=notice, work=lambda: finish_refund(state=state, at=at), at=at)


def handle_once(*, notice: Notice, work: Callable[[], str], at: datetime) -> str:
    """Keep a notification under its id, do its work unless that was done, keep the outcome.

    It is kept before the work, so that it is there as evidence when the work fails. Deliveries
    of one notification wait for each other; different ones of one payment meet at its order.
    """
    WechatNotice.objects.get_or_create(
        notice_id=notice.id,
        defaults={
            "event_type": notice.event_type,
            "resource": json.dumps(notice.resource, ensure_ascii=False),
            "received_at": at,
        },
    )
    with transaction.atomic():
        row = WechatNotice.objects.select_for_update().get(notice_id=notice.id)
        if row.handled_at:
            return row.outcome
        row.outcome, row.handled_at = work(), at
        row.save(update_fields=["outcome", "handled_at"])
        return row.outcome
