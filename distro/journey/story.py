"""The story: a promoter shares, a friend buys, commission settles and is paid out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from distro.journey.books import (
    LEVEL_1_BPS,
    LEVEL_2_BPS,
    Stand,
    check_balance,
    commission,
    yuan,
)
from distro.journey.client import Api, Failed, Person
from distro.journey.staff import Desk
from distro.wechat.sandbox.control import SandboxControl

SOON_S = 60  # what takes a notification, a job or a worker
LONG_S = 240  # what follows a jump of the clock, with all the shop's other orders
DAY_S = 24 * 3600
RETURN_DAYS, RELEASE_DAYS = 7, 15  # of the demo shop, of its plan
FREIGHT_FEN, FREE_FROM_FEN = 800, 9_900
BIG, SMALL, LAST = "KIT-01", "HOM-05", "TEA-01"  # goods that earn the plan's default
ADDRESS = {"receiver": "何必", "phone": "13800138000", "address": "浙江省杭州市西湖区灵隐路 1 号"}
PNG = b"\x89PNG"


@dataclass
class Story:
    """Everything the story needs; say: prints a headline in the chosen language."""

    api: Api
    control: SandboxControl
    say: Callable[[str, str], None]
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    desks: dict[str, Desk] = field(default_factory=dict)
    stands: dict[str, Stand] = field(default_factory=dict)

    # --- The steps every part uses ----------------------------------------------------------

    def person(self, name: str) -> Person:
        """Return somebody new."""
        return Person(name, f"journey-{self.run}-{name}")

    def desk(self, role: str) -> Desk:
        """Return the browser of a staff role."""
        if role not in self.desks:
            self.desks[role] = Desk(self.api.base, role, self.api.tell)
        return self.desks[role]

    def log_in(self, who: Person, link_code: str = "") -> None:
        """Log somebody in with a code of the sandbox."""
        body = {
            "code": self.control.login_code(who.persona),
            "link_code": link_code,
            "device": who.device,
        }
        answer = self.api.post("auth/login", None, body)
        must(answer["created"], f"{who.name} is new")
        must(answer["link_error"] is None, f"the share code of {who.name} is good")
        who.token = answer["token"]

    def visit(self, who: Person, code: str) -> None:
        """Open a shared link before logging in."""
        key = secrets.token_hex(8)
        body = {"code": code, "visit_key": key, "device": who.device, "scene": "1007"}
        self.api.post("visits", None, body)

    def share(self, who: Person, target: str, ref: str = "") -> str:
        """Share something; return the code."""
        body = {"target": target, "target_ref": ref, "channel": "poster"}
        return str(self.api.post("share-links", who, body)["code"])

    def move_clock(self, days: float) -> None:
        """Let time pass for the shop and for WeChat."""
        seconds = int(days * DAY_S)
        self.api.post("demo/clock", None, {"seconds": seconds})
        self.control.advance(seconds)

    def expect(self, who: Person, *, seconds: float = 0, **changes: int) -> None:
        """Change what is expected of a balance by so much, and wait until it is so."""
        expected = self.stands.get(who.name, Stand()).but(**changes)
        check_balance(self.api, who, expected, seconds=seconds or SOON_S)
        self.stands[who.name] = expected


def must(holds: bool, what: str) -> None:
    """Raise Failed unless something holds."""
    if not holds:
        raise Failed(f"not so: {what}")


def tell(story: Story) -> None:
    """Tell the whole story; raise Failed at the first thing that is not as it should be."""
    mentor, promoter, friend = (story.person(name) for name in ("mei", "bo", "he"))
    story.api.post("demo/clock", None, {"seconds": 0})
    story.say("师父成为推广员", "The mentor becomes a promoter")
    story.log_in(mentor)
    become_promoter(story, mentor)
    story.say("推广员经师父的分享加入", "The promoter joins through the mentor's link")
    join_by(story, promoter, story.share(mentor, "recruit"))
    become_promoter(story, promoter)
    give_name(story, promoter)
    story.say("推广员分享，朋友打开并登录", "The promoter shares, a friend opens and logs in")
    code = story.share(promoter, "product", BIG)
    picture = story.api.get(f"share-links/{code}/wxacode", promoter)
    must(picture.startswith(PNG), "the mini-program code is a picture")
    join_by(story, friend, code)
    orders = sell(story, mentor, promoter, friend)
    settle(story, mentor, promoter, friend, orders)
    withdraw(story, promoter)
    take_back(story, mentor, promoter, friend, orders[1])
    story.say("故事讲完，每一分都对上了", "The story is over, and every fen was right")


def join_by(story: Story, who: Person, code: str) -> None:
    """Open a link, log in with it, and be bound."""
    story.visit(who, code)
    story.log_in(who, code)
    binding = story.api.get("me/binding", who)
    must(binding["bound"], f"{who.name} is bound")


def become_promoter(story: Story, who: Person) -> None:
    """Sign the agreement in force and apply; staff approve unless the shop lets everybody in."""
    agreement = story.api.get("agreements/promoter", who)
    application = story.api.post(
        "promoter/apply",
        who,
        {
            "version": agreement["version"],
            "body_sha256": agreement["body_sha256"],
            "accepted": True,
            "page_path": "pages/promoter/join",
        },
    )
    if application["status"] == "pending":
        number = story.api.get("me", who)["no"]
        story.desk("operator").press("referrals/application", number, "approve")
    story.api.until("promoter", who, lambda found: found["state"] == "active", SOON_S)
    story.expect(who)


def give_name(story: Story, who: Person) -> None:
    """Give name and ID number, which payouts need; the owner looks at them."""
    number = story.api.get("me", who)["no"]
    body = {"name": "薄荷", "id_number": id_number(story.run)}
    identity = story.api.post("me/identity", who, body)
    if identity["status"] == "pending":
        story.desk("owner").press("referrals/identity", number, "verify")
    story.api.until("me/identity", who, lambda found: found["status"] == "verified", SOON_S)


def id_number(run: str) -> str:
    """Return a well-formed ID number, another one each run."""
    digits = int(run, 16)
    birthday = f"19{70 + digits % 25}{1 + digits // 25 % 12:02d}{1 + digits // 300 % 28:02d}"
    body = f"3301{digits // 8_400 % 100:02d}{birthday}{digits % 1000:03d}"
    weighted = sum(pow(2, 17 - place, 11) * int(digit) for place, digit in enumerate(body))
    return body + "10X98765432"[weighted % 11]


# --- Selling --------------------------------------------------------------------------------


def sell(story: Story, mentor: Person, promoter: Person, friend: Person) -> list[str]:
    """Let the friend buy twice; both commissions appear frozen, with their explanations."""
    story.say("朋友浏览、下单、付款", "The friend browses, orders and pays")
    story.api.get("categories", friend)
    story.api.get("products", friend)
    first = buy(story, friend, BIG, 2)
    earn(story, mentor, promoter, first)
    explain(story, promoter, first)
    story.say("第二单，有运费，佣金只算货款", "A second order; its freight earns nothing")
    second = buy(story, friend, SMALL, 1)
    earn(story, mentor, promoter, second)
    return [first["number"], second["number"]]


def buy(story: Story, who: Person, product: str, quantity: int) -> dict[str, Any]:
    """Quote, order and pay one thing; return the order once the notification arrived."""
    sku = story.api.get(f"products/{product}", who)["skus"][0]
    goods = sku["price_fen"] * quantity
    due = goods + (0 if goods >= FREE_FROM_FEN else FREIGHT_FEN)
    items = [{"sku": sku["code"], "quantity": quantity}]
    quote = story.api.post("orders/quote", who, {"items": items})
    must((quote["goods_fen"], quote["paid_fen"]) == (goods, due), f"the quote is {yuan(due)}")
    order = story.api.post("orders", who, {"items": items, "address": ADDRESS})
    must(order["paid_fen"] == due, f"the order costs {yuan(due)}")
    params = story.api.post(f"orders/{order['number']}/pay", who)
    story.control.pay_prepay(params["package"].removeprefix("prepay_id="))
    paid: dict[str, Any] = story.api.until(
        f"orders/{order['number']}", who, lambda found: found["status"] == "paid", SOON_S
    )
    return paid


def earn(story: Story, mentor: Person, promoter: Person, order: dict[str, Any]) -> None:
    """Expect both levels' commission, frozen."""
    goods = order["goods_fen"] - order["discount_fen"]
    story.expect(promoter, frozen_fen=commission(goods, LEVEL_1_BPS))
    story.expect(mentor, frozen_fen=commission(goods, LEVEL_2_BPS))


def explain(story: Story, who: Person, order: dict[str, Any]) -> None:
    """Read why a commission is what it is, in both languages."""
    rows = story.api.get("promoter/commissions", who)["results"]
    mine = next((row for row in rows if row["order_number"] == order["number"]), None)
    must(mine is not None, "the commission is listed")
    assert mine is not None
    amount = yuan(commission(order["goods_fen"], LEVEL_1_BPS))
    for language in ("zh-hans", "en"):
        path = f"promoter/commissions/{mine['id']}"
        text = story.api.get(path, who, language=language)["explanation"]
        story.api.tell(f"  | {text}")
        must(amount in text, f"the explanation names {amount}")


# --- Settling -------------------------------------------------------------------------------


def settle(
    story: Story, mentor: Person, promoter: Person, friend: Person, orders: list[str]
) -> None:
    """Ship and receive; after the return days nothing moves yet, after the release days all."""
    story.say("店员发货，朋友收货", "Staff ship, the friend receives")
    for number in orders:
        story.desk("operator").press(
            "orders/order", number, "ship", company="顺丰速运", tracking_no=f"SF{story.run}"
        )
        story.api.post(f"orders/{number}/receive", friend)
    story.say("退货期过了，佣金仍冻结", "The return period is over, commission still frozen")
    story.move_clock(RETURN_DAYS + 0.1)
    story.expect(promoter)
    story.say("结算期到了，佣金可提现", "The release days are over, commission settles")
    story.move_clock(RELEASE_DAYS - RETURN_DAYS)
    for who in (promoter, mentor):
        frozen = story.stands[who.name].frozen_fen
        story.expect(who, frozen_fen=-frozen, available_fen=frozen, seconds=LONG_S)


# --- Withdrawing ----------------------------------------------------------------------------


def withdraw(story: Story, who: Person) -> None:
    """Ask for all that is available; it is reviewed, sent, confirmed and paid."""
    story.say("推广员提现", "The promoter withdraws")
    amount = story.stands[who.name].available_fen
    quote = story.api.get(f"promoter/withdrawals/quote?amount_fen={amount}", who)
    must(quote["net_fen"] + quote["tax_fen"] == amount, "net and tax are the amount")
    must(quote["tax_fen"] == 0, "no tax is due up to 800 yuan a month")
    request = story.api.post("promoter/withdrawals", who, {"amount_fen": amount})
    story.expect(who, available_fen=-amount, withdrawing_fen=amount)
    if request["needs_review"]:
        number = request["number"]
        story.desk("finance").press("commissions/withdrawalrequest", number, "approve")
    for piece in request["withdrawals"]:
        path = f"promoter/withdrawals/{piece['number']}"
        waits = story.api.until(path, who, lambda found: bool(found["package_info"]), SOON_S)
        must(waits["net_fen"] == piece["amount_fen"], "the net is what was announced")
        story.control.confirm_transfer(piece["number"])
        story.api.until(path, who, lambda found: found["status"] == "paid", SOON_S)
        story.expect(who, withdrawing_fen=-piece["amount_fen"])
    codes = {row["code"] for row in story.api.get("promoter/ledger", who)["results"]}
    must({"accrue", "settle", "request", "pay_net"} <= codes, "the ledger shows the whole way")


# --- Taking back ----------------------------------------------------------------------------


def take_back(story: Story, mentor: Person, promoter: Person, friend: Person, settled: str) -> None:
    """Refund a settled order, then a part of a fresh one: from what is there, else as a debt."""
    story.say("已结算的订单退款：余额不足记欠款", "A settled order is refunded: a debt")
    order = story.api.get(f"orders/{settled}", friend)
    goods = order["goods_fen"]
    story.desk("operator").press(
        "orders/order", settled, "refund", amount_=yuan(goods), pieces_="1", reason="包装破损"
    )
    story.desk("operator").press("orders/refund", settled, "approve")
    story.expect(promoter, owed_fen=commission(goods, LEVEL_1_BPS))
    story.expect(mentor, available_fen=-commission(goods, LEVEL_2_BPS))
    story.say("新订单部分退款：冲回冻结佣金", "A part of a new order is refunded")
    fresh = buy(story, friend, LAST, 1)
    earn(story, mentor, promoter, fresh)
    base, back = fresh["goods_fen"], 1_234
    lines = [{"line_no": 1, "quantity": 0, "amount_fen": back}]
    body = {"lines": lines, "freight_fen": 0, "reason": "协商退差价"}
    refund = story.api.post(f"orders/{fresh['number']}/refunds", friend, body)
    story.desk("operator").press("orders/refund", refund["number"], "approve")
    path = f"refunds/{refund['number']}"
    story.api.until(path, friend, lambda found: found["status"] == "succeeded", SOON_S)
    for who, bps in ((promoter, LEVEL_1_BPS), (mentor, LEVEL_2_BPS)):
        story.expect(who, frozen_fen=commission(base - back, bps) - commission(base, bps))
    story.api.get("me/inbox", promoter)
