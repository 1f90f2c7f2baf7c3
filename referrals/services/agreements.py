"""Agreements: publishing a text, signing it, proving who signed what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction

from distro import audit, clock
from distro.actors import Actor
from distro.crypto import blind_index, truncate_ip
from distro.locks import require_transaction
from referrals import selectors, selectors_joining
from referrals.errors import (
    AgreementOutdated,
    AgreementPublished,
    AgreementTextDiffers,
    NotPromoter,
)
from referrals.errors_joining import (
    HighlightNotInText,
    HighlightsDiffer,
    NoticeTooShort,
    TooManyHighlights,
)
from referrals.models import Agreement, AgreementAcceptance, Application, Member, Promoter
from referrals.models.agreements import CLAUSES_MAX, NOTICE
from referrals.rules.evidence import first_fault, row_hash, text_hash

# What a text column keeps of what the phone says.
USER_AGENT_CHARS, VERSION_CHARS, PAGE_CHARS, TIME_CHARS = 200, 32, 128, 40
SCENE_CHARS = 16
FIRST_FORM = 1


@dataclass(frozen=True)
class Evidence:
    """How a text was accepted, as far as the phone and the connection tell.

    highlighted: the numbers of the clauses that the page marked, from 1.
    """

    ip: str = ""
    user_agent: str = ""
    client_time: str = ""
    app_version: str = ""
    scene: str = ""
    page_path: str = ""
    action: str = "checkbox+button"
    highlighted: tuple[int, ...] = ()


def publish_agreement(*, agreement_id: int, by: Actor, at: datetime) -> Agreement:
    """Fix the text of a version for ever.

    The first version changes nothing for anybody, so it worsens nothing.
    Raises AgreementPublished, TooManyHighlights, HighlightNotInText, NoticeTooShort.
    """
    with transaction.atomic():
        agreement = Agreement.objects.select_for_update().get(pk=agreement_id)
        if agreement.published_at:
            raise AgreementPublished
        if len(agreement.passages) > CLAUSES_MAX:
            raise TooManyHighlights(field="highlights", maximum=CLAUSES_MAX)
        for passage in agreement.passages:
            if passage not in agreement.body:
                raise HighlightNotInText(field="highlights", passage=passage)
        earlier = Agreement.objects.filter(code=agreement.code, published_at__isnull=False)
        agreement.worsening = agreement.worsening and earlier.exists()
        if agreement.worsening and agreement.effective_from < at + NOTICE:
            day = f"{(at + NOTICE).astimezone(clock.BEIJING):%Y-%m-%d %H:%M}"
            raise NoticeTooShort(field="effective_from", day=day)
        agreement.body_sha256, agreement.published_at = text_hash(agreement.body), at
        agreement.save(update_fields=["worsening", "body_sha256", "published_at"])
        detail = {"version": agreement.version, "worsening": agreement.worsening}
        audit.record(by=by, action="agreement.publish", target=agreement, detail=detail, at=at)
        return agreement


def sign_version(
    *, member: Member, version: int, body_sha256: str, evidence: Evidence, at: datetime
) -> AgreementAcceptance:
    """Accept the version in force, or the next one, as a promoter or a waiting applicant.

    Raises NotPromoter, MemberBlocked, MemberClosed and the errors of sign().
    """
    with transaction.atomic():
        selectors.refuse_inactive(member)
        promoters = Promoter.objects.exclude(status=Promoter.Status.CLOSED)
        waiting = Application.objects.filter(status=Application.Status.PENDING)
        if not any(rows.filter(member=member).exists() for rows in (promoters, waiting)):
            raise NotPromoter
        agreement = selectors_joining.agreement_to_sign(version=version, at=at)
        return sign(
            member=member, agreement=agreement, body_sha256=body_sha256, evidence=evidence, at=at
        )


def sign_to_apply(
    *, member: Member, agreement_id: int, body_sha256: str, evidence: Evidence, at: datetime
) -> AgreementAcceptance:
    """Accept the version in force, to apply; raise AgreementOutdated and the errors of sign()."""
    agreement = selectors.current_agreement(at)
    if agreement.pk != agreement_id:
        raise AgreementOutdated(field="version")
    return sign(
        member=member, agreement=agreement, body_sha256=body_sha256, evidence=evidence, at=at
    )


def sign(
    *, member: Member, agreement: Agreement, body_sha256: str, evidence: Evidence, at: datetime
) -> AgreementAcceptance:
    """Write down that a member accepted exactly this text; a second time returns the first row.

    Part of the caller's transaction: until its end others wait to sign the same version, since
    each row holds the hash of the row before it.
    Raises NoAgreement, AgreementTextDiffers, HighlightsDiffer.
    """
    require_transaction("sign()")
    if agreement.body_sha256 != body_sha256:
        raise AgreementTextDiffers(field="body_sha256")
    clauses = range(1, len(agreement.passages) + 1)
    if sorted(set(evidence.highlighted)) != list(clauses):
        raise HighlightsDiffer(field="highlighted")
    Agreement.objects.select_for_update(no_key=True).only("pk").get(pk=agreement.pk)
    signed = agreement.acceptances.filter(member=member).first()
    if signed:
        return signed
    last = agreement.acceptances.order_by("-pk").first()
    row = AgreementAcceptance(
        agreement=agreement,
        member=member,
        body_sha256=body_sha256,
        highlighted=",".join(map(str, clauses)),
        openid_hmac=blind_index("id", member.openid or ""),
        accepted_at=at,
        client_time=evidence.client_time[:TIME_CHARS],
        ip_truncated=truncate_ip(evidence.ip),
        ip_hmac=blind_index("ip", evidence.ip),
        user_agent=evidence.user_agent[:USER_AGENT_CHARS],
        app_version=evidence.app_version[:VERSION_CHARS],
        scene=evidence.scene[:SCENE_CHARS],
        page_path=evidence.page_path[:PAGE_CHARS],
        action=evidence.action,
        prev_row_hash=last.row_hash if last else "",
    )
    row.row_hash = row_hash(hashed_content(row))
    row.save(force_insert=True)
    return row


def first_broken_acceptance(*, agreement_id: int) -> int | None:
    """Return the id of the first row of a chain that was altered or lost its predecessor."""
    rows = AgreementAcceptance.objects.filter(agreement=agreement_id).order_by("pk")
    seen: list[int] = []

    def contents() -> Iterator[tuple[dict[str, str | int], str]]:
        for row in rows.select_related("agreement").iterator():
            seen[:] = [row.pk]
            yield hashed_content(row), row.row_hash

    return seen[0] if first_fault(contents()) is not None else None


def hashed_content(row: AgreementAcceptance) -> dict[str, str | int]:
    """Return what a row's hash covers: all of it, with the hash of the row before.

    Rows of the first form, from before these were kept, tell neither text, scene nor clauses.
    """
    content: dict[str, str | int] = {
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
        "checkbox_default_off": int(row.checkbox_default_off),
        "prev_row_hash": row.prev_row_hash,
    }
    if row.form == FIRST_FORM:
        return content
    content |= {"agreement_id": row.agreement_id, "form": row.form}
    return content | {"scene": row.scene, "highlighted": row.highlighted}
