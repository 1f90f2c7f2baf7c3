from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from referrals.models.members import Member


class Message(models.Model):
    """One line of a member's in-app inbox; the inbox always has it, whatever WeChat does."""

    member = models.ForeignKey(
        Member, models.CASCADE, related_name="messages", verbose_name=_("member")
    )
    kind = models.CharField(_("kind"), max_length=32)
    key = models.CharField(max_length=100, unique=True)
    title = models.CharField(_("title"), max_length=64)
    body = models.CharField(_("text"), max_length=400)
    page = models.CharField(_("page"), max_length=128, blank=True)
    created_at = models.DateTimeField(_("created at"))
    read_at = models.DateTimeField(_("read at"), null=True, blank=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = [models.Index(fields=["member", "-id"], name="message_by_member")]

    def __str__(self) -> str:
        return self.title


class SubscribeQuota(models.Model):
    """How often a member still accepts one subscribe message template (one accept = one send)."""

    member = models.ForeignKey(Member, models.CASCADE, related_name="quotas")
    template = models.CharField(_("template"), max_length=64)
    left = models.PositiveIntegerField(_("messages left"), default=0)

    class Meta:
        verbose_name = _("subscribe quota")
        verbose_name_plural = _("subscribe quotas")
        constraints = [models.UniqueConstraint(fields=["member", "template"], name="quota_once")]

    def __str__(self) -> str:
        return f"{self.member} {self.template}: {self.left}"
