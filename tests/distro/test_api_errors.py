from __future__ import annotations

import logging

import pytest
from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import IntegrityError
from django.db.models import ProtectedError
from django.http import Http404
from django.urls import path
from rest_framework import exceptions
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from distro.errors import AmountOutOfRange, ConflictingContent, NotAllowed, StillRunning, TooMany

from .members import ADMIN, MemberView

pytestmark = pytest.mark.urls(__name__)
handler404 = "distro.api.errors.page_not_found"
handler500 = "distro.api.errors.server_error"
RAISED = []


class RaisingView(MemberView):
    permission_classes = (AllowAny,)

    def get(self, request):
        raise RAISED[0]

    def post(self, request):
        return Response(request.data)


class SignedInView(MemberView):
    def get(self, request):
        return Response()


def broken_page(request):
    raise ValueError("secret 13812345678")


urlpatterns = [
    ADMIN,
    path("api/v1/raise", RaisingView.as_view()),
    path("api/v1/member", SignedInView.as_view()),
    path("api/v1/page", broken_page),
    path("page", broken_page),
]


@pytest.fixture
def raised(client):
    def get(error, **headers):
        RAISED[:] = [error]
        return client.get("/api/v1/raise", headers=headers)

    yield get
    RAISED.clear()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ConflictingContent(), 409, "conflicting_content"),
        (StillRunning(), 409, "still_running"),
        (NotAllowed(), 403, "not_allowed"),
        (TooMany(), 429, "too_many"),
        (Http404("No Order matches"), 404, "not_found"),
        (exceptions.NotFound(), 404, "not_found"),
        (PermissionDenied("because"), 403, "not_allowed"),
        (exceptions.PermissionDenied(), 403, "not_allowed"),
        (ProtectedError("Cannot delete Order 7", set()), 409, "still_referenced"),
        (exceptions.ParseError(), 400, "parse_error"),
        (exceptions.UnsupportedMediaType("text/x"), 415, "unsupported_media_type"),
        (ValidationError("no"), 400, "invalid"),
    ],
)
def test_every_refusal_has_one_shape(raised, error, status, code):
    answer = raised(error)
    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message", "fields"}
    assert answer.json()["code"] == code
    assert answer.json()["message"]


def test_a_refusal_about_a_field_names_it(raised):
    answer = raised(AmountOutOfRange(field="price_fen", minimum=1, maximum=9))
    text = "The amount must be a whole number of fen from 1 to 9."
    english = raised(RAISED[0], **{"Accept-Language": "en"}).json()
    assert answer.status_code == 400
    assert english == {
        "code": "amount_out_of_range", "message": text, "fields": {"price_fen": [text]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("detail", "fields"),
    [
        ({"a": ["x", "y"]}, {"a": ["x", "y"]}),
        ({"a": {"b": ["x"]}}, {"a.b": ["x"]}),
        ({"lines": [{}, {"sku": ["x"]}]}, {"lines.1.sku": ["x"]}),
        ([{"sku": ["x"]}], {"0.sku": ["x"]}),
        (["x"], {"non_field_errors": ["x"]}),
        ("x", {"non_field_errors": ["x"]}),
        ({"a": "x"}, {"a": ["x"]}),
    ],
)
def test_messages_are_laid_flat(raised, detail, fields):
    assert raised(ValidationError(detail)).json()["fields"] == fields


def test_a_models_own_complaint_is_a_400(raised):
    answer = raised(ModelValidationError({"rate_bps": ["too high"]}))
    assert (answer.status_code, answer.json()["fields"]) == (400, {"rate_bps": ["too high"]})


def test_a_throttled_caller_learns_how_long_to_wait(raised):
    answer = raised(exceptions.Throttled(wait=12.3))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "13")
    assert answer.json()["code"] == "too_many"


def test_a_caller_without_a_login_gets_a_401(client):
    answer = client.get("/api/v1/member")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_refused_login_is_told_how_to_log_in(raised):
    class TokenGone(NotAllowed):
        status = 401

    answer = raised(TokenGone())
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_broken_json_and_wrong_methods_have_the_shape_too(client):
    answer = client.post("/api/v1/raise", "{", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
    answer = client.delete("/api/v1/raise")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("error", [ValueError("secret 1"), IntegrityError("secret 2")])
def test_what_nobody_foresaw_gives_no_details_and_is_logged(raised, client, caplog, error):
    client.raise_request_exception = False
    answer = raised(error)
    assert (answer.status_code, answer.json()["code"]) == (500, "server_error")
    assert "secret" not in answer.content.decode()
    (line,) = [line for line in caplog.records if line.levelno == logging.ERROR]
    assert line.exc_info[1] is error


def test_what_nobody_foresaw_reaches_a_test(raised):
    with pytest.raises(ValueError, match="secret"):
        raised(ValueError("secret"))


def test_an_unknown_address_of_the_api_has_the_shape(client):
    answer = client.get("/api/v1/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_error_outside_the_views_has_the_shape(client):
    client.raise_request_exception = False
    answer = client.get("/api/v1/page")
    assert (answer.status_code, answer.json()["code"]) == (500, "server_error")
    assert "secret" not in answer.content.decode()


def test_pages_for_people_stay_pages(client):
    client.raise_request_exception = False
    assert client.get("/page").headers["Content-Type"].startswith("text/html")
    assert client.get("/nothing").headers["Content-Type"].startswith("text/html")


def test_answers_carry_the_name_of_the_request(client):
    given = client.get("/api/v1/nothing", headers={"X-Request-ID": "proxy-0001"})
    assert given.headers["X-Request-ID"] == "proxy-0001"
    for bad in ("", "short", "x" * 65, "with space 1", "<script>123"):
        made = client.get("/api/v1/nothing", headers={"X-Request-ID": bad}).headers["X-Request-ID"]
        assert len(made) == 32
        assert made != bad
