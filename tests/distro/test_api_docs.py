from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.staticfiles import finders
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from distro import clock
from distro.api.idempotency import idempotent
from distro.api.pagination import page_of, paged
from distro.models import DemoClock, JobRun

from .members import MemberView


def test_the_schema_is_the_committed_file(client, settings, tmp_path):
    settings.BASE_DIR = tmp_path
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "openapi.yaml").write_text("openapi: 3.0.3\n")
    answer = client.get("/api/v1/schema")
    assert (answer.status_code, answer.content) == (200, b"openapi: 3.0.3\n")
    assert answer.headers["Content-Type"].startswith("application/yaml")


def test_without_the_file_there_is_no_schema(client, settings, tmp_path):
    settings.BASE_DIR = tmp_path
    answer = client.get("/api/v1/schema")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


class RunSerializer(serializers.ModelSerializer):
    class Meta:
        model = JobRun
        fields = ("id", "name")


class RunsView(MemberView):
    @paged(RunSerializer)
    def get(self, request):
        return page_of(request, JobRun.objects.all(), RunSerializer, column="started_at")

    @extend_schema(request=RunSerializer, responses={201: RunSerializer})
    @idempotent
    def post(self, request):
        return Response(status=201)


@pytest.fixture
def schema():
    patterns = [path("api/v1/runs", RunsView.as_view())]
    return SchemaGenerator(patterns=patterns).get_schema(request=None, public=True)


def test_the_schema_shows_pages_keys_and_refusals(schema):
    get, post = schema["paths"]["/api/v1/runs"]["get"], schema["paths"]["/api/v1/runs"]["post"]
    assert {p["name"] for p in get["parameters"]} == {"cursor", "limit"}
    page = schema["components"]["schemas"]["RunPage"]["properties"]
    assert page["results"]["items"] == {"$ref": "#/components/schemas/Run"}
    assert page["next"] == {"type": "string", "nullable": True}
    (key,) = post["parameters"]
    assert (key["name"], key["in"], key["required"]) == ("Idempotency-Key", "header", True)
    assert "201" in post["responses"]
    for operation in (get, post):
        content = operation["responses"]["default"]["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Refusal"}


def test_the_page_needs_no_other_host(client):
    answer = client.get("/api/v1/docs")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "/api/v1/schema" in page
    assert "http://" not in page.replace("http://testserver", "")
    assert "https://" not in page
    assert finders.find("drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js")


def post(client, body):
    return client.post("/api/v1/demo/clock", body, content_type="application/json")


def test_outside_a_demo_the_clock_is_not_there(client, db):
    assert post(client, {"seconds": 60}).status_code == 404
    assert client.get("/api/v1/demo/clock").status_code == 404
    assert not DemoClock.objects.exists()


def test_in_a_demo_the_clock_moves(client, db, settings):
    settings.DEMO_CLOCK = True
    before = clock.now()
    answer = post(client, {"seconds": 86400})
    assert answer.status_code == 200
    assert 86400 <= (clock.now() - before).total_seconds() < 86410
    assert abs(datetime.fromisoformat(answer.json()["now"]) - clock.now()) < timedelta(seconds=10)


@pytest.mark.parametrize("seconds", [-1, 1.5, "x", None, 10**12])
def test_the_demo_clock_takes_nothing_else(client, db, settings, seconds):
    settings.DEMO_CLOCK = True
    answer = post(client, {"seconds": seconds})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert list(answer.json()["fields"]) == ["seconds"]
    assert not DemoClock.objects.exists()


def test_every_list_is_described_as_the_page_it_is():
    """Lists without pages are short by nature: the shelves, and the kinds of messages."""
    described = SchemaGenerator().get_schema(request=None, public=True)
    plain = {
        (name, method)
        for name, operations in described["paths"].items()
        for method, operation in operations.items()
        for answer in operation["responses"].values()
        for content in answer.get("content", {}).values()
        if content["schema"].get("type") == "array"
    }
    assert plain == {
        ("/api/v1/categories", "get"),
        ("/api/v1/me/subscriptions", "get"),
        ("/api/v1/me/subscriptions", "post"),
    }
