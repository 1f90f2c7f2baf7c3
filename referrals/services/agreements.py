"""Agreements: publishing a text, signing it, proving who signed what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction

from distro import audit
from distro.actors import Actor
from distro.crypto import blind_index, truncate_ip
from distro.locks import require_transaction
from referrals import selectors
from referrals.errors import AgreementOutdated, AgreementPublished, AgreementTextDiffers
from referrals.models import Agreement, AgreementAcceptance, Member
from referrals.rules.evidence import first_fault, row_hash, text_hash

# What a text column keeps of what the phone says.
USER_AGENT_CHARS, VERSION_CHARS, PAGE_CHARS, TIME_CHARS = 200, 32, 128, 40


@dataclass(frozen=True)
class Evidence:
    """How a text was accepted, as far as the phone and the connection tell."""

    ip: str = ""
    user_agent: str = ""
    client_time: str = ""
    app_version: str = ""
    page_path: str = ""
    action: str = "checkbox+button"


def publish_agreement(*, agreement_id: int, by: Actor, at: datetime) -> Agreement:
    """Fix the text of a version for ever; raise AgreementPublished."""
    with transaction.atomic():
        agreement = Agreement.objects.select_for_update().get(pk=agreement_id)
        if agreement.published_at:
            raise AgreementPublished
        agreement.body_sha256, agreement.published_at = text_hash(agreement.body), at
        agreement.save(update_fields=["body_sha256", "published_at"])
        audit.record(by=by, action="agreement.publish", target=agreement, at=at)
        return agreement


def sign(
    *, member: Member, agreement_id: int, body_sha256: str, evidence: Evidence, at: datetime
) -> AgreementAcceptance:
    """Write down that a member accepted exactly this text; a second time returns the first row.

    Part of the caller's transaction: until its end others wait to sign the same version, since
    each row holds the hash of the row before it.
    Raises NoAgreement, AgreementOutdated, AgreementTextDiffers.
    """
    require_transaction("sign()")
    agreement = selectors.current_agreement(at)
    if agreement.pk != agreement_id:
        raise AgreementOutdated(field="version")
    if agreement.body_sha256 != body_sha256:
        raise AgreementTextDiffers(field="body_sha256")
    Agreement.objects.select_for_update(no_key=True).only("pk").get(pk=agreement.pk)
    signed = agreement.acceptances.filter(member=member).first()
    if signed:
        return signed
    last = agreement.acceptances.order_by("-pk").first()
    row = AgreementAcceptance(
        agreement=agreement,
        member=member,
        body_sha256=body_sha256,
        openid_hmac=blind_index("id", member.openid or ""),
        accepted_at=at,
        client_time=evidence.client_time[:TIME_CHARS],
        ip_truncated=truncate_ip(evidence.ip),
        ip_hmac=blind_index("ip", evidence.ip),
        user_agent=evidence.user_agent[:USER_AGENT_CHARS],
        app_version=evidence.app_version[:VERSION_CHARS],
        page_path=evidence.page_path[:PAGE_CHARS],
        action=evidence.action,
        prev_row_hash=last.row_hash if last else "",
    )
    row.row_hash = row_hash(_content(row))
    row.save(force_insert=True)
    return row


def first_broken_acceptance(*, agreement_id: int) -> int | None:
    """Return the id of the first row of a chain that was altered or lost its predecessor."""
    rows = AgreementAcceptance.objects.filter(agreement=agreement_id).order_by("pk")
    seen: list[int] = []

    def contents() -> Iterator[tuple[dict[str, str | int], str]]:
        for row in rows.select_related("agreement").iterator():
            seen[:] = [row.pk]
            yield _content(row), row.row_hash

    return seen[0] if first_fault(contents()) is not None else None


def _content(row: AgreementAcceptance) -> dict[str, str | int]:
    """Return what a row's hash covers: all of it, with the hash of the row before."""
    return {
        "agreement_code": row.agreement.code,
        "version": row.agreement.version,
        "body_sha256": row.body_sha256,
        "member_id": row.member_id,
        "openid_hmac": row.openid_hmac,
        "accepted_at": row.accepted_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "client_time": row.client_time,
        "ip_truncated": row.ip_truncated,
        "ip_hmac": row.ip_hmac,
        "user_agent": row.user_agent,
        "app_version": row.app_version,
        "page_path": row.page_path,
        "action": row.action,
        "checkbox_default_off": 1,
        "prev_row_hash": row.prev_row_hash,
    }
