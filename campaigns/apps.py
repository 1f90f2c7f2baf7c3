from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CampaignsConfig(AppConfig):
    name = "campaigns"
    verbose_name = _("Campaigns")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from distro.facts import hear
        from orders import signals as orders
        from referrals.signals import member_joined

        receivers = import_module("campaigns.receivers")
        hear(member_joined, receivers.attribute_on_joined, "campaigns.attribute_on_joined")
        hear(orders.order_paid, receivers.mark_on_paid, "campaigns.mark_on_paid")
        hear(orders.order_matured, receivers.count_on_matured, "campaigns.count_on_matured")
        hear(
            orders.order_cancelled,
            receivers.return_coupon_on_cancelled,
            "campaigns.return_coupon_on_cancelled",
        )
        hear(
            orders.order_refunded,
            receivers.return_coupon_on_refunded,
            "campaigns.return_coupon_on_refunded",
        )
        hear(orders.order_refunded, receivers.drop_on_refunded, "campaigns.drop_on_refunded")
