from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.signing import Signer
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request

from distro.api.pagination import KeysetPagination, page_of
from distro.models import Job, JobRun

from .members import ADMIN, MemberView

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


class RunSerializer(serializers.ModelSerializer):
    class Meta:
        model = JobRun
        fields = ("id",)


class RunsView(MemberView):
    def get(self, request):
        return page_of(request, JobRun.objects.all(), RunSerializer, column="started_at")


class CountsView(MemberView):
    def get(self, request):
        return page_of(request, JobRun.objects.all(), RunSerializer, column="count")


urlpatterns = [ADMIN, path("runs", RunsView.as_view()), path("counts", CountsView.as_view())]


@pytest.fixture
def runs(at):
    """Seven runs, in pairs at the same moment, not in the order of their ids."""
    moments = [3, 1, 1, 2, 2, 3, 0]
    rows = [JobRun(name="x", count=m, started_at=at + timedelta(microseconds=m)) for m in moments]
    rows = JobRun.objects.bulk_create(rows)
    return [row.pk for row in sorted(rows, key=lambda r: (r.started_at, r.pk), reverse=True)]


@pytest.fixture
def get(client):
    return lambda address, **query: client.get(address, query, headers={"X-Member": "1"})


def walk(get, address, limit):
    pages, cursor = [], ""
    while cursor is not None:
        answer = get(address, limit=limit, **({"cursor": cursor} if cursor else {})).json()
        pages.append([row["id"] for row in answer["results"]])
        cursor = answer["next"]
    return pages


@pytest.mark.parametrize("address", ["/runs", "/counts"])
@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 100])
def test_walking_shows_every_row_once_newest_first(get, runs, address, limit):
    pages = walk(get, address, limit)
    assert [pk for page in pages for pk in page] == runs
    assert all(len(page) == limit for page in pages[:-1])


def test_rows_that_come_meanwhile_do_not_shift_the_pages(get, runs, at):
    first = get("/runs", limit=3).json()
    JobRun.objects.create(name="new", started_at=at + timedelta(days=1))
    JobRun.objects.filter(pk=runs[0]).delete()
    second = get("/runs", limit=3, cursor=first["next"]).json()
    assert [row["id"] for row in second["results"]] == runs[3:6]


def test_twenty_is_the_default_and_an_empty_list_a_page(get, at):
    assert get("/runs").json() == {"results": [], "next": None}
    JobRun.objects.bulk_create([JobRun(name="x", started_at=at) for _ in range(21)])
    answer = get("/runs").json()
    assert len(answer["results"]) == 20
    assert answer["next"]


def test_a_page_costs_one_query(get, runs, django_assert_num_queries):
    with django_assert_num_queries(1):
        get("/runs", limit=3)


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "x", "1.5", "1e1", "９", "99999999999999999999"]
)
def test_a_limit_out_of_range_is_refused(get, runs, limit):
    answer = get("/runs", limit=limit)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_limit")
    assert "limit" in answer.json()["fields"]


@pytest.mark.parametrize(
    "cursor", ["x", "AAAA", "W10.x", "\x00", "é", "." * 50, "null", "a" * 5000]
)
def test_a_cursor_that_was_made_up_is_refused(get, runs, cursor):
    answer = get("/runs", cursor=cursor)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


def test_an_altered_cursor_is_refused(get, runs):
    cursor = get("/runs", limit=1).json()["next"]
    assert get("/runs", cursor=cursor[:-1]).status_code == 400
    assert get("/runs", cursor="A" + cursor).status_code == 400


def test_a_cursor_of_another_list_is_refused(get, runs):
    cursor = get("/runs", limit=1).json()["next"]
    assert get("/counts", cursor=cursor).json()["code"] == "bad_cursor"
    signed = Signer(sep=".").sign_object([1, 2])
    assert get("/runs", cursor=signed).json()["code"] == "bad_cursor"


def test_a_list_may_be_of_rows_without_numbers(rf, at):
    class ByNext(KeysetPagination):
        column = "next_at"

    for name in ("a", "b", "c"):
        Job.objects.create(name=name, created_at=at, next_at=at)
    pages = ByNext()
    first = pages.paginate_queryset(Job.objects.all(), Request(rf.get("/", {"limit": "2"})))
    cursor = pages.get_paginated_response([]).data["next"]
    rest = pages.paginate_queryset(Job.objects.all(), Request(rf.get("/", {"cursor": cursor})))
    assert [job.name for job in first + rest] == ["c", "b", "a"]


def test_the_schema_knows_the_shape_and_the_parameters():
    pages = KeysetPagination()
    schema = pages.get_paginated_response_schema({"type": "array"})
    assert set(schema["properties"]) == {"results", "next"}
    assert [p["name"] for p in pages.get_schema_operation_parameters(None)] == ["cursor", "limit"]
