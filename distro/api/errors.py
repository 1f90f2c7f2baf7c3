"""One shape for every refusal of the API: {"code", "message", "fields": {field: [messages]}}."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core import signals
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as ModelValidationError
from django.db.models import ProtectedError, RestrictedError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.log import log_response
from django.utils.translation import gettext_lazy as _
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error

from distro.errors import DomainError, NotAllowed, NotFound, TooMany

Fields = dict[str, list[str]]
API_PREFIX = "/api/"


class InvalidInput(DomainError):
    """Some of the input has a wrong shape; `fields` of the answer says which."""

    code = "invalid"
    message = _("Some of the input is not right.")
    status = 400


class Unreadable(DomainError):
    """The body is not what its content type says."""

    code = "parse_error"
    message = _("The body of the request cannot be read.")
    status = 400


class BodyTooLarge(DomainError):
    """The body has more bytes than a request needs."""

    code = "body_too_large"
    message = _("The body of the request is too large.")
    status = 413


class StillReferenced(DomainError):
    """Other rows need the row that was to be deleted."""

    code = "still_referenced"
    message = _("This is still in use and cannot be deleted.")


class ServerError(DomainError):
    """An error of ours; the log knows more than the answer."""

    code = "server_error"
    message = _("Something went wrong on our side; please try again later.")
    status = 500


# What Django and DRF raise, and the refusal of ours that says the same.
SAME: dict[type[Exception], type[DomainError]] = {
    Http404: NotFound,
    exceptions.NotFound: NotFound,
    PermissionDenied: NotAllowed,
    exceptions.PermissionDenied: NotAllowed,
    exceptions.Throttled: TooMany,
    exceptions.ParseError: Unreadable,
    RequestDataTooBig: BodyTooLarge,
    ProtectedError: StillReferenced,
    RestrictedError: StillReferenced,
}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """Answer whatever a view raised; what nobody foresaw is logged and gives no details."""
    headers = _headers(error, context)
    for raised, refusal in SAME.items():
        if isinstance(error, raised):
            return _response(refusal(), headers=headers)
    if isinstance(error, DomainError):
        return _response(error, headers=headers)
    if isinstance(error, ModelValidationError):
        error = exceptions.ValidationError(as_serializer_error(error))
    if isinstance(error, exceptions.ValidationError):
        return _response(InvalidInput(), fields=_fields(error.detail))
    if isinstance(error, exceptions.APIException):
        body = _body(str(error.default_code), str(error.detail))
        return Response(body, status=error.status_code, headers=headers)
    return _unforeseen(error, context["request"])


def _response(
    refusal: DomainError, *, fields: Fields | None = None, headers: dict[str, str] | None = None
) -> Response:
    body = _body(refusal.code, str(refusal), fields or _field_of(refusal))
    return Response(body, status=refusal.status, headers=headers)


def _body(code: str, message: str, fields: Fields | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, "fields": fields or {}}


def _field_of(refusal: DomainError) -> Fields:
    return {refusal.field: [str(refusal)]} if refusal.field else {}


def _headers(error: Exception, context: dict[str, Any]) -> dict[str, str]:
    """Return what the protocol asks for beside a 401 and a 429."""
    headers = {}
    challenge = getattr(error, "auth_header", None)
    if isinstance(error, DomainError) and error.status == 401:
        challenge = context["view"].get_authenticate_header(context["request"])
    if challenge:
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(wait)
    return headers


def _fields(detail: Any) -> Fields:
    """Flatten nested messages: {"lines": [{}, {"sku": [...]}]} to {"lines.1.sku": [...]}."""
    fields: Fields = {}
    for path, message in _messages(detail, ""):
        fields.setdefault(path or "non_field_errors", []).append(message)
    return fields


def _messages(detail: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _messages(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, dict | list)
            yield from _messages(inner, f"{path}.{index}".lstrip(".") if nested else path)
    else:
        yield path, str(detail)


def _unforeseen(error: Exception, request: Any) -> Response:
    """Log the error as Django would have done, and let a test client raise it."""
    response = _response(ServerError())
    signals.got_request_exception.send(sender=exception_handler, request=request)
    log_response(
        "Internal Server Error: %s",
        request.path,
        response=response,
        request=request._request,
        exception=error,
    )
    return response


# --- Outside the views of the API: no such address, errors in middleware ---------------------


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    if _in_api(request):
        return _json(InvalidInput())
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    if _in_api(request):
        return _json(NotAllowed())
    return defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    if _in_api(request):
        return _json(NotFound())
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500."""
    return _json(ServerError()) if _in_api(request) else defaults.server_error(request)


def _in_api(request: HttpRequest) -> bool:
    return request.path.startswith(API_PREFIX)


def _json(refusal: DomainError) -> JsonResponse:
    body = _body(refusal.code, str(refusal))
    return JsonResponse(body, status=refusal.status, json_dumps_params={"ensure_ascii": False})
