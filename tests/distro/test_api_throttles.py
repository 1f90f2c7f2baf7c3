from __future__ import annotations

import pytest
from django.core.cache import cache
from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from distro.api.throttles import ActorThrottle

from .members import ADMIN, MemberView

pytestmark = pytest.mark.urls(__name__)


class PlainView(MemberView):
    permission_classes = (AllowAny,)
    throttle_classes = (ActorThrottle,)

    def get(self, request):
        return Response()

    def post(self, request):
        return Response()


class MoneyView(PlainView):
    throttle_scope = "money"


urlpatterns = [ADMIN, path("plain", PlainView.as_view()), path("money", MoneyView.as_view())]


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()
    yield
    cache.clear()


def codes(client, address, times, *, method="get", member=None, ip="203.0.113.7"):
    headers = {"X-Member": str(member)} if member else {}
    call = getattr(client, method)
    return [call(address, headers=headers, REMOTE_ADDR=ip).status_code for _ in range(times)]


def test_a_caller_who_asks_too_often_is_refused(client, throttle):
    throttle("money", "2/min")
    assert codes(client, "/money", 3, member=1) == [200, 200, 429]
    answer = client.get("/money", headers={"X-Member": "1"})
    assert answer.json()["code"] == "too_many"
    assert 0 < int(answer.headers["Retry-After"]) <= 60


def test_each_caller_is_counted_alone_wherever_he_comes_from(client, throttle):
    throttle("money", "1/min")
    assert codes(client, "/money", 1, member=1, ip="203.0.113.7") == [200]
    assert codes(client, "/money", 1, member=1, ip="203.0.113.8") == [429]
    assert codes(client, "/money", 1, member=2, ip="203.0.113.7") == [200]


def test_who_is_not_signed_in_is_counted_by_address(client, throttle):
    throttle("money", "1/min")
    assert codes(client, "/money", 2) == [200, 429]
    assert codes(client, "/money", 1, ip="203.0.113.8") == [200]


def test_a_header_does_not_make_another_address(client, throttle, settings):
    throttle("money", "1/min")
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 0}
    headers = [{"X-Forwarded-For": ip} for ip in ("198.51.100.1", "198.51.100.2")]
    assert [client.get("/money", headers=h).status_code for h in headers] == [200, 429]


def test_without_a_scope_reads_and_writes_are_counted_apart(client, throttle):
    throttle("read", "1/min")
    throttle("write", "2/min")
    assert codes(client, "/plain", 2) == [200, 429]
    assert codes(client, "/plain", 3, method="post") == [200, 200, 429]


def test_a_scope_without_a_rate_has_no_limit(client):
    assert set(codes(client, "/money", 50)) == {200}


def test_no_address_stands_in_the_cache(client, throttle):
    throttle("money", "5/min")
    codes(client, "/money", 1)
    assert not [key for key in cache._cache if "203.0.113" in key]
    assert cache._cache
