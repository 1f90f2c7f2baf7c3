"""How the demo's promoters get their money: requests, decisions, transfers over the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from analytics.demo.wechat import QUICK
from analytics.demo.world import World
from commissions.models import Account, Withdrawal, WithdrawalRequest
from commissions.selectors_withdrawals import requests_to_review
from commissions.services.paying_out import send_due
from commissions.services.reviewing import approve_request, hold_request, reject_request
from commissions.services.transferring import query_transfers
from commissions.services.withdrawals import cancel_withdrawal, request_withdrawal
from distro import clock
from referrals.models import Identity, Promoter
from referrals.services.holds import open_hold

Status = Withdrawal.Status
LEAST_FEN = 3_000  # below this nobody bothers
ASKING = 0.013  # of those who could ask, each day
CONFIRMED, BROKEN = 0.86, 0.05  # of the transfers that wait a day
APPROVED, REJECTED = 0.86, 0.06  # of the requests in review; the rest is taken back
EARLIER, MINUTE = timedelta(hours=9), timedelta(minutes=1)  # they confirm before the evening
SLOW_S = 6 * 3600  # how long the sandbox keeps the one transfer that stays under way
SCENES = ("confirm", "review", "hold", "paying", "confirm", "review", "confirm", "review")


def pay_day(world: World, at: datetime) -> None:
    """Live one day of payouts: yesterday's confirmations, decisions, new requests, sending."""
    _confirm(world, max(at - EARLIER, clock.day_start(clock.beijing_day(at)) + MINUTE))
    world.wechat.control.set_clock(at)
    for request in requests_to_review().filter(requested_at__lt=clock.day_start(
        clock.beijing_day(at)
    )):  # fmt: skip
        _decide(world, request, at)
    for promoter_id, available_fen in list(_could_ask()):
        if world.chance(ASKING):
            whole = available_fen // 1_000 * 1_000 if world.chance(0.6) else available_fen
            request_withdrawal(promoter_id=promoter_id, amount_fen=whole, at=at)
    send_due(at=at)


def _could_ask() -> Iterator[tuple[int, int]]:
    """Yield promoters with a verified name who have enough and wait for no other payout."""
    rows = Account.objects.filter(
        kind=Account.Kind.AVAILABLE,
        balance_fen__gte=LEAST_FEN,
        promoter__status=Promoter.Status.ACTIVE,
        promoter__member__identity__status=Identity.Status.VERIFIED,
    )
    waiting = Withdrawal.objects.filter(status__in=[*Withdrawal.UNSENT, *Withdrawal.IN_FLIGHT])
    rows = rows.exclude(promoter__in=waiting.values("promoter"))
    rows = rows.exclude(promoter__holds__lifted_at=None, promoter__holds__isnull=False)
    for account in rows.order_by("-balance_fen", "pk"):
        assert account.promoter_id is not None and account.balance_fen is not None
        yield account.promoter_id, account.balance_fen


def _confirm(world: World, at: datetime) -> None:
    """Let promoters take the money that waits for them; a few cannot, a few forget."""
    world.wechat.control.set_clock(at)
    query_transfers(at=at)  # what nobody confirmed in 24 hours comes back
    waiting = Withdrawal.objects.filter(status=Status.AWAITING_CONFIRM).order_by("pk")
    for number in list(waiting.values_list("number", flat=True)):
        fate = world.rng.random()
        if fate < CONFIRMED:
            world.wechat.control.confirm_transfer(number)
        elif fate < CONFIRMED + BROKEN:
            world.wechat.control.fail_transfer(number)
        else:
            continue
        with clock.travel(at):
            world.wechat.hand_in(number, "transfer")


def _decide(world: World, request: WithdrawalRequest, at: datetime) -> None:
    fate, by = world.rng.random(), world.shop.finance
    if fate < APPROVED:
        approve_request(request_id=request.pk, by=by, at=at)
    elif fate < APPROVED + REJECTED:
        reject_request(request_id=request.pk, reason="请先补充近期推广说明", by=by, at=at)
    else:
        for row in request.withdrawals.order_by("pk"):
            by = request.promoter.member.actor
            cancel_withdrawal(withdrawal_id=row.pk, by=by, at=at, why="")


def leave_open(world: World, at: datetime) -> None:
    """Leave a withdrawal in every state in which one can rest, for the queues to show."""
    world.wechat.control.set_clock(at)
    for (promoter_id, available_fen), scene in zip(list(_could_ask()), SCENES):
        amount = min(available_fen, 60_000)
        request = request_withdrawal(promoter_id=promoter_id, amount_fen=amount, at=at)
        _leave(world, request, scene, at)
    stopped = Account.objects.filter(kind=Account.Kind.FROZEN, balance_fen__gt=0)
    held = stopped.order_by("balance_fen", "pk").values_list("promoter_id", flat=True).first()
    if held:
        reason = "疑似与买家同一收货地址，待核实"
        open_hold(promoter_id=held, reason=reason, by=world.shop.finance, at=at)


def _leave(world: World, request: WithdrawalRequest, scene: str, at: datetime) -> None:
    by, control = world.shop.finance, world.wechat.control
    in_review = request.withdrawals.filter(status=Status.REVIEWING).exists()
    approve = partial(approve_request, request_id=request.pk, by=by, at=at)
    if scene == "hold":
        hold_request(request_id=request.pk, reason="与客服核对中", by=by, at=at)
    elif scene in {"confirm", "paying"}:
        if in_review:
            approve()
        if scene == "paying":
            control.settings(accept_seconds=SLOW_S)
        send_due(at=at)
        control.settings(accept_seconds=QUICK["accept_seconds"])
