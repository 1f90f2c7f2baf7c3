"""Reads about the promoter entry: the policy, what somebody is shown, whom staff invited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils.module_loading import import_string

from referrals.models import (
    ExposureDecision,
    ExposureInvitation,
    ExposurePolicy,
    Member,
    Promoter,
    Visit,
)
from referrals.rules.exposure import RECEIVED, TAG, Decision, Draw, bucket_of, decide
from referrals.selectors_accounts import accounts_of


@dataclass(frozen=True)
class Exposure:
    """What a member is shown at a moment, by which policy and place in its draw."""

    decision: Decision
    policy: ExposurePolicy
    bucket: int | None


@dataclass(frozen=True)
class Told:
    """What members were told under one policy."""

    members: int
    shown: int
    hidden: int
    holdout: int
    contaminated: int


# --- Policies -------------------------------------------------------------------------------


def exposure_policy_at(at: datetime) -> ExposurePolicy:
    """Return the policy in force; before the first row everybody sees the entry."""
    rows = ExposurePolicy.objects.filter(effective_from__lte=at).order_by("-effective_from")
    return rows.first() or ExposurePolicy(effective_from=at, holdout_bps=0)


def newest_policy() -> ExposurePolicy | None:
    """Return the policy with the latest beginning, also one still to come."""
    return ExposurePolicy.objects.order_by("-effective_from").first()


def policy_after(at: datetime, *, without: int | None = None) -> ExposurePolicy | None:
    """Return the first policy that begins later, one of them left aside."""
    rows = ExposurePolicy.objects.filter(effective_from__gt=at).exclude(pk=without or 0)
    return rows.order_by("effective_from").first()


def draws(*, without: int | None = None) -> list[Draw]:
    """Return whom each policy leaves out, by time, one of them left aside."""
    rows = ExposurePolicy.objects.exclude(pk=without or 0).order_by("effective_from")
    return [Draw(*row) for row in rows.values_list("effective_from", "salt", "holdout_bps")]


def known_tags() -> dict[str, Any]:
    """Return the tags that other packages know, with what staff call them."""
    return {tag: label for tag, (label, _path) in settings.EXPOSURE_TAGS.items()}


# --- Decisions ------------------------------------------------------------------------------


def exposure_of(member: Member, *, at: datetime) -> Exposure:
    """Return whether a member sees the promoter entry; nothing is written down."""
    policy = exposure_policy_at(at)
    bucket = _bucket(member, policy) if policy.holdout_bps else None
    decision = decide(
        segment=policy.segment,
        in_holdout=bucket is not None and bucket < policy.holdout_bps,
        is_promoter=Promoter.objects.filter(member__in=accounts_of(member.pk)).exists(),
        is_invited=open_invitations().filter(member=member).exists(),
        in_segment=_in_segment(member.pk, policy),
    )
    return Exposure(decision, policy, bucket)


def person_id(member: Member) -> str:
    """Return what a person is drawn by: unionid, else openid, else his number."""
    return member.unionid or member.openid or member.no


def _bucket(member: Member, policy: ExposurePolicy) -> int:
    """Return a person's place, the oldest one that any of his accounts was given by this draw.

    A unionid that becomes known later changes what a person is drawn by, but not his place.
    """
    accounts = Q(pk=member.pk) | Q(merged_into=member.pk)
    if member.unionid:
        accounts |= Q(unionid=member.unionid)
    given = ExposureDecision.objects.filter(
        member__in=Member.objects.filter(accounts).values("pk"),
        policy__salt=policy.salt,
        bucket__isnull=False,
    )
    first: int | None = given.order_by("pk").values_list("bucket", flat=True).first()
    return bucket_of(policy.salt, person_id(member)) if first is None else first


def _in_segment(member_id: int, policy: ExposurePolicy) -> bool:
    """Ask the packages further right, where the segment needs it."""
    if policy.segment == RECEIVED:
        return any(import_string(path)(member_id) for path in settings.RECEIVED_ORDER_CHECKS)
    if policy.segment == TAG and policy.tag in settings.EXPOSURE_TAGS:
        _label, path = settings.EXPOSURE_TAGS[policy.tag]
        return bool(import_string(path)(member_id))
    return False


def last_decision(member_id: int) -> ExposureDecision | None:
    """Return what a member was told last."""
    rows = ExposureDecision.objects.filter(member=member_id).select_related("policy")
    return rows.order_by("-number").first()


def first_shown_at(member_id: int) -> datetime | None:
    """Return when a member was first told that he sees the entry: since then he is exposed."""
    rows = ExposureDecision.objects.filter(member=member_id, shown=True).order_by("number")
    return rows.values_list("decided_at", flat=True).first()


def open_invitations() -> QuerySet[ExposureInvitation]:
    """Return the invitations that nobody took back."""
    return ExposureInvitation.objects.filter(ended_at=None)


def told_under(policy: ExposurePolicy) -> Told:
    """Count the members that were told something under a policy, each once.

    Contaminated are those of the holdout whom a friend's link reached after the draw.
    """
    rows = ExposureDecision.objects.filter(policy=policy).order_by()
    held = rows.filter(in_holdout=True)
    reached = Visit.objects.filter(
        member=OuterRef("member"), occurred_at__gt=OuterRef("decided_at")
    ).exclude(link__member=F("member"))
    last = rows.exclude(
        Exists(rows.filter(member=OuterRef("member"), number__gt=OuterRef("number")))
    )
    shown = dict(last.values_list("shown").annotate(Count("pk")))
    return Told(
        members=sum(shown.values()),
        shown=shown.get(True, 0),
        hidden=shown.get(False, 0),
        holdout=held.values("member").distinct().count(),
        contaminated=held.filter(Exists(reached)).values("member").distinct().count(),
    )
