from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.urls import path
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from distro import clock
from distro.api.idempotency import idempotent, prune
from distro.errors import NotAllowed
from distro.models import IdempotentRequest, Job

from .members import ADMIN, MemberView

pytestmark = pytest.mark.urls(__name__)
KEY = "key-0000001"


def work(name):
    Job.objects.create(name=name, created_at=clock.real_now(), next_at=clock.real_now())


def in_transaction():
    return connection.in_atomic_block and not connection.atomic_blocks[-1]._from_testcase


class OrderView(MemberView):
    parser_classes = (JSONParser, MultiPartParser)

    @idempotent
    def post(self, request, number=1):
        assert in_transaction()
        name = request.data["name"] if isinstance(request.data, dict) else request.data[0]
        work(f"{name}-{Job.objects.count()}")
        if name == "refuse":
            raise NotAllowed
        if name == "crash":
            raise ZeroDivisionError
        if name == "answer 400":
            return Response({"bad": 1}, status=400)
        if name == "slow":
            time.sleep(0.3)
        return Response({"name": name, "at": clock.real_now()}, status=201)

    def put(self, request):
        return self.post(request)


class PayView(MemberView):
    @idempotent(outside=True)
    def post(self, request):
        assert not in_transaction()
        row = IdempotentRequest.objects.get()
        assert row.status_code is None
        work(f"pay-{Job.objects.count()}")
        if request.data.get("name") == "refuse":
            raise NotAllowed
        if request.data.get("name") == "answer 400":
            return Response(status=400)
        if request.data.get("name") == "slow":
            time.sleep(0.3)
        return Response(status=204)


class OpenView(OrderView):
    permission_classes = (AllowAny,)


urlpatterns = [
    ADMIN,
    path("orders", OrderView.as_view()),
    path("orders/<int:number>", OrderView.as_view()),
    path("pay", PayView.as_view()),
    path("open", OpenView.as_view()),
    path(f"{'long/' * 60}<int:number>", OrderView.as_view()),
]


def post(body=None, *, key=KEY, address="/orders", member=1, client=None, **extra):
    headers = {"X-Member": str(member)} if member else {}
    headers |= {"Idempotency-Key": key} if key is not None else {}
    extra.setdefault("content_type", "application/json")
    body = {"name": "a"} if body is None else body
    return (client or Client()).post(address, body, headers=headers, **extra)


def done():
    return Job.objects.count()


def test_the_first_request_works_and_keeps_its_answer(db):
    answer = post()
    assert (answer.status_code, done()) == (201, 1)
    assert "Idempotency-Replayed" not in answer.headers
    row = IdempotentRequest.objects.get()
    assert (row.actor_kind, row.actor_id, row.method) == ("member", 1, "POST")
    assert (row.path, row.key, row.status_code) == ("/orders", KEY, 201)


def test_a_repeat_gets_the_same_answer_and_does_nothing(db):
    first, second = post(), post()
    assert (second.status_code, second.json()) == (201, first.json())
    assert second.headers["Idempotency-Replayed"] == "true"
    assert done() == 1


def test_the_order_of_the_body_does_not_matter(db):
    post('{"name": "a", "x": 1}')
    assert post('{"x":1,"name":"a"}').headers["Idempotency-Replayed"] == "true"
    assert done() == 1


@pytest.mark.parametrize("address", ["/orders", "/pay"])
def test_another_body_under_the_same_key_is_refused(db, address):
    post(address=address)
    answer = post({"name": "b"}, address=address)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert (done(), IdempotentRequest.objects.count()) == (1, 1)


def test_another_query_under_the_same_key_is_refused(db):
    post()
    assert post(address="/orders?x=1").status_code == 422
    assert done() == 1


@pytest.mark.parametrize(
    "other", [{"key": "key-0000002"}, {"member": 2}, {"address": "/orders/2"}], ids=str
)
def test_another_key_caller_or_address_is_another_request(db, other):
    post()
    assert "Idempotency-Replayed" not in post(**other).headers
    assert done() == 2


def test_long_addresses_are_told_apart(db):
    long = "/" + "long/" * 60
    assert post(address=f"{long}1").status_code == 201
    assert post(address=f"{long}2").status_code == 422
    assert post(address=f"{long}2", key="key-0000002").status_code == 201
    assert done() == 2


@pytest.mark.parametrize("address", ["/orders", "/pay"])
@pytest.mark.parametrize(
    "key", [None, "", "short", "x" * 65, "with space", "schlüssel1", "tab\tt12"]
)
def test_a_request_without_a_usable_key_is_refused(db, key, address):
    answer = post(key=key, address=address)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")
    assert (done(), IdempotentRequest.objects.count()) == (0, 0)


def test_a_key_belongs_to_somebody(db):
    answer = post(address="/open", member=None)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert done() == 0


@pytest.mark.parametrize("address", ["/orders", "/pay"])
@pytest.mark.parametrize(("name", "status"), [("refuse", 403), ("answer 400", 400)])
def test_a_refusal_is_not_kept(db, address, name, status):
    assert post({"name": name}, address=address).status_code == status
    assert not IdempotentRequest.objects.exists()
    assert post(address=address).status_code in (201, 204)


@pytest.mark.parametrize("name", ["refuse", "answer 400", "crash"])
def test_a_refusal_undoes_the_work(db, name):
    client = Client(raise_request_exception=False)
    assert post({"name": name}, client=client).status_code in (400, 403, 500)
    assert (done(), IdempotentRequest.objects.count()) == (0, 0)


def test_after_a_day_the_key_is_free(db):
    post()
    old = clock.real_now() - timedelta(hours=24)
    IdempotentRequest.objects.update(created_at=old)
    assert "Idempotency-Replayed" not in post({"name": "b"}).headers
    assert (done(), IdempotentRequest.objects.count()) == (2, 1)


def test_old_answers_are_pruned_and_no_others(db, at):
    post()
    post(key="key-0000002")
    IdempotentRequest.objects.filter(key=KEY).update(created_at=at - timedelta(hours=25))
    assert prune(at=at) == 1
    assert IdempotentRequest.objects.get().key == "key-0000002"


def test_the_kept_answer_is_not_readable_in_the_database(db):
    post({"name": "13812345678"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT answer FROM distro_idempotentrequest")
        assert "138" not in cursor.fetchone()[0]


def test_lists_and_files_are_compared_too(db):
    def send(content):
        file = SimpleUploadedFile("a.txt", content)
        headers = {"X-Member": "1", "Idempotency-Key": KEY}
        return Client().post("/orders", {"name": "a", "file": file}, headers=headers)

    assert send(b"one").status_code == 201
    assert send(b"one").headers["Idempotency-Replayed"] == "true"
    assert send(b"two").status_code == 422
    assert post(["x", 1], key="key-0000002").status_code == 201
    assert post([1, "x"], key="key-0000002").status_code == 422


def test_a_broken_body_is_refused(db):
    assert post("{").json()["code"] == "parse_error"
    assert not IdempotentRequest.objects.exists()


def test_http_work_runs_outside_a_transaction_and_keeps_its_answer(transactional_db):
    first, second = post(address="/pay"), post(address="/pay")
    assert (first.status_code, second.status_code, second.content) == (204, 204, b"")
    assert second.headers["Idempotency-Replayed"] == "true"
    assert done() == 1
    assert IdempotentRequest.objects.get().leased_until is None


def running(seconds):
    post(address="/pay")
    until = clock.real_now() + timedelta(seconds=seconds)
    IdempotentRequest.objects.update(status_code=None, answer="", leased_until=until)


def test_http_work_that_is_running_is_not_begun_again(transactional_db):
    running(30)
    answer = post(address="/pay")
    assert (answer.status_code, answer.json()["code"]) == (409, "still_running")
    assert done() == 1


def test_running_or_not_another_body_is_another_body(transactional_db):
    running(30)
    assert post({"name": "b"}, address="/pay").status_code == 422
    assert done() == 1


def test_http_work_of_a_killed_process_may_begin_again(transactional_db):
    running(-1)
    assert post(address="/pay").status_code == 204
    assert done() == 2
    assert post(address="/pay").headers["Idempotency-Replayed"] == "true"


def test_http_work_inside_a_transaction_is_our_bug(transactional_db):
    with pytest.raises(RuntimeError), transaction.atomic():
        post(address="/pay")
    assert done() == 0


@pytest.mark.postgres
@pytest.mark.parametrize("address", ["/orders", "/pay"])
def test_of_eight_requests_at_once_one_works(run_threads, address):
    answers = list(run_threads(8, lambda number: post({"name": "slow"}, address=address)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes[0] in (201, 204)
    assert set(codes[1:]) <= {codes[0], 409}
    assert (done(), IdempotentRequest.objects.count()) == (1, 1)
    fresh = [
        a for a in answers if a.status_code < 300 and not a.headers.get("Idempotency-Replayed")
    ]
    assert len(fresh) == 1


def test_at_once_on_any_database_the_work_is_done_once(run_threads):
    answers = list(run_threads(4, lambda number: post({"name": "slow"})))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert done() == 1
