"""Reading a file of relations into memory: about 300 bytes a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import islice, product
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from django.utils.translation import gettext as _

from distro.importing.cells import Fault, Wrong, read_text, read_time
from distro.importing.reading import BLANKS, Cells, Line, open_lines
from referrals.importing.columns import CODE_MAX, COLUMNS, NO, NUMBER_MAX, YES
from referrals.rules.relations import GIVEN, NOBODY, REFUSED, Relations

FIELDS = tuple(column.field for column in COLUMNS)
NO_SURPLUS = ["", ""]
TOLD_EVERY = 10_000  # rows
EVEN_DAYS_FROM = 1992  # the first year in which no day in China had 23 or 25 hours

PLAIN_PROMOTER = {word: word in YES for word in YES | NO}

Wrongs = list[tuple[str, str]]  # (field, reason)
Progress = Callable[[str, int], None]  # what is done, how much more of it


@cache
def seconds_of_day() -> dict[str, int]:
    """Return what each time of day, written " 23:59:59", is in seconds."""
    parts = range(24), range(60), range(60)
    texts = (f" {hour:02}:{minute:02}:{second:02}" for hour, minute, second in product(*parts))
    return {text: number for number, text in enumerate(texts)}


class Said(NamedTuple):
    """What a row says of its person."""

    inviter: int
    promoter: tuple[bool, str]  # whether he is one, and his number if it is given
    joined_at: int


class Reading:
    """What a file says, and what is wrong with its rows."""

    def __init__(self, now: datetime) -> None:
        self.encoding = ""
        self.rows = 0
        self.repeated = 0  # rows that say what an earlier one said
        self.relations = Relations()
        self.faults: list[tuple[str, Fault]] = []  # with the number of the row's person
        self._owners: dict[str, int] = {}  # of the promoter nos. that the file gives
        self._disputed: set[int] = set()  # persons whose readable rows contradict another one
        self.now = now.timestamp()
        self.midnights: dict[str, int] = {}  # of the days that the file names

    def take(self, line: int, cells: Sequence[str]) -> None:
        """Enter one row, or note what is wrong with it."""
        self.rows += 1
        number, person, wrong = cells[0], None, []
        try:
            person = self._person(number)
            above, promoter = self._inviter(cells[1]), self._promoter(cells[2])
            said = Said(above, promoter, self._moment(cells[3]))
            if cells[4]:
                wrong = [("", _("has more cells than the first line; is a comma quoted?"))]
            else:
                wrong = self._enter(line, number, person, said)
        except Wrong:
            person, wrong = self._wrong_cells(cells)
        if wrong:
            self._refuse(line, number, person, wrong)

    def _wrong_cells(self, cells: Sequence[str]) -> tuple[int | None, Wrongs]:
        """Return the person of a row, if its number can be read, and everything wrong."""
        wrong: Wrongs = []
        readers = self._person, self._inviter, self._promoter, self._moment
        for field, read, text in zip(FIELDS, readers, cells):
            try:
                read(text)
            except Wrong as reason:
                wrong.append((field, str(reason)))
        return self.relations.persons.get(cells[0]), wrong

    def _person(self, text: str) -> int:
        known = self.relations.persons.get(text)
        if known is not None:  # the text was looked at before
            return known
        if not text:
            raise Wrong(_("must not be empty"))
        return self.relations.person(read_text(text, most=NUMBER_MAX))

    def _inviter(self, text: str) -> int:
        return self._person(text) if text else NOBODY

    def _promoter(self, text: str) -> tuple[bool, str]:
        word = text.lower()
        if word in NO:
            return False, ""
        return True, "" if word in YES else read_text(text, most=CODE_MAX)

    def _moment(self, text: str) -> int:
        """Return seconds since 1970; a day is looked at only once."""
        midnight, seconds = self.midnights.get(text[:10]), seconds_of_day().get(text[10:])
        if midnight is None or seconds is None:
            if not text:
                raise Wrong(_("must not be empty"))
            time = read_time(text)
            midnight = int(time.replace(hour=0, minute=0, second=0).timestamp())
            seconds = int(time.timestamp()) - midnight
            if time.year >= EVEN_DAYS_FROM:
                self.midnights[text[:10]] = midnight
        if midnight + seconds > self.now:
            raise Wrong(_("lies in the future"))
        return midnight + seconds

    def _enter(self, line: int, number: str, person: int, said: Said) -> Wrongs:
        """Enter a readable row; return what contradicts another one."""
        relations, code = self.relations, said.promoter[1]
        if relations.state[person] == GIVEN or person in self._disputed:
            return self._again(line, number, person, said)
        relations.line[person] = line  # unless an unreadable row was before, for the first time
        if code and self._owners.setdefault(code, person) != person:
            self._disputed.add(person)
            owner = relations.line[self._owners[code]]
            return [
                ("promoter", _("belongs to another member, on line %(line)s") % {"line": owner})
            ]
        relations.state[person] = GIVEN
        relations.inviter[person], relations.joined[person] = said.inviter, said.joined_at
        relations.promotes[person] = said.promoter[0]
        if code:
            relations.codes[person] = code
        return []

    def _again(self, line: int, number: str, person: int, said: Said) -> Wrongs:
        """Judge a second row of a person: of two that differ nobody knows which is right."""
        relations = self.relations
        promoter = (bool(relations.promotes[person]), relations.codes.get(person, ""))
        before = Said(relations.inviter[person], promoter, relations.joined[person])
        first, state = relations.line[person], relations.state[person]
        differ = [name for name, old, new in zip(Said._fields, before, said) if old != new]
        if state != GIVEN:
            return [("member", _other(first))]
        if differ:
            self._disputed.add(person)
            self._refuse(first, number, person, [(differ[0], _other(line))])
            return [(differ[0], _other(first))]
        self.repeated += 1
        return []

    def _refuse(self, line: int, number: str, person: int | None, wrong: Wrongs) -> None:
        """Note a faulty row; its person stays out, unless another row brings him in."""
        self.faults += [(number, Fault(line, field, reason)) for field, reason in wrong]
        if person is not None and self.relations.line[person] in (0, line):
            self.relations.line[person] = line
            self.relations.state[person] = REFUSED


def _other(line: int) -> str:
    return _("line %(line)s is about the same member and differs") % {"line": line}


def read_relations(path: Path, *, now: datetime, progress: Progress) -> Reading:
    """Read a whole file.

    Raises FileNotReadable, FileEmpty, ColumnMissing, ColumnTwice.
    """
    reading = Reading(now)
    with open_lines(path, COLUMNS) as (encoding, fields, lines):
        reading.encoding = encoding
        rows = _five_cells(fields, lines)
        while some := list(islice(rows, TOLD_EVERY)):
            take_plain(reading, some)
            progress("rows", len(some))
    return reading


def take_plain(reading: Reading, rows: Sequence[tuple[int, Cells]]) -> None:
    """Do what take() does, several times as fast, for rows without anything special."""
    relations, midnights, seconds = reading.relations, reading.midnights, seconds_of_day()
    persons, line_of, inviter_of = relations.persons, relations.line, relations.inviter
    joined_of, state, promotes = relations.joined, relations.state, relations.promotes
    for line, cells in rows:
        number, inviter, promoter, joined, surplus = cells
        person, above = persons.get(number), persons.get(inviter) if inviter else NOBODY
        midnight, second = midnights.get(joined[:10]), seconds.get(joined[10:])
        if (
            surplus
            or midnight is None
            or second is None
            or midnight + second > reading.now
            or promoter not in PLAIN_PROMOTER
            or (not _is_plain(number) if person is None else line_of[person])
            or (above is None and not _is_plain(inviter))
        ):
            reading.take(line, cells)
            continue
        if person is None:
            person = relations.person(number)
        if above is None:
            above = relations.person(inviter)
        line_of[person], inviter_of[person], joined_of[person] = line, above, midnight + second
        state[person], promotes[person] = GIVEN, PLAIN_PROMOTER[promoter]
        reading.rows += 1


def _is_plain(number: str) -> bool:
    """Say whether a number is letters and digits only: no formula, not rounded, not too long."""
    return number.isalnum() and len(number) <= NUMBER_MAX


def _five_cells(fields: Sequence[str], lines: Iterator[Line]) -> Iterator[tuple[int, Cells]]:
    """Give the cells of our columns by row, and in a fifth what stands beyond the last column."""
    width = len(fields)
    # A column that the file has not is read from the empty cell behind all others.
    places = [fields.index(field) if field in fields else width for field in FIELDS]
    pick = itemgetter(*places, width + 1)
    for number, cells in lines:
        row = [cell.strip(BLANKS) for cell in cells]
        if len(row) != width:
            row = [*row[:width], *[""] * (width - len(row)), "", "".join(row[width:])]
        else:
            row += NO_SURPLUS
        if any(row):
            yield number, pick(row)
