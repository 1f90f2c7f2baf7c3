"""The list of rejected rows, for who corrects the file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from django.utils.translation import gettext as _

from distro.csvfiles import cell
from distro.importing.cells import Fault

Rejects = list[tuple[str, Fault]]  # with the number of the row's person


def list_rejects(path: Path, rejects: Sequence[tuple[str, Fault]]) -> None:
    """Write line, member, field and reason of each fault, in the order of the lines."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([_("line"), _("member no."), _("field"), _("reason")])
        for number, fault in sorted(rejects, key=lambda reject: reject[1].line):
            writer.writerow([fault.line, cell(number), fault.field, cell(fault.reason)])
