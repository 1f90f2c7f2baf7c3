"""Where WeChat Pay tells us of payments and refunds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distro import clock
from distro.wechat.errors import NoticeRefused
from distro.wechat.notices import read_notice
from orders.services.notices import take_payment_notice, take_refund_notice

logger = logging.getLogger(__name__)


class NoticeView(APIView):
    """Believe a notification or refuse it; any other failure is a 500, so that WeChat repeats."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()
    take: ClassVar[Callable[..., str]]

    @extend_schema(exclude=True)
    def post(self, request: Request) -> Response:
        """Answer 200 for what was understood, whatever it said."""
        try:
            notice = read_notice(request.headers, request._request.body)
            outcome = type(self).take(notice=notice, at=clock.now())
        except NoticeRefused as refusal:
            logger.warning("notification refused: %s", refusal.reason)
            body = {"code": "FAIL", "message": refusal.reason}
            return Response(body, status=refusal.status)
        logger.info("notification %s: %s", notice.event_type, outcome)
        return Response({"code": "SUCCESS", "message": ""})


class PaymentNoticeView(NoticeView):
    """Payments."""

    take = staticmethod(take_payment_notice)


class RefundNoticeView(NoticeView):
    """Refunds."""

    take = staticmethod(take_refund_notice)
