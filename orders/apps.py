from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OrdersConfig(AppConfig):
    name = "orders"
    verbose_name = _("Orders")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from distro.facts import hear
        from orders import receivers, signals, tasks  # noqa: F401 - tasks register handlers

        for fact, receiver in (
            (signals.order_shipped, receivers.tell_buyer_on_order_shipped),
            (signals.order_refunded, receivers.tell_buyer_on_order_refunded),
            (signals.order_cancelled, receivers.tell_buyer_on_order_cancelled),
        ):
            hear(fact, receiver, uid=f"orders.{receiver.__name__}")
