"""Taking over who invited whom, and who promotes, from another system."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from django.db import IntegrityError, transaction

from distro import audit
from distro.actors import Actor
from distro.bulkload import listed, new_ids
from distro.locks import Lock, advisory
from referrals.bulk import importing as bulk
from referrals.errors_importing import ImportDisturbed
from referrals.importing.judging import recognise, refuse_lines, refuse_taken_codes
from referrals.importing.reading import Progress, Reading, read_relations
from referrals.importing.rejects import list_rejects
from referrals.models import Member, Promoter
from referrals.rules.codes import CODE_CHARS, MEMBER_NO_CHARS, check_character, texts_from
from referrals.rules.planting import Node, grow, plant
from referrals.rules.relations import KNOWN, NOBODY, Relations, by_age

CHUNK = 10_000  # rows written at once


@dataclass
class Totals:
    """What an import came to."""

    encoding: str
    rows: int
    members: int
    promoters: int
    known: int  # rows whose member is here just so, or stands in the file before
    rejected: int  # rows

    def __str__(self) -> str:
        return (
            f"imported: {self.members} members, {self.promoters} promoters;"
            f" skipped {self.known} known; rejected {self.rejected} of {self.rows} rows"
        )


def import_relations(
    *, path: Path, rejects: Path, by: Actor, at: datetime, progress: Progress
) -> Totals:
    """Import a file of relations in one transaction; who is here already is never changed.

    rejects: where the rejected rows are listed with line, field and reason.
    Raises FileNotReadable, FileEmpty, ColumnMissing, ColumnTwice, ImportDisturbed; nothing is
    written then.
    """
    reading = read_relations(path, now=at, progress=progress)
    try:
        with transaction.atomic():
            advisory(Lock.TREE_MOVE)  # uplines and labels are copied
            totals = _import(reading, at, progress)
            audit.record(
                by=by,
                action="relations.import",
                target=f"sha256:{_digest(path)}",
                detail=asdict(totals),
                at=at,
            )
    except IntegrityError:
        raise ImportDisturbed from None
    if reading.faults:
        list_rejects(rejects, reading.faults)
    return totals


def _import(reading: Reading, at: datetime, progress: Progress) -> Totals:
    """Judge everybody, then write those who are sound."""
    relations = reading.relations
    ids, agreed = recognise(reading)
    refuse_taken_codes(reading)
    refuse_lines(reading)
    order = by_age(relations)
    planting = plant(relations, order, _nearest(relations, order, ids))
    new = len(planting.new())
    progress("total", len(order) + new)
    unnamed = sum(1 for person in planting.person if person not in relations.codes)
    codes = _free_codes(relations, unnamed)  # now: a COPY lets nobody ask in between
    with bulk.fastest_way(len(order)) as alone:
        for person, pk in zip(order, new_ids(Member, len(order), alone=alone)):
            ids[person] = pk
        for count in bulk.insert_members(_members(relations, order, ids)):
            progress("written", count)
        nodes = grow(planting, new_ids(Promoter, new, alone=alone))
        rows = _promoters(relations, nodes, ids, iter(codes))
        for count in bulk.insert_promoters(rows, imported_at=at):
            progress("written", count)
    return Totals(
        encoding=reading.encoding,
        rows=reading.rows,
        members=len(order),
        promoters=new,
        known=agreed + reading.repeated,
        rejected=len({fault.line for _number, fault in reading.faults}),
    )


def _nearest(relations: Relations, order: Sequence[int], ids: Sequence[int]) -> dict[int, Node]:
    """Return the promoters whom newcomers come below, by the known person who leads there."""
    above = {relations.inviter[person] for person in order} - {NOBODY}
    known = [person for person in above if relations.state[person] == KNOWN]
    nodes = bulk.nearest_promoters([ids[person] for person in known])
    return {person: nodes[ids[person]] for person in known if ids[person] in nodes}


# --- Rows -----------------------------------------------------------------------------------


def _members(
    relations: Relations, order: Sequence[int], ids: Sequence[int]
) -> Iterator[bulk.NewMember]:
    numbers, nos = relations.numbers(), _random_texts(MEMBER_NO_CHARS)
    inviter, joined = relations.inviter, relations.joined
    for person, no in zip(order, nos):  # of 8e14; should two be equal the import is refused
        above = inviter[person]
        inviter_id = None if above == NOBODY else ids[above]
        yield ids[person], "M" + no, numbers[person], inviter_id, joined[person]


def _promoters(
    relations: Relations,
    nodes: Iterator[tuple[int, Node]],
    ids: Sequence[int],
    codes: Iterator[str],
) -> Iterator[bulk.NewPromoter]:
    for person, node in nodes:
        code = relations.codes.get(person) or next(codes)
        yield node, ids[person], code, relations.joined[person]


def _free_codes(relations: Relations, count: int) -> list[str]:
    """Return so many promoter nos. that nobody has, nor gets by the file."""
    free: set[str] = set()
    given = set(relations.codes.values())
    texts = _random_texts(CODE_CHARS - 1)
    while some := list(islice(texts, min(CHUNK, count - len(free)))):
        codes = {text + check_character(text) for text in some} - given
        rows = Promoter.objects.filter(code__in=listed(list(codes))).order_by()
        free |= codes - set(rows.values_list("code", flat=True))
    return list(free)


def _random_texts(length: int) -> Iterator[str]:
    while True:
        yield from texts_from(secrets.token_bytes(CHUNK * length), length)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
