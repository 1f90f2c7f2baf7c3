"""The Celery application: `celery -A distro worker` and `celery -A distro beat`."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "distro.settings")

app = Celery("distro")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Otherwise a thread other than the importing one gets Celery's empty default application.
app.set_default()
