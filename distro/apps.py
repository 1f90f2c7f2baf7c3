"""Start-up of the ground: checks, triggers, the Celery application."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.translation import gettext_lazy as _


class DistroConfig(AppConfig):
    """The ground that every other app stands on."""

    name = "distro"
    verbose_name = _("System")

    def ready(self) -> None:
        """Register the checks, the triggers to install, Celery's application for all threads."""
        import_module("distro.checks")
        import_module("distro.celery")
        import_module("distro.tasks")  # without a broker tasks run here, found by their names
        triggers = import_module("distro.triggers")
        # Once per migrate, not once per app; a data migration must be able to change rows.
        pre_migrate.connect(triggers.drop_before_migrate, self, dispatch_uid="drop guards")
        post_migrate.connect(triggers.install_after_migrate, self, dispatch_uid="install guards")
        roles = import_module("distro.roles")
        post_migrate.connect(roles.sync_after_migrate, dispatch_uid="rights of roles")
