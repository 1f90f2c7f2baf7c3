"""Staff and the ground's own tables: histories, the audit trail, deferred work."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from distro.admin_base import DayRangeFilter, Page, ReadOnlyPage
from distro.models import (
    AuditEntry,
    DemoClock,
    IdempotentRequest,
    Job,
    JobRun,
    MissedFact,
    OutboxMessage,
    StaffUser,
    StateChange,
    WechatNotice,
)
from distro.roles import LABELS

admin.site.unregister(Group)


@admin.register(StaffUser)
class StaffUserAdmin(Page, UserAdmin):  # type: ignore[type-arg]
    """Staff; what they may do follows from their roles."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username", "first_name", "last_name", "roles", "is_active", "last_login",
    )  # fmt: skip
    list_filter = ("groups", "is_active", ("last_login", DayRangeFilter))
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("username",)  # type: ignore[misc]
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (_("Rights"), {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        (_("Times"), {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")

    def get_queryset(self, request: HttpRequest) -> QuerySet[StaffUser]:
        """Read the roles of all rows at once."""
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description=_("roles"))
    def roles(self, user: StaffUser) -> str:
        """Name the user's roles."""
        return ", ".join(str(LABELS.get(group.name, group.name)) for group in user.groups.all())

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Write everything: the password is set beside the form's fields."""
        obj.save()


@admin.register(Group)
class GroupAdmin(ReadOnlyPage):
    """Roles; their rights come from one table in the code."""

    list_display = ("name", "label")
    search_fields = ("name",)
    fields = ("name", "permissions")

    @admin.display(description=_("role"))
    def label(self, group: Group) -> str:
        """Name the role in the reader's language."""
        return str(LABELS.get(group.name, group.name))


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyPage):
    """What staff saved in the forms of this admin."""

    list_display = ("action_time", "user", "content_type", "object_repr", "action_flag")
    list_filter = (("action_time", DayRangeFilter), "action_flag")
    search_fields = ("object_repr", "user__username")
    list_select_related = ("user", "content_type")
    fields = ("action_time", "user", "content_type", "object_repr", "action_flag", "message")

    @admin.display(description=_("what was changed"))
    def message(self, entry: LogEntry) -> str:
        """Say which fields were changed."""
        return str(entry.get_change_message())


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyPage):
    """The audit trail."""

    list_display = ("at", "actor_id", "action", "target", "reason")
    list_filter = (("at", DayRangeFilter),)
    search_fields = ("action", "target", "reason", "request_id")
    fields = ("at", "actor_id", "action", "target", "reason", "detail", "request_id")
    who = ("actor_id",)


@admin.register(StateChange)
class StateChangeAdmin(ReadOnlyPage):
    """Every step of every row."""

    list_display = ("at", "kind", "object_id", "from_status", "to_status", "actor_id", "why")
    list_filter = (("at", DayRangeFilter),)
    search_fields = ("=object_id", "model", "why")
    fields = list_display
    who = ("actor_id",)

    @admin.display(description=_("model"), ordering="model")
    def kind(self, change: StateChange) -> str:
        """Name the kind of row."""
        return str(apps.get_model(change.model)._meta.verbose_name)


@admin.register(MissedFact)
class MissedFactAdmin(ReadOnlyPage):
    """Receivers that have not heard a fact yet."""

    list_display = (
        "created_at",
        "fact",
        "uid",
        "order_id",
        "attempts",
        "next_at",
        "done_at",
        "error",
    )
    list_filter = (
        ("created_at", DayRangeFilter),
        ("done_at", admin.EmptyFieldListFilter),
        "fact",
    )
    search_fields = ("fact", "uid", "=order_id")
    fields = (*list_display, "ids")


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyPage):
    """What leaves the database; payloads are for machines and stay out of sight."""

    list_display = ("created_at", "topic", "key", "attempts", "next_at", "delivered_at", "dead_at")
    list_filter = (
        ("created_at", DayRangeFilter),
        "topic",
        ("delivered_at", admin.EmptyFieldListFilter),
        ("dead_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("topic", "key")
    fields = (*list_display, "error")


@admin.register(Job)
class JobAdmin(ReadOnlyPage):
    """Periodic work."""

    list_display = ("name", "next_at", "last_ok_at", "runner", "leased_until")
    search_fields = ("name",)
    ordering = ("name",)


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyPage):
    """Runs of periodic work."""

    list_display = ("started_at", "name", "ok", "count", "finished_at", "error")
    list_filter = (("started_at", DayRangeFilter), "ok", "name")
    search_fields = ("name", "error")


@admin.register(IdempotentRequest)
class IdempotentRequestAdmin(ReadOnlyPage):
    """Requests made under a key; the stored answers stay out of sight."""

    list_display = ("created_at", "actor_kind", "actor_id", "method", "path", "key", "status_code")
    list_filter = (("created_at", DayRangeFilter),)
    search_fields = ("path", "key")
    fields = (*list_display, "leased_until")


@admin.register(DemoClock)
class DemoClockAdmin(ReadOnlyPage):
    """How far the demo clock is ahead."""

    list_display = ("seconds",)


@admin.register(WechatNotice)
class WechatNoticeAdmin(ReadOnlyPage):
    """Notices from WeChat; their content stays out of sight."""

    list_display = ("received_at", "event_type", "notice_id", "outcome", "handled_at")
    list_filter = (
        ("received_at", DayRangeFilter),
        ("handled_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("notice_id", "event_type", "outcome")
    fields = list_display
