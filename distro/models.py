"""Tables of the ground: staff, histories, deferred work, stored answers, the demo clock."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from distro.actors import Actor
from distro.crypto import EncryptedTextField


class StaffUser(AbstractUser):
    """A person who signs in to the admin; members of the mini-program are not among them."""

    class Meta:
        verbose_name = _("staff user")
        verbose_name_plural = _("staff users")

    @property
    def actor(self) -> Actor:
        """Return who this is in histories and audit rows."""
        return Actor("staff", self.pk)


class StateChange(models.Model):
    """One step of one row through its states."""

    append_only = True

    model = models.CharField(_("model"), max_length=64)
    object_id = models.BigIntegerField(_("object"))
    from_status = models.CharField(_("from"), max_length=32)
    to_status = models.CharField(_("to"), max_length=32)
    actor_kind = models.CharField(_("actor kind"), max_length=16)
    actor_id = models.BigIntegerField(_("actor"))
    why = models.TextField(_("reason"), blank=True)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("state change")
        verbose_name_plural = _("state changes")
        indexes = [models.Index(fields=["model", "object_id", "id"], name="statechange_of_row")]

    def __str__(self) -> str:
        return f"{self.model}:{self.object_id} {self.from_status} -> {self.to_status}"


class AuditEntry(models.Model):
    """Who did what, to what, why; detail never holds personal data."""

    append_only = True

    actor_kind = models.CharField(_("actor kind"), max_length=16)
    actor_id = models.BigIntegerField(_("actor"))
    action = models.CharField(_("action"), max_length=64)
    target = models.CharField(_("target"), max_length=128)
    reason = models.TextField(_("reason"), blank=True)
    detail = models.JSONField(_("detail"), default=dict, blank=True)
    request_id = models.CharField(_("request"), max_length=64, blank=True)
    at = models.DateTimeField(_("at"), db_index=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        indexes = [
            models.Index(fields=["target", "id"], name="audit_of_target"),
            models.Index(fields=["actor_kind", "actor_id", "id"], name="audit_of_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_kind}:{self.actor_id} {self.action} {self.target}"


class MissedFact(models.Model):
    """A receiver that failed, or came too late, for one fact; open until a repeat succeeds."""

    fact = models.CharField(_("fact"), max_length=64)
    uid = models.CharField(_("receiver"), max_length=128)
    ids = models.JSONField(_("ids"))
    order_id = models.BigIntegerField(_("order"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=200)
    attempts = models.IntegerField(_("attempts"))
    created_at = models.DateTimeField(_("created at"))
    next_at = models.DateTimeField(_("next attempt at"))
    done_at = models.DateTimeField(_("done at"), null=True, blank=True)

    class Meta:
        verbose_name = _("missed fact")
        verbose_name_plural = _("missed facts")
        indexes = [
            models.Index(fields=["next_at"], condition=Q(done_at=None), name="missedfact_due"),
            models.Index(fields=["order_id"], condition=Q(done_at=None), name="missedfact_order"),
        ]

    def __str__(self) -> str:
        return f"{self.fact} -> {self.uid} {self.ids}"


class OutboxMessage(models.Model):
    """Something that has to leave the database, at least once."""

    topic = models.CharField(_("topic"), max_length=64)
    key = models.CharField(_("key"), max_length=200, unique=True)
    payload = models.JSONField(_("payload"))
    attempts = models.IntegerField(_("attempts"), default=0)
    error = models.CharField(_("error"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created at"))
    next_at = models.DateTimeField(_("next attempt at"))
    leased_until = models.DateTimeField(_("leased until"), null=True, blank=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True, db_index=True)
    dead_at = models.DateTimeField(
        _("given up at"), null=True, blank=True, help_text=_("Never tried again by itself.")
    )

    class Meta:
        verbose_name = _("outgoing message")
        verbose_name_plural = _("outgoing messages")
        indexes = [
            models.Index(
                fields=["next_at", "id"],
                condition=Q(delivered_at=None, dead_at=None),
                name="outbox_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.key}"


class Job(models.Model):
    """One piece of periodic work and who runs it now."""

    name = models.CharField(_("name"), max_length=64, primary_key=True)
    created_at = models.DateTimeField(_("created at"))
    next_at = models.DateTimeField(_("next run at"))
    runner = models.CharField(_("runner"), max_length=32, blank=True)
    leased_until = models.DateTimeField(_("leased until"), null=True, blank=True)
    last_ok_at = models.DateTimeField(_("last success at"), null=True, blank=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")

    def __str__(self) -> str:
        return self.name


class JobRun(models.Model):
    """One run of a job; `finished_at` stays empty when the process was killed."""

    name = models.CharField(_("name"), max_length=64)
    started_at = models.DateTimeField(_("started at"), db_index=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    ok = models.BooleanField(_("succeeded"), default=False)
    count = models.BigIntegerField(_("count"), default=0)
    error = models.CharField(_("error"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("job run")
        verbose_name_plural = _("job runs")
        indexes = [models.Index(fields=["name", "id"], name="jobrun_of_job")]

    def __str__(self) -> str:
        return f"{self.name} {self.started_at}"


class IdempotentRequest(models.Model):
    """A request made under an Idempotency-Key and, once it is done, its answer."""

    actor_kind = models.CharField(_("actor kind"), max_length=16)
    actor_id = models.BigIntegerField(_("actor"))
    method = models.CharField(_("method"), max_length=8)
    path = models.CharField(_("path"), max_length=200)
    key = models.CharField(_("key"), max_length=64)
    content_hash = models.CharField(_("content hash"), max_length=64)
    status_code = models.IntegerField(
        _("status"), null=True, blank=True, help_text=_("Empty while the request is running.")
    )
    answer = EncryptedTextField(_("answer"), blank=True, default="")
    created_at = models.DateTimeField(_("created at"), db_index=True)
    leased_until = models.DateTimeField(_("leased until"), null=True, blank=True)

    class Meta:
        verbose_name = _("idempotent request")
        verbose_name_plural = _("idempotent requests")
        constraints = [
            models.UniqueConstraint(
                fields=["actor_kind", "actor_id", "method", "path", "key"],
                name="idempotent_request_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.actor_kind}:{self.actor_id} {self.method} {self.path}"


class DemoClock(models.Model):
    """How far the demo clock is ahead of the true time; one row, pk 1."""

    seconds = models.BigIntegerField(_("seconds ahead"), default=0)

    class Meta:
        verbose_name = _("demo clock")
        verbose_name_plural = _("demo clocks")
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="demo_clock_is_one")]

    def __str__(self) -> str:
        return f"{self.seconds:+d} s"


class WechatNotice(models.Model):
    """A notification from WeChat, kept once under its own id."""

    notice_id = models.CharField(_("notice"), max_length=64, unique=True)
    event_type = models.CharField(_("event"), max_length=64)
    resource = EncryptedTextField(_("content"), blank=True, default="")
    received_at = models.DateTimeField(_("received at"), db_index=True)
    handled_at = models.DateTimeField(_("handled at"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("WeChat notice")
        verbose_name_plural = _("WeChat notices")
        indexes = [
            models.Index(
                fields=["received_at"], condition=Q(handled_at=None), name="wechatnotice_open"
            )
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.notice_id}"
