"""One customer's timeline: what he opened, whose customer he became and why, what he bought.

Each source gives its own moments, a page at a time; they are merged by (time, place, row). A
package further right adds sources in settings.TIMELINE_SOURCES.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.conf import settings
from django.db.models import Model, Q, QuerySet
from django.utils.module_loading import import_string
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from referrals.explanations import terms_explained
from referrals.models import Binding, Member, Promoter, ShareLink, Visit
from referrals.rules.binding import Touched
from referrals.selectors_accounts import accounts_of
from referrals.selectors_links import BY_LOGIN

PAGE = 50  # moments

Row = TypeVar("Row", bound=Model)

OUTCOMES: dict[str, Any] = {
    Touched.BOUND: _("bound him"),
    Touched.REBOUND: _("bound him anew"),
    Touched.KEPT: _("he stayed with his promoter"),
    Touched.PROTECTED: _("his binding was protected"),
    Touched.HAS_ORDERED: _("he had paid an order before"),
    Touched.NOT_PROMOTER: _("its owner is no active promoter"),
    Touched.NOT_REGISTERING: _("only a first log-in binds"),
    Touched.EMPLOYEE_CODE: _("an employee's code binds nobody"),
    "younger_inviter": _("its owner joined after his first visit"),
    "referral_cycle": _("he himself brought its owner"),
}

OPENED, BY_LINK = _("Opened a share link"), _("Came to his first log-in by a share link")


@dataclass(frozen=True, order=True)
class Mark:
    """Where a moment stands among all: its time, the place of its source, its row."""

    at: datetime
    place: int
    pk: int


@dataclass(frozen=True)
class Moment:
    """Something that happened to a customer.

    kind: a stable word. who: "kind:id" of who did it. text: the details, in the reader's language.
    """

    mark: Mark
    kind: str
    title: Any
    promoter: Promoter | None = None
    link: ShareLink | None = None
    who: str = ""
    why: str = ""
    text: Any = ""
    ref: str = ""
    binding_id: int | None = None


@dataclass(frozen=True)
class Window:
    """Which of its rows a source is asked for: some, from a mark on, in one direction."""

    place: int
    beyond: Mark | None
    newest_first: bool
    limit: int

    def of(self, rows: QuerySet[Row], column: str) -> list[Row]:
        """Return the rows of this window; column: when it happened."""
        sign, way = ("-", "lt") if self.newest_first else ("", "gt")
        if self.beyond:
            rows = rows.filter(self._further(column, way, self.beyond))
        return list(rows.order_by(f"{sign}{column}", f"{sign}pk")[: self.limit])

    def _further(self, column: str, way: str, mark: Mark) -> Q:
        further = Q(**{f"{column}__{way}": mark.at})
        same_moment = Q(**{column: mark.at})
        if self.place == mark.place:
            return further | (same_moment & Q(**{f"pk__{way}": mark.pk}))
        first_now = self.place < mark.place if self.newest_first else self.place > mark.place
        return further | same_moment if first_now else further

    def mark(self, at: datetime, pk: int) -> Mark:
        """Return where a row of this source stands."""
        return Mark(at, self.place, pk)


# (the accounts of one person, window) -> his moments in it, in the window's order.
Source = Callable[[Collection[int], Window], Sequence[Moment]]


@dataclass(frozen=True)
class Page:
    """Some moments, and from where the next page goes on."""

    moments: list[Moment]
    beyond: Mark | None


def timeline(
    member_id: int, *, beyond: Mark | None = None, newest_first: bool = True, limit: int = PAGE
) -> Page:
    """Return a page of a customer's moments, those of merged accounts among them.

    One query for each source, and one for the accounts.
    """
    accounts = [row["pk"] for row in accounts_of(member_id)]
    found = [
        source(accounts, Window(place, beyond, newest_first, limit + 1))
        for place, source in enumerate(_sources())
    ]
    merged = heapq.merge(*found, key=lambda moment: moment.mark, reverse=newest_first)
    moments = [moment for moment, _n in zip(merged, range(limit + 1))]
    rest = len(moments) > limit
    moments = moments[:limit]
    return Page(moments, moments[-1].mark if rest else None)


def all_moments(member_id: int) -> Iterator[Moment]:
    """Yield everything that happened to a customer, the oldest first, a page at a time."""
    beyond = None
    while True:
        page = timeline(member_id, beyond=beyond, newest_first=False)
        yield from page.moments
        if page.beyond is None:
            return
        beyond = page.beyond


def _sources() -> list[Source]:
    """Return the sources; of two things at one moment the later source's is the later one."""
    more = [import_string(path) for path in settings.TIMELINE_SOURCES]
    return [_joined, _visits, _endings, _beginnings, *more]


def _joined(accounts: Collection[int], window: Window) -> list[Moment]:
    rows = Member.objects.filter(pk__in=accounts).select_related("inviter")
    return [
        Moment(
            mark=window.mark(row.joined_at, row.pk),
            kind="joined",
            title=_("First log-in"),
            who=str(row.actor),
            text=gettext("brought by %(name)s") % {"name": row.inviter} if row.inviter else "",
        )
        for row in window.of(rows, "joined_at")
    ]


def _visits(accounts: Collection[int], window: Window) -> list[Moment]:
    rows = Visit.objects.filter(member__in=accounts).select_related("link__member__promoter")
    return [
        Moment(
            mark=window.mark(row.occurred_at, row.pk),
            kind="login_by_link" if row.visit_key.startswith(BY_LOGIN) else "visit",
            title=BY_LINK if row.visit_key.startswith(BY_LOGIN) else OPENED,
            promoter=getattr(row.link.member, "promoter", None),
            link=row.link,
            who=f"member:{row.member_id}",
            text=OUTCOMES.get(row.outcome, row.outcome),
        )
        for row in window.of(rows, "occurred_at")
    ]


def _beginnings(accounts: Collection[int], window: Window) -> list[Moment]:
    rows = Binding.objects.filter(member__in=accounts).select_related("promoter__member", "link")
    return [
        Moment(
            mark=window.mark(row.started_at, row.pk),
            kind="bound",
            title=_("Bound to a promoter"),
            promoter=row.promoter,
            link=row.link,
            who=row.made_by,
            why=row.reason,
            text=terms_explained(row),
            binding_id=row.pk,
        )
        for row in window.of(rows, "started_at")
    ]


def _endings(accounts: Collection[int], window: Window) -> list[Moment]:
    rows = Binding.objects.filter(member__in=accounts, ended_at__isnull=False)
    rows = rows.select_related("promoter__member", "link")
    return [
        Moment(
            mark=window.mark(row.ended_at, row.pk),  # type: ignore[arg-type]  # filtered
            kind="ended",
            title=_("Binding ended"),
            promoter=row.promoter,
            link=row.link,
            who=row.ended_by,
            why=row.end_note,
            text=row.get_end_reason_display(),
            binding_id=row.pk,
        )
        for row in window.of(rows, "ended_at")
    ]
