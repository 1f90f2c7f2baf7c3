"""The one way a row's status changes, with its history."""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from django.db.models import Model, QuerySet

from distro.actors import Actor
from distro.errors import IllegalTransition
from distro.locks import require_transaction
from distro.models import StateChange
from distro.prepared import keeping_plans

# Written with every step of everything; the ORM takes several times as long to say the same.
STEP = """
    INSERT INTO distro_statechange
        (model, object_id, from_status, to_status, actor_kind, actor_id, why, at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""


def advance(
    row: Model, to: str, *, by: Actor, at: datetime, why: str = "", **changes: object
) -> None:
    """Move a row to the state `to` with its other changes, safe against a concurrent move.

    The row's model has a field `status` and the complete map TRANSITIONS. Afterwards the row shows
    what was written. Raises IllegalTransition, also when another worker moved it first.
    """
    require_transaction("advance()")
    old: str = row.status  # type: ignore[attr-defined]
    if to not in row.TRANSITIONS[old]:  # type: ignore[attr-defined]
        raise _refusal(row, old, to)
    rows = type(row)._base_manager.filter(pk=row.pk, status=old)
    if rows.update(status=to, **changes) != 1:
        raise _refusal(row, old, to)
    moment = connection.ops.adapt_datetimefield_value(at)
    with keeping_plans() as cursor:
        step = [_label(row), row.pk, str(old), str(to), by.kind, by.id, why, moment]
        cursor.execute(STEP, step)
    _show(row, {"status": to, **changes})


def _show(row: Model, changes: dict[str, object]) -> None:
    """Let the row in hand show what was written; ask the database only for what it computed."""
    computed = [name for name, value in changes.items() if hasattr(value, "resolve_expression")]
    for name in changes.keys() - computed:
        setattr(row, name, changes[name])
    if computed:
        row.refresh_from_db(fields=computed)


def history(row: Model) -> QuerySet[StateChange]:
    """Return the steps a row took, oldest first."""
    return StateChange.objects.filter(model=_label(row), object_id=row.pk).order_by("id")


def _label(row: Model) -> str:
    """Name the table's own model, also for a proxy."""
    model = row._meta.concrete_model
    assert model is not None
    return model._meta.label_lower


def _refusal(row: Model, old: str, to: str) -> IllegalTransition:
    field = row._meta.get_field("status")
    labels = dict(field.flatchoices)  # type: ignore[union-attr]
    return IllegalTransition(
        row=f"{row._meta.verbose_name} {row}",
        from_status=labels.get(old, old),
        to_status=labels.get(to, to),
    )
