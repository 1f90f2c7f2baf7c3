"""The audit trail: append-only, one entry for each thing a person did that matters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Model

from distro.actors import Actor
from distro.api.middleware import REQUEST_ID
from distro.models import AuditEntry


def record(
    *,
    by: Actor,
    action: str,
    target: Model | str,
    reason: str = "",
    detail: dict[str, Any] | None = None,
    at: datetime,
) -> AuditEntry:
    """Write down who did what; part of the caller's transaction, if there is one.

    action: "noun.verb". target: the row, or a name for what is no row. detail: no personal data.
    """
    return AuditEntry.objects.create(
        actor_kind=by.kind,
        actor_id=by.id,
        action=action,
        target=name_of(target),
        reason=reason,
        detail=detail or {},
        request_id=REQUEST_ID.get(),
        at=at,
    )


def name_of(target: Model | str) -> str:
    """Return how a row is named in the trail: "orders.order:7"."""
    return target if isinstance(target, str) else f"{target._meta.label_lower}:{target.pk}"
