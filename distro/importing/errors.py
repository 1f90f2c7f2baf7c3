"""Refusals of a whole file, before anything of it is written."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError


class FileNotReadable(DomainError):
    code = "file_not_readable"
    message = _("The file cannot be read (%(reason)s). Save it as CSV in UTF-8 or as XLSX.")
    status = 400


class FileEmpty(DomainError):
    code = "file_empty"
    message = _("The file is empty; its first line must name the columns.")
    status = 400


class ColumnMissing(DomainError):
    code = "column_missing"
    message = _("These columns are missing: %(columns)s.")
    status = 400


class ColumnTwice(DomainError):
    code = "column_twice"
    message = _("The column %(column)s stands twice.")
    status = 400
