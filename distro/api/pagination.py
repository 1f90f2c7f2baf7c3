"""Pages by position, not by number: as fast at the end of a long list as at its start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.core.signing import BadSignature, Signer
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, CharField

from distro.errors import DomainError

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
NEXT = {"type": "string", "nullable": True, "example": "WzE3XQ.hN2sT0x4"}
LIMIT = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}

F = TypeVar("F", bound=Callable[..., Any])


class BadCursor(DomainError):
    """The cursor is none that this list has given."""

    code = "bad_cursor"
    message = _("This cursor is not valid here; begin again without one.")
    status = 400


class BadLimit(DomainError):
    """The limit is no whole number in range."""

    code = "bad_limit"
    message = _("The limit must be a whole number from 1 to %(most)s.")
    status = 400


class KeysetPagination(BasePagination):
    """Newest first by (column, id); subclass it for another column, which is never NULL.

    A cursor is signed for its list and column: it can be neither made up nor carried over.
    """

    column = "created_at"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return one page; raise BadCursor, BadLimit."""
        limit = _limit(request.query_params.get("limit", str(LIMIT_DEFAULT)))
        signer = _signer(queryset.model, self.column)
        if cursor := request.query_params.get("cursor"):
            queryset = queryset.filter(self._after(queryset.model, signer, cursor))
        rows = list(queryset.order_by(f"-{self.column}", "-pk")[: limit + 1])
        self._next = self._cursor(signer, rows[limit - 1]) if len(rows) > limit else None
        return rows[:limit]

    def get_paginated_response(self, data: Any) -> Response:
        """Answer a page and where the next one begins."""
        return Response({"results": data, "next": self._next})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe the answer."""
        properties = {"results": schema, "next": NEXT}
        return {"type": "object", "required": ["results", "next"], "properties": properties}

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe the parameters."""
        return [
            {"name": "cursor", "in": "query", "schema": {"type": "string"}},
            {"name": "limit", "in": "query", "schema": LIMIT},
        ]

    def _cursor(self, signer: Signer, row: Model) -> str:
        field = type(row)._meta.get_field(self.column)
        return signer.sign_object([field.value_to_string(row), row.pk])  # type: ignore[union-attr]

    def _after(self, model: type[Model], signer: Signer, cursor: str) -> Q:
        try:
            text, pk = signer.unsign_object(cursor)
        except (BadSignature, ValueError):
            raise BadCursor(field="cursor") from None
        value = model._meta.get_field(self.column).to_python(text)  # type: ignore[union-attr]
        # The first condition alone lets the database begin in the middle of the index.
        older, same = Q(**{f"{self.column}__lt": value}), Q(pk__lt=pk)
        return Q(**{f"{self.column}__lte": value}) & (older | same)


def cursor_of(name: str, key: tuple[str, int]) -> str:
    """Return the cursor that stands for a row's key in the list of that name."""
    return Signer(salt=name, sep=".").sign_object(list(key))


def key_of(name: str, cursor: str) -> tuple[str, int]:
    """Return the key that a cursor of that list stands for; raise BadCursor."""
    try:
        text, pk = Signer(salt=name, sep=".").unsign_object(cursor)
    except (BadSignature, ValueError):
        raise BadCursor(field="cursor") from None
    return text, pk


class RankedPagination(KeysetPagination):
    """Pages of a list that a selector sorts by what it computes; a row's key is (text, id)."""

    def answer(
        self,
        request: Request,
        name: str,
        rows: Callable[[tuple[str, int] | None, int], Sequence[Any]],
        serializer: Callable[..., BaseSerializer[Any]],
    ) -> Response:
        """Answer one page; raise BadCursor, BadLimit.

        name: of the list and its order. rows: returns what follows a key, at most so many, each
        with its `key`.
        """
        limit = _limit(request.query_params.get("limit", str(LIMIT_DEFAULT)))
        cursor = request.query_params.get("cursor")
        page = rows(key_of(name, cursor) if cursor else None, limit + 1)
        self._next = cursor_of(name, page[limit - 1].key) if len(page) > limit else None
        return self.get_paginated_response(serializer(page[:limit], many=True).data)


def paged(serializer: type[BaseSerializer[Any]]) -> Callable[[F], F]:
    """Describe a view's method that answers page_of()."""
    fields = {"results": serializer(many=True), "next": CharField(allow_null=True)}
    page = inline_serializer(f"{serializer.__name__.removesuffix('Serializer')}Page", fields)
    cursor = OpenApiParameter("cursor", str, description="`next` of the page before.")
    return extend_schema(parameters=[cursor, OpenApiParameter("limit", LIMIT)], responses=page)


def page_of(
    request: Request,
    queryset: QuerySet[Any],
    serializer: Callable[..., BaseSerializer[Any]],
    *,
    column: str = "created_at",
) -> Response:
    """Answer one page of a queryset; for views that are not generic."""
    pages = KeysetPagination()
    pages.column = column
    rows = pages.paginate_queryset(queryset, request)
    return pages.get_paginated_response(serializer(rows, many=True).data)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= LIMIT_MAX):
        raise BadLimit(field="limit", most=LIMIT_MAX)
    return int(text)


def _signer(model: type[Model], column: str) -> Signer:
    return Signer(salt=f"{model._meta.label_lower}.{column}", sep=".")
