"""Refusals of an import as a whole."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError


class ImportDisturbed(DomainError):
    code = "import_disturbed"
    message = _(
        "Somebody else wrote the same members or promoters meanwhile. Nothing was imported;"
        " run it again."
    )
