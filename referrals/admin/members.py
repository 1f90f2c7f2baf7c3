from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from distro import audit, clock
from distro.actors import Actor
from distro.admin_actors import NAMERS, actor
from distro.admin_base import (
    DayRangeFilter,
    Page,
    ReadOnlyAdminMixin,
    ReadOnlyPage,
    ReadOnlyRows,
)
from distro.admin_steps import ReasonForm, step, text_field
from distro.crypto import blind_index, mask_id, mask_name, mask_phone
from distro.errors import NotFound
from referrals.admin.accounts import (
    block_step,
    close_account_step,
    merge_step,
    unblock_step,
)
from referrals.errors import BadPhone
from referrals.exports_evidence import agreement_evidence
from referrals.models import (
    Binding,
    Member,
    MemberToken,
    Message,
    Promoter,
    SubscribeQuota,
)
from referrals.rules.people import normal_phone
from referrals.services.bindings_staff import bind_by_staff
from referrals.services.members import revoke_token

EXPORT_EVIDENCE = "referrals.export_agreementacceptance"


def member_names(ids: set[int]) -> dict[int, str]:
    """Return members by their masked names and their numbers."""
    members = Member.objects.filter(pk__in=ids).only("no", "nickname")
    return {row.pk: f"{mask_name(row.nickname)} {row.no}".strip() for row in members}


NAMERS["member"] = member_names


class BindForm(ReasonForm):
    """Asks to whom and why."""

    code = text_field(_("Promoter no."), 32)
    field_order = ("code", "reason")


def bind_to(*, member_id: int, code: str, reason: str, by: Actor, at: datetime) -> Binding:
    """Bind a customer to the promoter with this number."""
    promoter = Promoter.objects.filter(code__iexact=code.strip()).first()
    if promoter is None:
        raise NotFound(field="code")
    return bind_by_staff(member_id=member_id, promoter_id=promoter.pk, reason=reason, by=by, at=at)


def revoke(*, token_id: int, by: Actor, at: datetime) -> None:
    """Sign a device out."""
    revoke_token(token_id=token_id, at=at)
    target = f"referrals.membertoken:{token_id}"
    audit.record(by=by, action="token.revoke", target=target, at=at)


class BindingRows(ReadOnlyRows):
    """Whose customer a member was and is."""

    model = Binding
    verbose_name_plural = _("Customer of")
    fields = (
        "promoter",
        "mode",
        "link",
        "started_at",
        "expires_at",
        "ended_at",
        "end_reason",
        "made_by",
    )
    who = ("made_by",)
    ordering = ("-pk",)
    per_page = 10

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Read the names with the rows."""
        return super().get_queryset(request).select_related("promoter__member", "link", "member")


@admin.register(Member)
class MemberAdmin(Page):
    """Persons; the mini-program writes them, staff only leave them out of metrics."""

    personal = {
        "nickname": mask_name,
        "phone": mask_phone,
        "openid": mask_id,
        "unionid": mask_id,
    }
    list_display = ("no", "nickname", "phone", "inviter", "status", "external_no", "joined_at")
    list_filter = (("joined_at", DayRangeFilter), "status", "excluded")
    search_fields = ("no", "nickname", "=external_no", "promoter__code")
    search_help_text = _(
        "Member no., nickname, promoter no., external no., or a whole phone number"
    )
    list_select_related = ("inviter",)
    fields = (
        ("no", "nickname", "phone"),
        ("status", "joined_at", "inviter"),
        "merged_into",
        ("openid", "unionid", "external_no"),
        "excluded",
    )
    readonly_fields = (
        "no", "nickname", "phone", "status", "joined_at", "inviter", "openid", "unionid",
        "external_no", "merged_into",
    )  # fmt: skip
    inlines = (BindingRows,)
    actions_detail = ("bind", "evidence", "merge", "block", "unblock", "close")
    offered_in = {
        "merge": (Member.Status.ACTIVE,),
        "block": (Member.Status.ACTIVE,),
        "unblock": (Member.Status.BLOCKED,),
        "close": (Member.Status.ACTIVE, Member.Status.BLOCKED),
    }

    bind = step(
        bind_to,
        key="member_id",
        label=_("Bind to a promoter"),
        text=_("From now on; it ends the binding there is."),
        permissions=["referrals.change_binding"],
        form=BindForm,
    )

    @action(description=_("Evidence of agreements"), url_path="agreement-evidence")
    def evidence(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Give the file of what this member signed."""
        if not request.user.has_perm(EXPORT_EVIDENCE):
            raise PermissionDenied
        member = self.get_object(request, str(object_id))
        if member is None:
            raise Http404
        data = agreement_evidence(member_id=member.pk, by=actor(request), at=clock.now())
        name = f"agreements-{member.no}.json"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(data, content_type="application/json", headers=headers)

    evidence.needs = (EXPORT_EVIDENCE,)  # Page looks at it

    merge, block, unblock, close = merge_step, block_step, unblock_step, close_account_step

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: members come by themselves, or with an import."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: orders and money point to them."""
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Member], search_term: str
    ) -> tuple[QuerySet[Member], bool]:
        """Find a member by his whole phone number too, without reading any."""
        rows, twice = super().get_search_results(request, queryset, search_term)
        try:
            index = blind_index("phone", normal_phone(search_term))
        except BadPhone:
            return rows, twice
        return rows | queryset.filter(phone_index=index), twice


@admin.register(MemberToken)
class MemberTokenAdmin(ReadOnlyPage):
    """Log-ins of devices."""

    titles = {"member": _("member")}
    list_display = ("member", "device", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = (("created_at", DayRangeFilter), ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("member__no", "member__nickname")
    list_select_related = ("member",)
    fields = list_display
    actions_detail = ("revoke",)
    offered_in = {"revoke": lambda token: token.revoked_at is None}

    revoke = step(
        revoke,
        key="token_id",
        label=_("Sign this device out"),
        permissions=["referrals.change_membertoken"],
        danger=True,
    )


@admin.register(Message)
class MessageAdmin(ReadOnlyPage):
    """The in-app inboxes."""

    list_display = ("created_at", "member", "title", "body", "read_at")
    list_filter = (
        ("created_at", DayRangeFilter),
        ("read_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("member__no", "member__nickname", "title")
    list_select_related = ("member",)
    fields = ("member", "kind", "title", "body", "page", "created_at", "read_at")


@admin.register(SubscribeQuota)
class SubscribeQuotaAdmin(ReadOnlyAdminMixin, Page):
    """How many subscribe messages a member still accepts."""

    titles = {"member": _("member")}
    list_display = ("member", "template", "left")
    list_filter = ("template",)
    search_fields = ("member__no", "member__nickname")
    list_select_related = ("member",)
