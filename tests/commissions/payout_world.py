"""A small world for payouts: payees, seeded balances, rules in force, and a WeChat in memory."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from commissions.models import PayoutPolicy, TaxPolicy, Transfer, VatRule, Withdrawal
from commissions.services.ledger import EXPENSE, Balances, Entry, Ref, balances, post
from distro.actors import Actor
from distro.crypto import blind_index
from distro.wechat.errors import WechatNotFound, WechatRefused, WechatUnknown
from distro.wechat.pay import PayClient, TransferRequest
from distro.wechat.states import TransferState
from referrals.models import Identity, Member, Promoter
from tests.factories import make_promoter

ANNA, BORIS, CARL = Actor("staff", 1), Actor("staff", 2), Actor("staff", 3)
numbers = itertools.count(1)


def make_rules(at: datetime, *, tax: bool = True, vat: bool = True, **limits: Any) -> PayoutPolicy:
    """Put limits and tax rules in force since a year; transfers up to 60,000 yuan by default."""
    since = at - timedelta(days=365)
    if tax:
        TaxPolicy.objects.create(
            effective_from=since, mode=TaxPolicy.Mode.LABOR_PER_TIME, confirmed_by="test"
        )
    if vat:
        VatRule.objects.create(
            effective_from=since,
            basis=VatRule.Basis.NONE,
            source_note="test",
            confirmed_by="test",
            confirmed_at=since,
        )
    large = {
        "channel_single_max_fen": 6_000_000,
        "channel_day_max_fen": 60_000_000,
        "review_first": False,
        "review_from_fen": 10**9,
        "two_persons_day_fen": 10**9,
        "two_persons_month_fen": 10**9,
    }
    return PayoutPolicy.objects.create(effective_from=since, **{**large, **limits})


def make_payee(
    at: datetime,
    *,
    person: str = "",
    verified: bool = True,
    born: str = "19900307",
    available_fen: int = 0,
    openid: str | None = "",
) -> Promoter:
    """Return an active promoter whose verified person is known by an ID number."""
    n = next(numbers)
    member = Member.objects.create(
        no=f"M{n}", openid=f"openid-{n}" if openid == "" else openid, joined_at=at
    )
    row = make_promoter(member=member, code=f"PAYEE{n}", at=at)
    number = person or f"110101{born}{n:04d}"
    if verified:
        Identity.objects.create(
            member=member,
            name="王小明",
            id_number=number,
            id_index=blind_index("id", number),
            status=Identity.Status.VERIFIED,
            submitted_at=at - timedelta(days=30),
            decided_at=at - timedelta(days=30),
        )
    if available_fen:
        earn(row, available_fen, at)
    return row


def earn(promoter: Promoter, fen: int, at: datetime) -> None:
    """Let a promoter earn and settle a sum: expense -> frozen -> available."""
    n = next(numbers)
    frozen, available = Ref("frozen", promoter.pk), Ref("available", promoter.pk)
    code = Transfer.Code
    post([Entry(EXPENSE, frozen, fen, code.ACCRUE, f"accrue:test:{n}", "test")], at=at)
    post([Entry(frozen, available, fen, code.SETTLE, f"settle:test:{n}", "test")], at=at)


def owe(promoter: Promoter, fen: int, at: datetime) -> None:
    """Let a promoter owe a sum, as a clawback of paid commission does."""
    debt = Ref("receivable", promoter.pk)
    key = f"claw_debt:test:{next(numbers)}"
    post([Entry(debt, EXPENSE, fen, Transfer.Code.CLAW_DEBT, key, "test")], at=at)


def standing(promoter: Promoter) -> tuple[int, int, int]:
    """Return (available, withdrawing, owed)."""
    money: Balances = balances(promoter.pk)
    return money.available_fen, money.withdrawing_fen, money.owed_fen


def booked(code: str) -> list[int]:
    """Return the amounts of all transfers of a code, oldest first."""
    rows = Transfer.objects.filter(code=code).order_by("id")
    return list(rows.values_list("amount_fen", flat=True))


def only(promoter: Promoter) -> Withdrawal:
    """Return the one withdrawal of a promoter."""
    return Withdrawal.objects.get(promoter=promoter)


def statuses(promoter: Promoter) -> list[str]:
    rows = Withdrawal.objects.filter(promoter=promoter).order_by("id")
    return list(rows.values_list("status", flat=True))


def birthday(number: str) -> date:
    return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@dataclass
class Channel:
    """WeChat's transfers in memory; `faults` are used up, one a call.

    before: no effect, unknown. after: the effect, then unknown. kill_before, kill_after: the
    process dies. refuse:CODE: certainly not. WeChat pays each number at most once.
    """

    at: datetime
    confirm: bool = True  # the payee has to
    faults: list[str] = field(default_factory=list)
    bills: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    lock: Any = field(default_factory=threading.Lock)
    settings: Any = field(default_factory=lambda: SimpleNamespace(appid="wx-test"))

    def transfer_body(self, request: TransferRequest) -> dict[str, Any]:
        return PayClient.transfer_body(self, request)  # type: ignore[arg-type]

    def transfer(self, body: dict[str, Any], user_name: str = "") -> TransferState:
        with self.lock:
            self.calls["transfer"] += 1
            fault = self.faults.pop(0) if self.faults else ""
            if fault == "kill_before":
                raise Killed
            if fault == "before":
                raise WechatUnknown("connection")
            if fault.startswith("refuse:"):
                raise WechatRefused(fault.split(":")[1])
            bill = self._create(dict(body), user_name)
            if fault == "kill_after":
                raise Killed
            if fault == "after":
                raise WechatUnknown("connection")
            return self._state(bill, package=True)

    def query_transfer(self, out_bill_no: str) -> TransferState:
        with self.lock:
            self.calls["query"] += 1
            if out_bill_no not in self.bills:
                raise WechatNotFound("NOT_FOUND")
            return self._state(self.bills[out_bill_no], package=False)

    def end(self, number: str, state: str = "SUCCESS", reason: str = "") -> TransferState:
        """Let the payee confirm, or the transfer fail; return what a notice says."""
        bill = self.bills[number]
        bill["state"], bill["reason"] = state, reason
        return self._state(bill, package=False)

    def paid_fen(self) -> int:
        """Return what left the merchant's account."""
        ended = [bill for bill in self.bills.values() if bill["state"] == "SUCCESS"]
        return sum(bill["body"]["transfer_amount"] for bill in ended)

    def _create(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        number = body["out_bill_no"]
        known = self.bills.get(number)
        if known is None:
            state = "WAIT_USER_CONFIRM" if self.confirm else "SUCCESS"
            known = self.bills[number] = {"body": body, "state": state, "reason": ""}
            self.names[number] = name
        if known["body"] != body:
            raise WechatRefused("INVALID_REQUEST", "another body under this number")
        return known

    def _state(self, bill: dict[str, Any], *, package: bool) -> TransferState:
        body, state = bill["body"], bill["state"]
        waits = state == "WAIT_USER_CONFIRM" and package
        return TransferState(
            out_bill_no=body["out_bill_no"],
            transfer_bill_no=f"T{body['out_bill_no']}",
            state=state,
            amount_fen=body["transfer_amount"],
            openid=body["openid"],
            package_info=f"package-{body['out_bill_no']}" if waits else "",
            fail_reason=bill["reason"],
        )
