"""The evidence file of one member's agreements: what he signed, when, how, and that it is whole."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.db import transaction

from distro import audit
from distro.actors import Actor
from referrals import selectors_joining
from referrals.models import AgreementAcceptance, Member
from referrals.rules.evidence import row_hash, text_hash
from referrals.services.agreements import hashed_content

SCHEMA = "agreement_evidence/1"
HOW_TO_CHECK = (
    "row_hash = SHA-256 of the UTF-8 JSON of `hashed` with sorted keys and no blanks;"
    " hashed.prev_row_hash = row_hash of the row before in the same agreement, empty for the"
    " first; agreement.body_sha256 = SHA-256 of agreement.body."
)


def agreement_evidence(*, member_id: int, by: Actor, at: datetime) -> bytes:
    """Return a JSON file of all a member signed, and record who took it."""
    with transaction.atomic():
        member = Member.objects.get(pk=member_id)
        rows = [_row(row) for row in selectors_joining.acceptances_of(member_id)]
        detail = {"rows": len(rows), "schema": SCHEMA}
        audit.record(by=by, action="agreement.evidence", target=member, detail=detail, at=at)
    made = {"schema": SCHEMA, "member": member.no, "made_at": at.isoformat(), "made_by": str(by)}
    content = {**made, "how_to_check": HOW_TO_CHECK, "acceptances": rows}
    return json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True).encode()


def _row(row: AgreementAcceptance) -> dict[str, Any]:
    """Return one signature with the exact text, and whether its hashes hold."""
    agreement, hashed = row.agreement, hashed_content(row)
    has_before = row.before_id is not None  # type: ignore[attr-defined]  # annotated
    return {
        "agreement": {
            "id": agreement.pk,
            "code": agreement.code,
            "version": agreement.version,
            "title": agreement.title,
            "body": agreement.body,
            "body_sha256": agreement.body_sha256,
            "highlights": agreement.passages,
            "worsening": agreement.worsening,
            "effective_from": agreement.effective_from.isoformat(),
            "published_at": agreement.published_at.isoformat() if agreement.published_at else None,
        },
        "hashed": hashed,
        "row_hash": row.row_hash,
        "checks": {
            "text": text_hash(agreement.body) == agreement.body_sha256 == row.body_sha256,
            "row": row_hash(hashed) == row.row_hash,
            "row_before": has_before or not row.prev_row_hash,
        },
    }
