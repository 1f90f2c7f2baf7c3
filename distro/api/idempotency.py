"""Requests that may be sent again: one key, one piece of work, one answer.

A request is known by its actor, method, path and key. Its answer is kept for a day. Refusals
are not kept: after one, the same key may be used again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial, wraps
from typing import Any, overload

from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from distro import clock
from distro.crypto import blind_index
from distro.errors import DomainError, StillRunning
from distro.models import IdempotentRequest

Method = Callable[..., Response]

KEPT = timedelta(hours=24)
LEASE = timedelta(seconds=60)  # of a request that speaks HTTP itself
KEY = re.compile(r"[\x21-\x7e]{8,64}")
PATH_CHARS = 200
HEADER = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 8, "maxLength": 64, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    required=True,
    description="Names this piece of work; send the same key again to repeat a lost request.",
)


class IdempotencyKeyMissing(DomainError):
    """The request has no usable key."""

    code = "idempotency_key_missing"
    message = _("Send an Idempotency-Key of 8 to 64 visible characters.")
    status = 400


class IdempotencyKeyReused(DomainError):
    """The key belongs to a request with other content."""

    code = "idempotency_key_reused"
    message = _("This Idempotency-Key was used for another request.")
    status = 422


@dataclass(frozen=True)
class Identity:
    """What makes two requests the same; the fields are those of the row."""

    actor_kind: str
    actor_id: int
    method: str
    path: str
    key: str

    def rows(self) -> QuerySet[IdempotentRequest]:
        """Return the row of this request, if there is one."""
        return IdempotentRequest.objects.filter(**asdict(self))


@overload
def idempotent(method: Method) -> Method: ...
@overload
def idempotent(*, outside: bool) -> Callable[[Method], Method]: ...
def idempotent(
    method: Method | None = None, *, outside: bool = False
) -> Method | Callable[[Method], Method]:
    """Do the work of a view's method once per Idempotency-Key, and repeat its answer.

    The answer is stored in the transaction of the work. With outside=True the method runs
    without a transaction, since it speaks HTTP: a lease of 60 s keeps a second request away, and
    after a crash the method may run again and has to bear it.
    """

    def decorate(method: Method) -> Method:
        @wraps(method)
        def once(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
            identity, content = _identity(request), _content_hash(request)
            work = partial(method, view, request, *args, **kwargs)
            run = _run_outside if outside else _run_inside
            return run(identity, content, work)

        return extend_schema(parameters=[HEADER])(once)

    return decorate(method) if method else decorate


def prune(*, at: datetime) -> int:
    """Delete the answers that are no longer repeated; return how many."""
    rows = IdempotentRequest.objects.filter(created_at__lt=at - KEPT)
    return rows._raw_delete(rows.db)


# --- The two ways to run --------------------------------------------------------------------


def _run_inside(identity: Identity, content: str, work: Callable[[], Response]) -> Response:
    with transaction.atomic():
        if row := _known(identity, content):
            return _replay(row)
        response = work()
        if response.status_code >= 400:
            transaction.set_rollback(True)
        else:
            row = IdempotentRequest(
                **asdict(identity), content_hash=content, created_at=clock.real_now()
            )
            row.status_code, row.answer = response.status_code, _text(response)
            row.save(force_insert=True)
    return response


def _run_outside(identity: Identity, content: str, work: Callable[[], Response]) -> Response:
    now = clock.real_now()
    with transaction.atomic(durable=True):  # committed: others have to see that it is running
        if row := _known(identity, content):
            return _replay(row)
        identity.rows().delete()  # what a crash left
        IdempotentRequest.objects.create(
            **asdict(identity), content_hash=content, created_at=now, leased_until=now + LEASE
        )
    mine = identity.rows().filter(leased_until=now + LEASE)
    try:
        response = work()
    except BaseException:
        mine.delete()
        raise
    if response.status_code >= 400:
        mine.delete()
    else:
        code = response.status_code
        mine.update(status_code=code, answer=_text(response), leased_until=None)
    return response


def _known(identity: Identity, content: str) -> IdempotentRequest | None:
    """Return the answered request under this key, None if the work is still to be done.

    Raises IdempotencyKeyReused, StillRunning.
    """
    _lock(identity)
    now = clock.real_now()
    identity.rows().filter(created_at__lte=now - KEPT).delete()
    row = identity.rows().first()
    if row is None:
        return None
    if row.content_hash != content:
        raise IdempotencyKeyReused
    if row.status_code is None and row.leased_until and row.leased_until > now:
        raise StillRunning
    return row if row.status_code is not None else None


def _lock(identity: Identity) -> None:
    """Keep a second request away until the end of the transaction, without making it wait.

    On SQLite the second one waits for the only writer. Raises StillRunning.
    """
    if connection.vendor != "postgresql":
        return
    digest = hashlib.sha256(repr(identity).encode()).digest()
    with connection.cursor() as cursor:
        number = int.from_bytes(digest[:8], "big", signed=True)
        cursor.execute("SELECT pg_try_advisory_xact_lock(CAST(%s AS bigint))", [number])
        if not cursor.fetchone()[0]:
            raise StillRunning


# --- What is compared and kept --------------------------------------------------------------


def _identity(request: Request) -> Identity:
    key = request.headers.get("Idempotency-Key", "")
    if not KEY.fullmatch(key):
        raise IdempotencyKeyMissing
    actor = getattr(request.user, "actor", None)
    if actor is None:
        raise NotAuthenticated
    return Identity(actor.kind, actor.id, str(request.method), request.path[:PATH_CHARS], key)


def _content_hash(request: Request) -> str:
    """Return a keyed hash of the body, whatever the order of its keys, and the whole address.

    Without the key nobody finds out a phone or ID number in a body by trying all of them.
    """
    body = request.data
    plain = dict(body.lists()) if isinstance(body, QueryDict) else body
    text = json.dumps([request.get_full_path(), plain], sort_keys=True, default=_digest_of_file)
    return blind_index("request", text)


def _digest_of_file(file: UploadedFile[bytes]) -> list[str | None]:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return [file.name, digest.hexdigest()]


def _text(response: Response) -> str:
    return JSONRenderer().render(response.data).decode()


def _replay(row: IdempotentRequest) -> Response:
    data = json.loads(row.answer) if row.answer else None
    headers = {"Idempotency-Replayed": "true"}
    return Response(data, status=row.status_code, headers=headers)
