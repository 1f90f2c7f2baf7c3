from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from distro.actors import Actor
from distro.admin_base import DayRangeFilter, ReadOnlyPage
from distro.admin_steps import ReasonForm, step, text_field
from distro.errors import NotFound
from distro.money import yuan
from referrals.models import Closure, Member, Merge
from referrals.services.closing import cancel_closing, close_account, close_promoter
from referrals.services.merging import approve_merge, propose_merge, refuse_merge
from referrals.services.standing import block_member, unblock_member

CLOSE = "referrals.close_account"
MERGE = "referrals.decide_merge"


class MergeForm(ReasonForm):
    """Asks into which account and why."""

    no = text_field(_("Member no. of the account that stays"), 32)
    field_order = ("no", "reason")


def merge_into(*, member_id: int, no: str, reason: str, by: Actor, at: datetime) -> Merge:
    """Propose to merge a member into the one with this number."""
    survivor = Member.objects.filter(no__iexact=no.strip()).first()
    if survivor is None:
        raise NotFound(field="no")
    return propose_merge(merged_id=member_id, survivor_id=survivor.pk, reason=reason, by=by, at=at)


# --- Steps on the pages of members and promoters --------------------------------------------

close_promoter_step = step(
    close_promoter,
    key="promoter_id",
    label=_("Close this promoter"),
    text=_(
        "He earns nothing from new orders and his links are revoked. What he has is settled and"
        " paid out, then he is closed; his team stays where it is. The person stays a customer."
    ),
    permissions=[CLOSE],
    form=ReasonForm,
    danger=True,
)
close_account_step = step(
    close_account,
    key="member_id",
    label=_("Close this account"),
    text=_(
        "As soon as nothing is left in it, name, phone and WeChat account are erased. This cannot"
        " be undone. Orders and books stay."
    ),
    permissions=[CLOSE],
    form=ReasonForm,
    danger=True,
)
block_step = step(
    block_member,
    key="member_id",
    label=_("Block"),
    text=_("No log-in, no share links, no payout. Suspend the promoter to stop him from earning."),
    permissions=[CLOSE],
    form=ReasonForm,
    danger=True,
)
unblock_step = step(
    unblock_member, key="member_id", label=_("Unblock"), permissions=[CLOSE], form=ReasonForm
)
merge_step = step(
    merge_into,
    key="member_id",
    label=_("Merge into another account"),
    text=_("Both belong to one person. Nothing happens before a second person approves it."),
    permissions=[MERGE],
    form=MergeForm,
)


# --- Pages ----------------------------------------------------------------------------------


@admin.register(Closure)
class ClosureAdmin(ReadOnlyPage):
    """Accounts that are being closed, and those that were."""

    list_display = ("requested_at", "member", "scope", "status", "waits_for", "ended_at")
    list_filter = (("requested_at", DayRangeFilter), "status", "scope")
    search_fields = ("member__no", "=member__promoter__code")
    list_select_related = ("member",)
    who = ("requested_by",)
    fields = (
        ("member", "scope", "status"),
        "waits_for",
        "reason",
        ("requested_by", "requested_at"),
        ("ended_at", "cleared_at"),
    )
    actions_detail = ("cancel",)
    offered_in = {"cancel": (Closure.Status.WAITING,)}

    cancel = step(
        cancel_closing,
        key="closure_id",
        label=_("Take the closing back"),
        text=_("The promoter earns again; revoked links stay revoked."),
        permissions=[CLOSE],
        form=ReasonForm,
    )

    @admin.display(description=_("waits for"))
    def waits_for(self, closure: Closure) -> str:
        """Say what keeps the account open, with its sum."""
        return "; ".join(_wait_text(wait) for wait in closure.waits)


def _wait_text(wait: dict[str, Any]) -> str:
    label = str(Closure.Wait(wait["kind"]).label)
    return f"{label}: {yuan(wait['amount_fen'])}" if wait["amount_fen"] else label


@admin.register(Merge)
class MergeAdmin(ReadOnlyPage):
    """Merges of two accounts of one person: found at log-ins, or asked for by staff."""

    list_display = ("requested_at", "merged", "survivor", "status", "requested_by", "decided_by")
    list_filter = (("requested_at", DayRangeFilter), "status")
    search_fields = ("merged__no", "survivor__no", "reason")
    list_select_related = ("merged", "survivor")
    who = ("requested_by", "decided_by")
    fields = (
        ("merged", "survivor", "status"),
        "reason",
        ("requested_by", "requested_at"),
        ("decided_by", "decided_at"),
        "decision",
        "carried_at",
    )
    actions_detail = ("approve", "refuse")
    offered_in = {
        "approve": (Merge.Status.PROPOSED,),
        "refuse": (Merge.Status.PROPOSED,),
    }

    approve = step(
        approve_merge,
        key="merge_id",
        label=_("Merge"),
        text=_(
            "As the second person: both accounts belong to one person. Log-ins, messages and"
            " customers go to the account that stays; money and orders stay where they are."
        ),
        permissions=[MERGE],
        danger=True,
    )
    refuse = step(
        refuse_merge,
        key="merge_id",
        label=_("Refuse"),
        permissions=[MERGE],
        form=ReasonForm,
    )
