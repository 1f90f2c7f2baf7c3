"""Refusals of this package."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError


class TooManyEvents(DomainError):
    """A batch holds too many events, or none."""

    code = "too_many_events"
    message = _("Send 1 to %(maximum)s events at a time.")
    status = 400


class EventRefused(DomainError):
    """One event of a batch cannot be taken; the others can."""

    code = "event_refused"
    status = 400


class UnknownEvent(EventRefused):
    """The name is none of the known ones."""

    code = "unknown_event"
    message = _("There is no event with this name.")


class EventInFuture(EventRefused):
    """The event has not happened yet."""

    code = "event_in_future"
    message = _("The time of the event is in the future.")


class EventTooOld(EventRefused):
    """The event comes too late to be counted."""

    code = "event_too_old"
    message = _("The event is more than 72 hours old.")


class EventMalformed(EventRefused):
    """Some part of the event has a wrong shape."""

    code = "event_malformed"
    message = _("%(name)s is missing or has a wrong shape.")
