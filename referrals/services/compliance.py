"""The compliance monitor: judging trees, what was paid for heads, acknowledging a flag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Q

from distro import audit
from distro.actors import SYSTEM, Actor
from distro.clock import beijing_day
from distro.states import advance
from referrals.errors import ReasonMissing
from referrals.errors_exposure import NothingToAcknowledge
from referrals.models import ComplianceDay, CompliancePolicy, ComplianceState, Promoter
from referrals.rules.compliance import Flag, Size, tree_flag
from referrals.selectors_compliance import FLAGGED, Tree, compliance_policy_at, trees_to_judge

AT_ONCE = 2_000  # rows a statement
NUMBERS = [
    "people",
    "depth",
    "first_root",
    "organiser_trees",
    "organiser_people",
    "organiser_depth",
]
NOBODY_LOOKED: Mapping[str, Any] = {
    "acknowledged_by": "",
    "acknowledged_at": None,
    "acknowledged_why": "",
}


@dataclass(frozen=True)
class Rewards:
    """What rewards cost since a moment, and how much of that no paid order had caused.

    sellers: promoters with customers who bought. ghosts: those of them whose every customer has
    bought for no more than `gate_fen` altogether; both None where nothing opens a reward.
    """

    rewards_from: datetime
    rewards_fen: int
    cash_fen: int
    coupons_fen: int
    gate_fen: int | None
    sellers: int | None
    ghosts: int | None


def check_trees(*, at: datetime) -> int:
    """Judge every tree and keep what changed; return how many are amber or red.

    A new flag begins now and waits for somebody to acknowledge it; a flag that stays keeps its
    beginning and its acknowledgement, only the numbers follow.
    """
    with transaction.atomic():
        policy = compliance_policy_at(at)
        # A run beside this one waits here, and then finds little left to do.
        states = {row.root_id: row for row in ComplianceState.objects.select_for_update()}
        trees = trees_to_judge(policy, also=states)
        followed = [
            state
            for root, state in states.items()
            if _follow(state, trees.pop(root, _gone(root)), policy, at)
        ]
        ComplianceState.objects.bulk_update(followed, NUMBERS, batch_size=AT_ONCE)
        _insert(trees, policy, at)
        return _note_day(at)


def note_rewards(*, rewards: Rewards, at: datetime) -> ComplianceDay:
    """Keep what a package further right found out about rewards, as the finding of today."""
    row, _created = ComplianceDay.objects.update_or_create(
        day=beijing_day(at), defaults=asdict(rewards)
    )
    return row


def acknowledge_tree(*, state_id: int, reason: str, by: Actor, at: datetime) -> ComplianceState:
    """Record that somebody has seen a flag and what he decided; the flag itself stays.

    Raises ReasonMissing, NothingToAcknowledge.
    """
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        open_flags = ComplianceState.objects.filter(status__in=FLAGGED, acknowledged_at=None)
        state = open_flags.select_for_update().filter(pk=state_id).first()
        if state is None:
            raise NothingToAcknowledge
        state.acknowledged_by, state.acknowledged_at = str(by), at
        state.acknowledged_why = reason
        state.save(update_fields=list(NOBODY_LOOKED))
        audit.record(
            by=by,
            action="compliance.acknowledge",
            target=state,
            reason=reason,
            detail={
                "flag": state.status,
                "people": state.organiser_people,
                "levels": state.organiser_depth,
            },
            at=at,
        )
        return state


# --- Steps ----------------------------------------------------------------------------------


def _flag(tree: Tree, policy: CompliancePolicy) -> Flag:
    size = tree.organiser
    return tree_flag(size, people_from=policy.people_from, depth_from=policy.depth_from)


def _numbers(tree: Tree) -> dict[str, Any]:
    return {
        "people": tree.own.people,
        "depth": tree.own.depth,
        "first_root_id": tree.roots[0],
        "organiser_trees": len(tree.roots),
        "organiser_people": tree.organiser.people,
        "organiser_depth": tree.organiser.depth,
    }


def _gone(root: int) -> Tree:
    """Return what is left of a tree whose root has got an upline."""
    return Tree(own=Size(0, 0), organiser=Size(0, 0), roots=(root,))


def _follow(state: ComplianceState, tree: Tree, policy: CompliancePolicy, at: datetime) -> bool:
    """Move a state to its flag of now; say whether only numbers are left to be written."""
    flag, numbers = _flag(tree, policy), _numbers(tree)
    if flag != state.status:
        advance(state, flag, by=SYSTEM, at=at, since=at, **numbers, **NOBODY_LOOKED)
        return False
    if all(getattr(state, name) == number for name, number in numbers.items()):
        return False
    for name, number in numbers.items():
        setattr(state, name, number)
    return True


def _insert(trees: Mapping[int, Tree], policy: CompliancePolicy, at: datetime) -> None:
    """Make a row for each tree that is flagged for the first time."""
    new = [
        ComplianceState(root_id=root, status=flag.value, since=at, **_numbers(tree))
        for root, tree in trees.items()
        if (flag := _flag(tree, policy)) != Flag.NONE
    ]
    ComplianceState.objects.bulk_create(new, batch_size=AT_ONCE, ignore_conflicts=True)


def _note_day(at: datetime) -> int:
    """Keep the day's counts; return how many trees are flagged."""
    flags = ComplianceState.objects.aggregate(
        amber=Count("pk", filter=Q(status=ComplianceState.Status.AMBER)),
        red=Count("pk", filter=Q(status=ComplianceState.Status.RED)),
    )
    everybody = Promoter.objects.order_by()
    counts = {
        **flags,
        "promoters": everybody.count(),
        "trees": everybody.filter(parent=None).count(),
    }
    ComplianceDay.objects.update_or_create(day=beijing_day(at), defaults=counts)
    return int(flags["amber"] + flags["red"])
