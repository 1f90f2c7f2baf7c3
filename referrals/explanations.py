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
    """Say to the customer to whom he is bound, because of what, and for how long."""
    return _sentence(binding, masked_name(binding.promoter.member), _because(binding), at)


def binding_explained_to_staff(binding: Binding, *, name: str, at: datetime) -> str:
    """Say the same to staff, with the reasons that people gave; name: the promoter's, as shown."""
    because = _because(binding)
    if binding.reason:
        because = _("%(because)s: “%(reason)s”") % {"because": because, "reason": binding.reason}
    return _sentence(binding, name, because, at)


def terms_explained(binding: Binding) -> str:
    """Say by which mode a binding began and for how long it was made."""
    mode = binding.get_mode_display()
    return _("%(mode)s; %(terms)s") % {"mode": mode, "terms": _terms(binding, binding.started_at)}


def _sentence(binding: Binding, name: str, because: str, at: datetime) -> str:
    facts = {"name": name, "because": because, "until": _until(binding, at)}
    return _("Bound to %(name)s because of %(because)s; %(until)s.") % facts


def _because(binding: Binding) -> str:
    texts = {
        Binding.Mode.FIRST_TOUCH: _("the first touch on %(day)s%(through)s"),
        Binding.Mode.LAST_TOUCH: _("the last touch on %(day)s%(through)s"),
        Binding.Mode.REGISTER_ONLY: _("the first log-in on %(day)s%(through)s"),
        Binding.Mode.IMPORT: _("the records of the former system from %(day)s on"),
        Binding.Mode.MANUAL: _("a decision of the shop's staff on %(day)s"),
    }
    facts = {"day": _day(binding.started_at), "through": _through(binding)}
    return texts[Binding.Mode(binding.mode)] % facts


def _through(binding: Binding) -> str:
    if binding.link is None:
        return ""
    facts = {"channel": binding.link.get_channel_display(), "code": binding.link.code}
    return _(" (%(channel)s, code %(code)s)") % facts


def _until(binding: Binding, at: datetime) -> str:
    if binding.ended_at and binding.ended_at <= at:
        reason = binding.get_end_reason_display()
        return _("ended on %(day)s: %(reason)s") % {"day": _day(binding.ended_at), "reason": reason}
    return _terms(binding, at)


def _terms(binding: Binding, at: datetime) -> str:
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
