"""What exposure and the compliance monitor refuse."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError


class EntryHidden(DomainError):
    """The promoter entry is not shown to this member; staff may invite him."""

    code = "promoter_entry_hidden"
    message = _("Becoming a promoter is not open to you at the moment.")
    status = 403


class UnknownTag(DomainError):
    """No package knows the tag that an exposure policy names."""

    code = "unknown_tag"
    message = _("No such tag; there are: %(known)s.")
    status = 400


class TagMisplaced(DomainError):
    """A tag without the segment that asks for one, or the other way round."""

    code = "tag_misplaced"
    message = _("Choose a tag where the segment asks for one, and nowhere else.")
    status = 400


class SaltMissing(DomainError):
    """A part of the members cannot be drawn without a text to draw by."""

    code = "salt_missing"
    message = _("Write a text to draw by, or leave nobody out.")
    status = 400


class HoldoutFixed(DomainError):
    """The members who are left out stay the same for twelve months."""

    code = "holdout_fixed"
    message = _(
        "Who is left out stays the same until %(until)s; a change before that spoils the"
        " comparison and needs a reason."
    )


class PolicyRules(DomainError):
    """A policy whose time has come stays as it is."""

    code = "policy_rules"
    message = _("This policy already applies; write a new one.")


class AlreadyInvited(DomainError):
    """The entry is open for this member already."""

    code = "already_invited"
    message = _("This member is already invited.")


class NothingToAcknowledge(DomainError):
    """The tree carries no flag that nobody has looked at."""

    code = "nothing_to_acknowledge"
    message = _("There is nothing to acknowledge: the flag is gone, or somebody was faster.")
