from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from distro import audit, clock
from distro.admin_actors import actor
from distro.admin_base import VIEW_PERSONAL_DATA, DayRangeFilter, ReadOnlyPage, sees_personal_data
from distro.admin_columns import EMPTY
from distro.admin_steps import ReasonForm, step
from distro.crypto import mask_id, mask_name
from distro.models import AuditEntry
from referrals.models import Identity
from referrals.services.identities import (
    REVEAL,
    recheck_identity,
    reject_identity,
    reveal_identity,
    verify_identity,
)

# Who may not read a name cannot judge it.
DECIDE = ["referrals.change_identity", VIEW_PERSONAL_DATA]
REVEALED_FOR = timedelta(minutes=5)
ELSEWHERE_MAX = 5

Status = Identity.Status


@admin.register(Identity)
class IdentityAdmin(ReadOnlyPage):
    """Real names and ID numbers: masked for everybody until he asks for one, which is recorded."""

    personal = {"name": mask_name, "id_number": mask_id}
    list_display = (
        "submitted_at", "member", "name", "id_number", "status", "same_as", "decided_at",
    )  # fmt: skip
    list_filter = (("submitted_at", DayRangeFilter), "status")
    search_fields = ("member__no", "member__nickname", "member__promoter__code")
    list_select_related = ("member", "same_as")
    fields = (
        ("member", "same_as"),
        ("name", "id_number"),
        ("status", "elsewhere"),
        ("submitted_at", "decided_at"),
        "reason",
    )
    actions_detail = ("reveal", "verify", "reject", "recheck")
    offered_in = {
        "verify": (Status.PENDING,),
        "reject": (Status.PENDING,),
        "recheck": (Status.VERIFIED,),
    }

    reveal = step(
        reveal_identity,
        key="identity_id",
        label=_("Show name and number"),
        text=_("In clear for five minutes, for you alone; the audit trail keeps who and why."),
        permissions=["referrals.view_identity", VIEW_PERSONAL_DATA],
        form=ReasonForm,
    )
    verify = step(
        verify_identity,
        key="identity_id",
        label=_("Verify"),
        text=_("Name and number belong to one adult person; commissions are paid to him."),
        permissions=DECIDE,
    )
    reject = step(
        reject_identity,
        key="identity_id",
        label=_("Reject"),
        text=_("The member reads the reason; he may submit again."),
        permissions=DECIDE,
        form=ReasonForm,
        danger=True,
    )
    recheck = step(
        recheck_identity,
        key="identity_id",
        label=_("Take the verification back"),
        text=_("After a second look; nothing is paid out until he is verified again."),
        permissions=["referrals.recheck_identity", VIEW_PERSONAL_DATA],
        form=ReasonForm,
        danger=True,
    )

    def masked(self, request: HttpRequest) -> set[str]:
        """Mask the list always, and a page unless it was asked for just now."""
        return set() if getattr(request, "identity_revealed", False) else set(self.personal)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Find out whether this user may read this row in clear."""
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            request.identity_revealed = revealed(request, row)  # type: ignore[attr-defined]
        return row

    @admin.display(description=_("same number elsewhere"))
    def elsewhere(self, identity: Identity) -> str | SafeString:
        """Name the other accounts that have given this number."""
        others = Identity.objects.filter(id_index=identity.id_index).exclude(pk=identity.pk)
        rows = others.select_related("member").order_by("pk")[:ELSEWHERE_MAX]
        pills = ((f"{row.member.no} {row.get_status_display()}",) for row in rows)
        return format_html_join(" ", '<span class="pill pill-risk">{}</span>', pills) or EMPTY


def revealed(request: HttpRequest, identity: Identity) -> bool:
    """Say whether the user, who must have the right, had this row shown in the last minutes."""
    if not sees_personal_data(request.user):
        return False
    me = actor(request)
    asked = AuditEntry.objects.filter(
        actor_kind=me.kind,
        actor_id=me.id,
        action=REVEAL,
        target=audit.name_of(identity),
        at__gt=clock.now() - REVEALED_FOR,
    )
    return asked.exists()
