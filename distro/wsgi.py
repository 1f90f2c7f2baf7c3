"""The entry point of gunicorn."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from distro.checks import refuse_bad_combinations

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "distro.settings")

application = get_wsgi_application()
refuse_bad_combinations()
