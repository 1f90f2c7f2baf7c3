"""Reads around becoming and staying a promoter: gate, agreement to sign, queue; none writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.utils.module_loading import import_string

from distro.prepared import keeping_plans
from referrals import selectors, selectors_accounts
from referrals.errors import AgreementOutdated, NoAgreement
from referrals.errors_joining import AgreementUnsigned, PromoterQuits
from referrals.models import (
    Agreement,
    AgreementAcceptance,
    Application,
    Identity,
    LegalOverride,
    Member,
    Promoter,
    Quitting,
)
from referrals.rules.gates import IDENTITY, PURCHASE, Candidate, Gate, gate_in_force

# --- Gate -----------------------------------------------------------------------------------


def gate_at(at: datetime) -> Gate:
    """Return the gate in force."""
    policy = selectors.policy_at(at)
    override = policy.override if policy.gate == PURCHASE else None
    return gate_in_force(
        kind=policy.gate,
        min_purchase_fen=policy.min_purchase_to_join_fen,
        override_runs=override is not None and override.covers(at),
    )


def candidate(member_id: int, *, gate: Gate, has_invite: bool) -> Candidate:
    """Return what a member brings; asks only for what the gate looks at."""
    return Candidate(
        has_invite=has_invite,
        identity_verified=gate.kind == IDENTITY and is_verified(member_id),
        bought_fen=bought_fen(member_id) if gate.kind == PURCHASE else 0,
    )


def is_verified(member_id: int) -> bool:
    """Say whether a person's identity is verified, in any account of his; then he is an adult."""
    accounts = selectors_accounts.accounts_of(member_id)
    rows = Identity.objects.filter(member__in=accounts, status=Identity.Status.VERIFIED)
    return rows.exists()


def bought_fen(member_id: int) -> int:
    """Ask the packages that know about orders what a member paid for goods and kept."""
    paths: list[str] = settings.PURCHASE_SUMS
    return sum(import_string(path)(member_id) for path in paths)


def has_promoter_elsewhere(member_id: int) -> bool:
    """Say whether the person behind a member is a promoter with another account of his."""
    me = selectors.people([member_id])[member_id]
    same = Q(unionid__in=me.unionids) | Q(phone_index__in=me.phones)
    if me.id_numbers:
        verified = Identity.objects.filter(
            id_index__in=me.id_numbers, status=Identity.Status.VERIFIED
        )
        same |= Q(pk__in=list(verified.values_list("member", flat=True)))
    others = Member.objects.filter(same).exclude(pk__in=selectors_accounts.accounts_of(member_id))
    open_ones = Promoter.objects.exclude(status=Promoter.Status.CLOSED)
    theirs = Q(member__in=others.values("pk")) | Q(member__in=others.values("merged_into"))
    return open_ones.filter(theirs).exists()


def overrides_in_force(at: datetime) -> QuerySet[LegalOverride]:
    """Return the legal overrides that rule now; the admin shows them on every page."""
    return LegalOverride.objects.filter(status=LegalOverride.Status.APPROVED, expires_at__gt=at)


# --- Agreement ------------------------------------------------------------------------------


def _published(at: datetime) -> QuerySet[Agreement]:
    return Agreement.objects.filter(code=selectors.PROMOTER_AGREEMENT, published_at__lte=at)


def _in_force(at: datetime) -> QuerySet[Agreement]:
    """Return the version in force, first; the others after it."""
    return _published(at).filter(effective_from__lte=at).order_by("-effective_from", "-version")


def ruling_agreement(at: datetime) -> Agreement | None:
    """Return the version in force."""
    return _in_force(at).first()


def has_predecessor(agreement: Agreement) -> bool:
    """Say whether somebody may have signed an earlier version."""
    rows = Agreement.objects.filter(code=agreement.code, published_at__isnull=False)
    return rows.filter(version__lt=agreement.version).exists()


def upcoming_agreement(at: datetime) -> Agreement | None:
    """Return the version that takes effect next."""
    rows = _published(at).filter(effective_from__gt=at)
    return rows.order_by("effective_from", "-version").first()


def announced_agreements(at: datetime) -> list[Agreement]:
    """Return the version in force, if any, and all published ones that rule later."""
    rules = ruling_agreement(at)
    later = _published(at).filter(effective_from__gt=at).order_by("effective_from", "version")
    return [*([rules] if rules else []), *later]


def agreement_to_sign(*, version: int, at: datetime) -> Agreement:
    """Return the version in force, or one that rules later.

    Raises NoAgreement, AgreementOutdated.
    """
    found = announced_agreements(at)
    if not found:
        raise NoAgreement
    for agreement in found:
        if agreement.version == version:
            return agreement
    raise AgreementOutdated(field="version")


def unsigned_agreement(member_id: int, *, at: datetime) -> Agreement | None:
    """Return the version in force if the member has not signed it."""
    signed = AgreementAcceptance.objects.filter(agreement=OuterRef("pk"), member=member_id)
    agreement = _in_force(at).annotate(is_signed=Exists(signed)).first()
    return None if agreement is None or agreement.is_signed else agreement


def refuse_unsigned(member_id: int, *, at: datetime) -> None:
    """Raise AgreementUnsigned where a promoter owes his signature on the version in force.

    Asked before new share links and withdrawals; what runs already goes on. Who leaves has nothing
    to sign any more, and takes his money.
    """
    agreement = unsigned_agreement(member_id, at=at)
    if agreement and not _is_leaving(member_id):
        raise AgreementUnsigned(version=agreement.version)


def _is_leaving(member_id: int) -> bool:
    wishes = Q(quittings__status=Quitting.Status.REQUESTED)
    leaving = Q(status__in=Promoter.LEAVING) | wishes
    return Promoter.objects.filter(leaving, member=member_id).exists()


def refuse_sharer(member_id: int, *, at: datetime) -> None:
    """Raise PromoterQuits or AgreementUnsigned where a promoter may make no new links.

    A member who is no promoter may always share.
    """
    promoter_id = Promoter.objects.filter(member=member_id).values_list("pk", flat=True).first()
    if promoter_id:
        refuse_quitting(promoter_id)
        refuse_unsigned(member_id, at=at)


# --- Applications ---------------------------------------------------------------------------


@dataclass(frozen=True)
class ToApprove:
    """An application with everything its approval has to know."""

    application: Application  # its other columns are read when they are asked for
    member_status: str
    parent_status: str  # empty: no upline
    ruling: int | None  # version in force
    signed_id: int | None  # the applicant's signature on it
    is_promoter: bool
    is_promoter_elsewhere: bool  # the same person, with another account
    code_taken: bool  # by another promoter


# The ORM takes longer to write this than PostgreSQL to answer it: has_promoter_elsewhere(), a mark
# at a time, each found by its index; and _in_force() as `ruling`.
SAME_PERSON = (
    "JOIN referrals_member other ON other.unionid = NULLIF(mine.unionid, '')",
    "JOIN referrals_member other ON other.phone_index = NULLIF(mine.phone_index, '')",
    """JOIN referrals_identity i ON i.member_id = mine.id
        JOIN referrals_identity v ON v.id_index = i.id_index AND v.status = 'verified'
        JOIN referrals_member other ON other.id = v.member_id""",
)
ELSEWHERE = """EXISTS (
    SELECT 1 FROM referrals_member mine {others}
    JOIN referrals_promoter p ON p.status <> 'closed'
        AND (p.member_id = other.id OR p.member_id = other.merged_into_id)
    WHERE (mine.id = a.member_id OR mine.merged_into_id = a.member_id)
        AND COALESCE(other.merged_into_id, other.id) <> a.member_id
)"""
TO_APPROVE = f"""
    SELECT a.id, a.member_id, a.parent_id, a.acceptance_id, a.status,
        m.status, COALESCE(p.status, ''), ruling.version, signed.id,
        EXISTS (SELECT 1 FROM referrals_promoter WHERE member_id = a.member_id),
        {" OR ".join(ELSEWHERE.format(others=others) for others in SAME_PERSON)},
        EXISTS (SELECT 1 FROM referrals_promoter WHERE code = %s)
    FROM referrals_application a
    JOIN referrals_member m ON m.id = a.member_id
    LEFT JOIN referrals_promoter p ON p.id = a.parent_id
    LEFT JOIN referrals_agreement ruling ON ruling.id = (
        SELECT id FROM referrals_agreement
        WHERE code = %s AND published_at <= %s AND effective_from <= %s
        ORDER BY effective_from DESC, version DESC LIMIT 1
    )
    LEFT JOIN referrals_agreementacceptance signed
        ON signed.member_id = a.member_id AND signed.agreement_id = ruling.id
    WHERE a.id = %s
"""  # noqa: S608 - texts of ours
APPLICATION = ["id", "member_id", "parent_id", "acceptance_id", "status"]  # in their order


def application_to_approve(application_id: int, *, code: str, at: datetime) -> ToApprove:
    """Return an application and what its approval asks for, in one query.

    code: one for the new promoter. Raises Application.DoesNotExist.
    """
    moment = connection.ops.adapt_datetimefield_value(at)
    agreement = selectors.PROMOTER_AGREEMENT
    with keeping_plans() as cursor:
        cursor.execute(TO_APPROVE, [code, agreement, moment, moment, application_id])
        row = cursor.fetchone()
    if row is None:
        raise Application.DoesNotExist(f"no application {application_id}")
    columns, (member, parent, ruling, signed, *yes) = row[:5], row[5:]
    application = Application.from_db(connection.alias, APPLICATION, columns)
    return ToApprove(application, member, parent, ruling, signed, *map(bool, yes))


# --- Quitting -------------------------------------------------------------------------------


def open_quitting(promoter_id: int) -> Quitting | None:
    """Return the promoter's open wish to quit."""
    rows = Quitting.objects.filter(promoter=promoter_id, status=Quitting.Status.REQUESTED)
    return rows.first()


def is_quitting(promoter_id: int) -> bool:
    """Say whether a promoter has asked to quit."""
    return quitting_promoter_ids().filter(promoter=promoter_id).exists()


def quitting_of(promoter: str) -> Exists:
    """Say in a query whether the promoter of this column has asked to quit."""
    rows = Quitting.objects.filter(promoter=OuterRef(promoter))
    return Exists(rows.filter(status=Quitting.Status.REQUESTED))


def quitting_promoter_ids() -> QuerySet[Quitting, int]:
    """Return the promoters who have asked to quit."""
    rows = Quitting.objects.filter(status=Quitting.Status.REQUESTED)
    return rows.values_list("promoter_id", flat=True)


def refuse_quitting(promoter_id: int) -> None:
    """Raise PromoterQuits: who leaves makes no new links and gets no new customers."""
    if is_quitting(promoter_id):
        raise PromoterQuits


# --- What a member has to do ----------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One thing to do before one may be a promoter, and whether it is done."""

    kind: str  # agreement, invite_code, identity, purchase, review
    done: bool


@dataclass(frozen=True)
class Joining:
    """Where a member stands on his way through the gate, or as a promoter."""

    gate: Gate
    state: str  # none, pending, rejected, approved; else the promoter's status
    steps: list[Step]
    to_sign: Agreement | None  # in force and unsigned
    upcoming: Agreement | None  # next and unsigned
    quitting: Quitting | None
    bought_fen: int = 0


def joining_of(member_id: int, *, at: datetime) -> Joining:
    """Return what stands between a member and being a promoter, or what a promoter owes."""
    gate, to_sign = gate_at(at), unsigned_agreement(member_id, at=at)
    promoter = Promoter.objects.filter(member=member_id).order_by().first()
    application = selectors.newest_application(member_id)
    brought = candidate(member_id, gate=gate, has_invite=False)
    steps = _steps(gate, brought, to_sign, application) if promoter is None else []
    return Joining(
        gate=gate,
        state=_state(promoter, application),
        steps=steps,
        to_sign=to_sign,
        upcoming=_unsigned_upcoming(member_id, at),
        quitting=open_quitting(promoter.pk) if promoter else None,
        bought_fen=brought.bought_fen,
    )


def _state(promoter: Promoter | None, application: Application | None) -> str:
    if promoter:
        return promoter.status
    return application.status if application else "none"


def _unsigned_upcoming(member_id: int, at: datetime) -> Agreement | None:
    upcoming = upcoming_agreement(at)
    return upcoming if upcoming and not selectors.has_signed(member_id, upcoming) else None


def _steps(
    gate: Gate, brought: Candidate, to_sign: Agreement | None, application: Application | None
) -> list[Step]:
    waiting = application is not None and application.status == Application.Status.PENDING
    own: dict[str, Step] = {
        "invite": Step("invite_code", waiting),
        "identity": Step("identity", brought.identity_verified),
        "purchase": Step("purchase", brought.bought_fen >= gate.min_purchase_fen),
        "review": Step("review", False),
    }
    return [Step("agreement", to_sign is None), *([own[gate.kind]] if gate.kind in own else [])]


# --- Evidence -------------------------------------------------------------------------------


def acceptances_of(member_id: int) -> QuerySet[AgreementAcceptance]:
    """Return what a member signed, with the texts and the hash of the row before each."""
    before = AgreementAcceptance.objects.filter(row_hash=OuterRef("prev_row_hash"))
    rows = AgreementAcceptance.objects.filter(member=member_id).select_related("agreement")
    return rows.annotate(before_id=Subquery(before.values("pk")[:1])).order_by("pk")


def promoters_to_announce(
    agreement: Agreement, *, since: datetime | None
) -> QuerySet[Promoter, tuple[int, int]]:
    """Return (promoter, member) ids of those who have not signed a version, by promoter."""
    signed = AgreementAcceptance.objects.filter(agreement=agreement, member=OuterRef("member"))
    rows = Promoter.objects.exclude(status=Promoter.Status.CLOSED).filter(~Exists(signed))
    if since:
        rows = rows.filter(approved_at__gte=since)
    return rows.order_by("pk").values_list("pk", "member_id")


def applicants_to_announce(agreement: Agreement) -> QuerySet[Application, int]:
    """Return the members who wait for a decision and have not signed a version."""
    signed = AgreementAcceptance.objects.filter(agreement=agreement, member=OuterRef("member"))
    rows = Application.objects.filter(status=Application.Status.PENDING)
    return rows.filter(~Exists(signed)).annotate(who=F("member")).values_list("who", flat=True)
