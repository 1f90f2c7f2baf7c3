"""What is refused about places in the promoter tree."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError
from referrals.errors import OwnCode, YoungerInviter


class TreeHasCycle(DomainError):
    """The stored parents lead in a circle: no place can be computed, `check_tree` names them."""

    code = "tree_has_cycle"
    message = _("%(count)s promoters are in a circle of uplines; run check_tree.")


class MoveMakesCycle(DomainError):
    """The new upline is the promoter himself, somebody below him, or one whom they brought."""

    code = "move_makes_cycle"
    message = _("The new upline is in this promoter's own team, or was brought by it.")


class SameUpline(DomainError):
    """The promoter is already there."""

    code = "same_upline"
    message = _("The promoter already has this upline.")


class UplineLeaving(DomainError):
    """Nobody new comes below an account that is closed or being closed."""

    code = "upline_leaving"
    message = _("The new upline's account is closed or being closed.")


class OwnUpline(OwnCode):
    """One person stands behind a promoter and his upline (rule H1)."""

    message = _("One person is behind this promoter and the new upline.")


class YoungerUpline(YoungerInviter):
    """The upline's account is younger than the promoter's first visit (rule H2)."""

    message = _("The new upline joined after this promoter's first visit.")


class MoveWaiting(DomainError):
    """One move of a promoter is decided at a time."""

    code = "move_waiting"
    message = _("Another move of this promoter is waiting for its second person.")


class MoveOutdated(DomainError):
    """The promoter got another upline since the move was requested."""

    code = "move_outdated"
    message = _("The promoter's upline has changed since; reject this and request a new move.")
