"""Why things are as they are, in one sentence in the reader's language."""

from __future__ import annotations

from datetime import datetime

from django.utils import formats, timezone
from django.utils.translation import gettext as _

from distro.crypto import mask_name
from referrals.models import Binding, Member


def masked_name(member: Member) -> str:
    """Return what strangers may read of a member's name."""
    return mask_name(member.nickname) if member.nickname else member.no


def binding_explained(binding: Binding, *, at: datetime) -> str:
    """Say to whom a customer is bound, because of what, and for how long."""
    facts = {
        "name": masked_name(binding.promoter.member),
        "day": _day(binding.started_at),
        "because": _because(binding),
        "until": _until(binding, at),
    }
    return _("Bound to %(name)s since %(day)s because of %(because)s; %(until)s.") % facts


def _because(binding: Binding) -> str:
    channel = {"channel": binding.link.get_channel_display()} if binding.link else {"channel": "–"}
    texts = {
        Binding.Mode.FIRST_TOUCH: _("the first share link that was opened (%(channel)s)"),
        Binding.Mode.LAST_TOUCH: _("the last share link that was opened (%(channel)s)"),
        Binding.Mode.REGISTER_ONLY: _("the share link used at the first log-in (%(channel)s)"),
        Binding.Mode.IMPORT: _("the records of the former system"),
        Binding.Mode.MANUAL: _("a decision of the shop's staff"),
    }
    return texts[Binding.Mode(binding.mode)] % channel


def _until(binding: Binding, at: datetime) -> str:
    if binding.ended_at:
        reason = binding.get_end_reason_display()
        return _("ended on %(day)s: %(reason)s") % {"day": _day(binding.ended_at), "reason": reason}
    protected = binding.protected_until if _ahead(binding.protected_until, at) else None
    if protected and binding.expires_at:
        days = {"protected": _day(protected), "end": _day(binding.expires_at)}
        return _("protected until %(protected)s, ends on %(end)s") % days
    if protected:
        return _("protected until %(protected)s, without an end") % {"protected": _day(protected)}
    if binding.expires_at:
        return _("not protected, ends on %(end)s") % {"end": _day(binding.expires_at)}
    return _("not protected, without an end")


def _ahead(moment: datetime | None, at: datetime) -> bool:
    return moment is not None and at < moment


def _day(moment: datetime) -> str:
    return formats.date_format(timezone.localtime(moment), "DATE_FORMAT")
