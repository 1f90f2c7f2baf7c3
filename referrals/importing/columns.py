"""The columns of a file of relations, by their Chinese and English titles."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.importing.reading import Column

COLUMNS = (
    Column("member", "会员编号", False, _("number of the person in the old system, unique")),
    Column("inviter", "邀请人编号", True, _("number of who brought him; empty if nobody")),
    Column("promoter", "推广员", True, _("yes, no or his promoter no.; empty is no")),
    Column("joined_at", "加入时间", False, _("2026-01-31 12:00:00, Beijing time")),
)
YES = {"yes", "y", "true", "1", "是"}
NO = {"", "no", "n", "false", "0", "否"}
NUMBER_MAX = 64  # characters
CODE_MAX = 32
