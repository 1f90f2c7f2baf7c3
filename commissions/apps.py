from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CommissionsConfig(AppConfig):
    name = "commissions"
    verbose_name = _("Commissions")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from commissions import (
            receivers,
            receivers_accounts,
            receivers_grades,
            receivers_withdrawals,
        )

        receivers.connect()
        receivers_accounts.connect()
        receivers_grades.connect()
        receivers_withdrawals.connect()
