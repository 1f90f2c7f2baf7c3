"""Who invited whom, as columns of numbers: whose line leads where, and who may not enter.

A person is the position at which his number was first mentioned. A million persons are a few
arrays of a million numbers, so that a whole history fits into memory.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

NOBODY = -1
PATH_MAX = 60  # persons that a path names
ROOM = 4_096  # persons for whom room is made at once


# What is known of a person.
MENTIONED = 0  # as somebody's inviter only
GIVEN = 1  # by a row of the file
KNOWN = 2  # in the database already
REFUSED = 3  # his row is faulty
SOUND = 4  # his row and everybody's above him are good


class Why(enum.Enum):
    """Why somebody's inviter keeps him out."""

    CYCLE = "cycle"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    YOUNGER = "younger"


@dataclass
class Relations:
    """The persons of a file, each a position in every column."""

    persons: dict[str, int] = field(default_factory=dict)  # by number, in order of mention
    inviter: array[int] = field(default_factory=lambda: array("q"))
    line: array[int] = field(default_factory=lambda: array("q"))  # 0: none
    joined: array[int] = field(default_factory=lambda: array("q"))  # seconds since 1970
    state: bytearray = field(default_factory=bytearray)
    promotes: bytearray = field(default_factory=bytearray)
    sound: array[int] = field(default_factory=lambda: array("q"))  # each after his inviter
    codes: dict[int, str] = field(default_factory=dict)  # the promoter nos. that the file gives

    def person(self, number: str) -> int:
        """Return the person of a number, a new one when it was never mentioned."""
        known = self.persons.get(number)
        if known is not None:
            return known
        person = self.persons[number] = len(self.persons)
        if person == len(self.line):
            self._widen()
        return person

    def _widen(self) -> None:
        """Make room for more persons; those who never come stay MENTIONED by nobody."""
        self.inviter.extend([NOBODY] * ROOM)
        self.line.frombytes(bytes(ROOM * self.line.itemsize))
        self.joined.frombytes(bytes(ROOM * self.joined.itemsize))
        self.state.extend(bytes(ROOM))
        self.promotes.extend(bytes(ROOM))

    def numbers(self) -> list[str]:
        """Return everybody's number, by person."""
        return list(self.persons)


def check_lines(relations: Relations) -> Iterator[tuple[int, Why]]:
    """Yield everybody whom his line keeps out, with the reason, and refuse him.

    Who is GIVEN ends as SOUND or REFUSED: SOUND needs an inviter who is older, and in the
    database or sound himself. The sound are gathered in `relations.sound`. Not recursive: a line
    may be a million long.
    """
    state, inviter, sound = relations.state, relations.inviter, relations.sound
    on_path = bytearray(len(state))
    for start in range(len(state)):
        path, person = [], start
        while person != NOBODY and state[person] == GIVEN and not on_path[person]:
            on_path[person] = 1
            path.append(person)
            person = inviter[person]
        if person != NOBODY and on_path[person] and state[person] == GIVEN:
            cut = path.index(person)
            for one in path[cut:]:
                state[one] = REFUSED
            for one in path[cut:]:
                yield one, Why.CYCLE
            del path[cut:]
        for one in reversed(path):
            if inviter[one] != NOBODY and (why := _objection(relations, one)):
                state[one] = REFUSED
                yield one, why
            else:
                state[one] = SOUND
                sound.append(one)


def _objection(relations: Relations, person: int) -> Why | None:
    """Say what is wrong with somebody's inviter, who has been judged himself."""
    above = relations.inviter[person]
    state = relations.state[above]
    if state == MENTIONED:
        return Why.UNKNOWN
    if state == REFUSED:
        return Why.REFUSED
    return Why.YOUNGER if relations.joined[above] > relations.joined[person] else None


def path_from(relations: Relations, person: int, *, most: int = PATH_MAX) -> list[int]:
    """Return the line from somebody upwards, to its end or back to himself.

    Of a longer one the first persons, then a NOBODY for those left out.
    """
    path = [person]
    while (above := relations.inviter[path[-1]]) != NOBODY:
        if len(path) == most:
            return [*path, NOBODY]
        path.append(above)
        if above == person:
            break
    return path


def by_age(relations: Relations) -> list[int]:
    """Return the sound persons, the oldest first and nobody before his inviter."""
    return sorted(relations.sound, key=relations.joined.__getitem__)  # stable
