"""What the tests of joining have in common."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from distro.actors import Actor
from referrals import selectors
from referrals.models import Agreement, Application, InviteCode, LegalOverride, Member
from referrals.services.agreements import Evidence
from referrals.services.invites import make_invite
from referrals.services.overrides import approve_override, open_override
from referrals.services.promoters import apply_to_promote

STAFF, SECOND = Actor("staff", 1), Actor("staff", 2)
DAY = timedelta(days=1)
DOCUMENT = "ab" * 32
EVIDENCE = Evidence(
    ip="203.0.113.77", user_agent="WeChat", client_time="2026-11-02T10:00:00+08:00",
    app_version="1.0", scene="1001", page_path="pages/promoter/join",
)  # fmt: skip


def apply(
    member: Member, at: datetime, agreement: Agreement | None = None, **kw: Any
) -> Application:
    agreement = agreement or selectors.current_agreement(at)
    facts: dict[str, Any] = {"agreement_id": agreement.pk, "body_sha256": agreement.body_sha256}
    facts |= {"evidence": EVIDENCE, "note": ""}
    return apply_to_promote(member=member, at=at, **facts | kw)


def invite(at: datetime, **kw: Any) -> InviteCode:
    return make_invite(
        **{"uses_max": 1, "expires_at": None, "note": "", "by": STAFF, "at": at} | kw
    )


def asked(at: datetime, **kw: Any) -> LegalOverride:
    facts: dict[str, Any] = {
        "subject": "purchase_gate", "reason": "Opinion of 2026-10-30", "document_sha256": DOCUMENT,
        "expires_at": at + 90 * DAY, "by": STAFF, "at": at,
    }  # fmt: skip
    return open_override(**facts | kw)


def override(at: datetime, **kw: Any) -> LegalOverride:
    return approve_override(override_id=asked(at, **kw).pk, by=SECOND, at=at)
