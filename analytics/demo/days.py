"""The demo's past, day by day: who comes, who buys, what is due in the evening."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import date, datetime, timedelta
from functools import partial

from django.db import transaction

from analytics.demo import joining, selling, withdrawing
from analytics.demo.people import Someone, growing
from analytics.demo.world import World
from campaigns.models import Coupon, Invitation
from campaigns.services.coupons import expire_coupons
from campaigns.services.inviting import count_sale, mark_sale
from campaigns.services.publishing import run_campaigns
from commissions import signals as commissions
from commissions.services.accruing import accrue_orders
from commissions.services.grading import close_grades
from commissions.services.reminding import remind_confirm
from commissions.services.settling import settle_due
from distro import clock, facts, outbox
from orders import signals as orders
from orders.models import Order
from orders.services.placing import expire_orders
from orders.services.shipping import complete_overdue, mature_orders
from referrals.bulk import place_pending
from referrals.services.bindings import expire_bindings
from referrals.signals import member_joined

MESSAGES_A_DAY = 10_000
VISITS_A_MEMBER = 0.2  # besides those of newcomers
REJECTED_OF = 25  # one rejected application for so many promoters
WAITING = 6  # applications that nobody has decided yet

SETTLED_EVERY = 5  # days
INBOX_KEPT = timedelta(days=7)  # what happened before leaves no message in the inboxes

# Receivers whose work the story does itself: where it can matter, or for a whole day at once.
# Accrual stays the last to hear of a payment.
DONE_HERE = (
    (member_joined, "campaigns.attribute_on_joined"),
    (orders.order_paid, "campaigns.mark_on_paid"),
    (orders.order_matured, "campaigns.count_on_matured"),
    (orders.order_paid, "commissions.accrue"),
)
MESSAGES = (
    (orders.order_shipped, "orders.tell_buyer_on_order_shipped"),
    (commissions.commission_settled, "commissions.tell_settled"),
    (commissions.commission_reversed, "commissions.tell_reversed"),
)

# What the schedule runs all day long; in the past that is lived again, once an evening.
EVENING: tuple[Callable[..., int], ...] = (
    expire_orders,
    complete_overdue,
    mature_orders,
    expire_bindings,
    place_pending,
    run_campaigns,
    expire_coupons,
    facts.repeat_missed,
    remind_confirm,
)


@contextmanager
def unheard(pairs: Iterable[tuple[facts.Fact, str]]) -> Iterator[None]:
    """Let receivers, named by their facts and uids, not hear what happens meanwhile."""
    silent = [(fact, facts.receivers[uid], uid) for fact, uid in pairs]
    for fact, _, uid in silent:
        facts.unhear(fact, uid)
    try:
        yield
    finally:
        for fact, receiver, uid in silent:
            facts.hear(fact, receiver, uid)


def live(world: World, people: Sequence[Someone]) -> None:
    """Live all days up to the end."""
    with unheard(DONE_HERE), ExitStack() as quiet:
        quiet.enter_context(unheard(MESSAGES))
        for end, whole in _days(world, people):
            if world.end - end <= INBOX_KEPT:
                quiet.close()
            _live_one(world, end, whole=whole)


def _days(world: World, people: Sequence[Someone]) -> Iterator[tuple[datetime, bool]]:
    """Plan one day after the other; yield its end, and whether it stays without HTTP."""
    last_day = clock.beijing_day(world.end)
    days = [last_day - timedelta(days=n) for n in reversed(range(world.scale.days))]
    joins = _arrivals(world, people)
    sales = growing(world.scale.orders, len(days), rng=world.rng)
    visits = growing(int(world.scale.members * VISITS_A_MEMBER), len(days), rng=world.rng)
    parts = growing(world.scale.participants, len(days) * 3 // 4, rng=world.rng, slope=0)
    parts = [0] * (len(days) - len(parts)) + list(parts)
    placed = 0
    for place, day in enumerate(days):
        for someone, decision in joins[place]:
            founder = someone.number <= world.scale.founders
            at = clock.day_start(day) + timedelta(hours=6) if founder else world.moment(day)
            world.agenda.note(at, partial(joining.come, world, someone, decision))
        _note_many(world, day, visits[place], partial(joining.wander, world))
        _note_many(world, day, parts[place], partial(joining.take_part, world))
        moments = sorted(world.moment(day) for _ in range(sales[place]))
        last_ones = world.scale.orders - world.scale.over_http
        for number, at in enumerate(moments, start=placed):
            world.agenda.note(at, partial(selling.buy, world, number >= last_ones))
            if world.chance(selling.FORGOTTEN):
                world.agenda.note(at, partial(selling.forget, world))
        placed += len(moments)
        end = min(clock.day_start(day) + timedelta(hours=23, minutes=50), world.end)
        yield end, placed <= last_ones


def _note_many(world: World, day: date, count: int, work: Callable[[datetime], None]) -> None:
    for _ in range(count):
        world.agenda.note(world.moment(day), work)


def _arrivals(world: World, people: Sequence[Someone]) -> list[list[tuple[Someone, str]]]:
    """Return who comes on which day, and what becomes of his wish to promote.

    The founders come first; those whose application waits come last.
    """
    scale, rng = world.scale, world.rng
    founders, waiting = scale.founders, min(WAITING, scale.promoters // 6)
    early = range(founders, len(people) * 9 // 10)  # the others would not be decided in time
    rejected = scale.promoters // REJECTED_OF
    asking = rng.sample(early, scale.promoters - founders + rejected)
    decisions = dict.fromkeys(range(founders), "approve")
    decisions |= dict.fromkeys(asking, "approve") | dict.fromkeys(asking[:rejected], "reject")
    late = range(len(people) * 9 // 10, max(len(people) * 24 // 25, len(people) - 3))
    decisions |= dict.fromkeys(rng.sample(late, waiting), "wait")
    counts = growing(len(people) - founders, scale.days, rng=rng)
    days: list[list[tuple[Someone, str]]] = []
    first = 0
    for place, count in enumerate(counts):
        last = first + count + (0 if place else founders)
        days.append([(people[n], decisions.get(n, "")) for n in range(first, last)])
        first = last
    return days


def _live_one(world: World, end: datetime, *, whole: bool) -> None:
    """Live one day and its evening.

    whole: in one transaction, which is quicker; HTTP calls must not stand in one.
    """
    day: AbstractContextManager[object] = transaction.atomic() if whole else nullcontext()
    with clock.travel(end):  # what the day leaves for its commit goes out in the evening
        with day:
            world.agenda.live_until(end)
        for job in EVENING:
            job(at=end)
        _count_invited()
        _accrue(end, quiet=world.end - end > INBOX_KEPT)
        if end == world.end or clock.beijing_day(end).toordinal() % SETTLED_EVERY == 0:
            settle_due(at=end)
        if clock.beijing_day(end).day == 1:
            close_grades(at=end)
        withdrawing.pay_day(world, end)
        if end == world.end:
            for part in (joining, selling, withdrawing):
                part.leave_open(world, end)
        outbox.deliver(at=end, limit=MESSAGES_A_DAY)
        _hand_out_coupons(world)


def _accrue(at: datetime, *, quiet: bool) -> None:
    """Accrue the day's paid orders in one go, as an import does; the receiver waits for that."""
    paid = Order.objects.filter(paid_at__isnull=False, accruals=None).order_by("pk")
    accrue_orders(order_ids=list(paid.values_list("pk", flat=True)), at=at, quiet=quiet)


def _count_invited() -> None:
    """Look at the sales of invited people only; the receivers would look at every order."""
    new = Invitation.objects.filter(
        status=Invitation.Status.JOINED, invitee__orders__paid_at__isnull=False
    )
    for order_id in list(new.order_by("pk").values_list("invitee__orders", flat=True)):
        mark_sale(order_id=order_id)
    sold = Invitation.objects.filter(status=Invitation.Status.PAID, order__matured_at__isnull=False)
    for order_id in list(sold.order_by("pk").values_list("order", flat=True)):
        count_sale(order_id=order_id)


def _hand_out_coupons(world: World) -> None:
    """Let customers know of the coupons that the campaign brought them."""
    known = {coupon.pk for customer in world.customers for coupon in customer.coupons}
    rewards = Coupon.objects.filter(status=Coupon.Status.ISSUED, key__startswith="reward:")
    for coupon in rewards.select_related("template").exclude(pk__in=known):
        world.by_member[coupon.member_id].coupons.append(coupon)
