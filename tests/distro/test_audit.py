from __future__ import annotations

from distro.actors import SYSTEM, Actor
from distro.api.middleware import REQUEST_ID
from distro.audit import record
from distro.models import AuditEntry, StaffUser


def test_an_entry_says_who_did_what_to_what_and_why(db, at):
    user = StaffUser.objects.create(username="ann")
    record(by=user.actor, action="plan.publish", target=user, reason="new year",
           detail={"version": 2}, at=at)  # fmt: skip
    entry = AuditEntry.objects.get()
    assert (entry.actor_kind, entry.actor_id) == ("staff", user.pk)
    assert (entry.action, entry.target) == ("plan.publish", f"distro.staffuser:{user.pk}")
    assert (entry.reason, entry.detail, entry.at) == ("new year", {"version": 2}, at)
    assert entry.request_id == ""


def test_an_entry_carries_the_request_and_a_plain_target(db, at):
    token = REQUEST_ID.set("request-0001")
    try:
        record(by=SYSTEM, action="export.orders", target="orders.csv", at=at)
    finally:
        REQUEST_ID.reset(token)
    entry = AuditEntry.objects.get()
    assert (entry.request_id, entry.target, entry.detail) == ("request-0001", "orders.csv", {})


def test_actors_have_names():
    assert str(Actor("staff", 3)) == "staff:3"
    assert str(SYSTEM) == "system:0"
