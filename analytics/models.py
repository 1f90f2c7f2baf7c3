"""What it did: events from the mini-program and daily facts. Reads all, imported by none."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from referrals.models import Member


class Event(models.Model):
    """One thing a member did in the mini-program, told by it in batches."""

    append_only = True

    member = models.ForeignKey(Member, models.PROTECT, related_name="+", verbose_name=_("member"))
    client_event_id = models.CharField(max_length=64)
    name = models.CharField(_("event"), max_length=32)
    object_ref = models.CharField(_("object"), max_length=64, blank=True)
    channel = models.CharField(_("channel"), max_length=16, blank=True)
    occurred_at = models.DateTimeField(_("occurred at"), db_index=True)
    received_at = models.DateTimeField(_("received at"))

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [
            models.UniqueConstraint(fields=["member", "client_event_id"], name="event_once")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.occurred_at:%Y-%m-%d %H:%M}"


class ShopDay(models.Model):
    """The shop's facts of one Beijing day; money by the day the order was paid."""

    day = models.DateField(_("day"), unique=True)
    orders = models.PositiveIntegerField(_("paid orders"), default=0)
    buyers = models.PositiveIntegerField(_("buyers"), default=0)
    gmv_paid_fen = models.BigIntegerField(_("GMV paid (fen)"), default=0)
    gmv_net_fen = models.BigIntegerField(_("GMV net (fen)"), default=0)
    commission_fen = models.BigIntegerField(_("commission kept (fen)"), default=0)
    members_joined = models.PositiveIntegerField(_("new members"), default=0)
    promoters_joined = models.PositiveIntegerField(_("new promoters"), default=0)
    visits = models.PositiveIntegerField(_("visits"), default=0)
    as_of = models.DateTimeField(_("as of"))

    class Meta:
        verbose_name = _("day of the shop")
        verbose_name_plural = _("days of the shop")
        constraints = [
            models.CheckConstraint(
                condition=Q(gmv_paid_fen__gte=0, gmv_net_fen__gte=0, commission_fen__gte=0),
                name="shop_day_amounts_in_range",
            )
        ]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d}"


class EventDay(models.Model):
    """How often an event happened on one Beijing day, and to how many persons."""

    day = models.DateField(_("day"))
    name = models.CharField(_("event"), max_length=32)
    count = models.PositiveIntegerField(_("times"), default=0)
    persons = models.PositiveIntegerField(_("persons"), default=0)

    class Meta:
        verbose_name = _("day of an event")
        verbose_name_plural = _("days of events")
        constraints = [models.UniqueConstraint(fields=["day", "name"], name="event_day_once")]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d} {self.name}"


class FoldCursor(models.Model):
    """Up to which row of a growing table the daily facts know it.

    Rows of a transaction that is still open have lower ids than later ones that are committed;
    so each run looks again at what the run before it has seen: from `checked_id` on.
    """

    table = models.CharField(max_length=32, primary_key=True)
    checked_id = models.BigIntegerField(default=0)
    seen_id = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("position of the daily facts")
        verbose_name_plural = _("positions of the daily facts")

    def __str__(self) -> str:
        return f"{self.table} {self.seen_id}"
