"""Who of a file is here already, and who may not enter because of those above him."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from distro.bulkload import listed
from distro.importing.cells import Fault
from referrals.importing.reading import Reading
from referrals.models import Member, Promoter
from referrals.rules.relations import (
    GIVEN,
    KNOWN,
    NOBODY,
    PATH_MAX,
    REFUSED,
    Why,
    check_lines,
    path_from,
)

ASKED_AT_ONCE = 10_000
LONG_PATHS = 1_000  # faults that name the whole path; after so many they name its beginning
SHORT_PATH = 3

REASONS = {
    Why.CYCLE: gettext_noop("is invited by himself, in a circle: %(path)s"),
    Why.UNKNOWN: gettext_noop("is neither in the file nor here: %(path)s"),
    Why.REFUSED: gettext_noop("is rejected or has somebody above who is: %(path)s"),
    Why.YOUNGER: gettext_noop("joined later than whom he invited: %(path)s"),
}

Known = tuple[str, int, str | None, datetime, str | None]  # what the database says of a member


def recognise(reading: Reading) -> tuple[array[int], int]:
    """Find the persons who are here; return everybody's member id or 0, and how many rows agree.

    A row that differs from what is here is a fault: nobody is moved by an import.
    """
    relations, agreed = reading.relations, 0
    ids = array("q", [0]) * len(relations.line)
    imported = Member.objects.filter(external_no__isnull=False)
    numbers = relations.numbers() if imported.exists() else []
    for start in range(0, len(numbers), ASKED_AT_ONCE):
        for known in _members(numbers[start : start + ASKED_AT_ONCE]):
            person = relations.persons[known[0]]
            ids[person] = known[1]
            if relations.state[person] == GIVEN:
                differs = _difference(reading, person, known)
                agreed += not differs
                line = relations.line[person]
                reading.faults += [(known[0], Fault(line, *fault)) for fault in differs]
            relations.state[person] = KNOWN
            relations.joined[person] = int(known[3].timestamp())
    return ids, agreed


def _members(numbers: Sequence[str]) -> Iterator[Known]:
    rows: Any = Member.objects.filter(external_no__in=listed(numbers)).order_by()
    columns = "external_no", "pk", "inviter__external_no", "joined_at", "promoter__code"
    yield from rows.values_list(*columns).iterator()


def _difference(reading: Reading, person: int, known: Known) -> list[tuple[str, str]]:
    """Return the fields in which a row differs from the member who is here."""
    relations = reading.relations
    _number, _pk, inviter, joined_at, code = known
    above = relations.inviter[person]
    same_inviter = above == relations.persons.get(inviter or "", NOBODY)
    told = relations.codes.get(person, "")
    same_promoter = bool(relations.promotes[person]) == bool(code) and told in ("", code)
    same = {
        "inviter": same_inviter,
        "promoter": same_promoter,
        "joined_at": relations.joined[person] == int(joined_at.timestamp()),
    }
    why = _("differs from the member who is here; an import changes nobody")
    return [(field, why) for field, equal in same.items() if not equal]


def refuse_taken_codes(reading: Reading) -> None:
    """Refuse newcomers who want a promoter no. that somebody here has."""
    relations = reading.relations
    state = relations.state
    wanted = {code: one for one, code in relations.codes.items() if state[one] == GIVEN}
    codes = list(wanted)
    numbers: list[str] | None = None
    for start in range(0, len(codes), ASKED_AT_ONCE):
        rows = Promoter.objects.filter(
            code__in=listed(codes[start : start + ASKED_AT_ONCE])
        ).order_by()
        for code in rows.values_list("code", flat=True):
            person = wanted[code]
            numbers = numbers or relations.numbers()
            fault = Fault(relations.line[person], "promoter", _("belongs to a promoter here"))
            reading.faults.append((numbers[person], fault))
            state[person] = REFUSED


def refuse_lines(reading: Reading) -> None:
    """Refuse everybody whose inviters are unknown, refused, younger, or go round in a circle."""
    relations = reading.relations
    numbers: list[str] | None = None
    for person, why in check_lines(relations):
        numbers = numbers or relations.numbers()
        most = PATH_MAX if len(reading.faults) < LONG_PATHS else SHORT_PATH
        path = path_from(relations, person, most=most)
        names = " -> ".join("…" if one == NOBODY else numbers[one] for one in path)
        fault = Fault(relations.line[person], "inviter", _(REASONS[why]) % {"path": names})
        reading.faults.append((numbers[person], fault))
