"""The demo shop opens: staff, policies, agreement, goods, the commission plan, a campaign."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from django.contrib.auth.models import Group

from analytics.demo.products import SHELVES, SPECIAL_CATEGORY, SPECIAL_PRODUCT
from campaigns.models import CouponTemplate
from campaigns.services.checking import Draft, Tier
from campaigns.services.publishing import approve_campaign, draft_campaign, submit_campaign
from commissions.models import PayoutPolicy, Plan, PlanRate, TaxPolicy, VatRule
from commissions.rules_grades import SALES, Condition
from commissions.services.grade_rules import Draft as GradeDraft
from commissions.services.grade_rules import draft_rule, publish_rule
from commissions.services.publishing import accept_level_2, publish_plan
from distro.actors import Actor
from distro.demo_staff import DEMO_STAFF
from distro.models import StaffUser
from distro.roles import FINANCE, OPERATOR, OWNER, SUPPORT
from orders.models import Category, Product, ShopPolicy, Sku
from referrals.models import Agreement, Grade, ReferralPolicy
from referrals.services.agreements import publish_agreement

PLAN_CODE = "demo"
CAMPAIGN_CODE = "invite-tea"
STOCK = (400, 1_500)
COST_BPS = 5_500  # of the price
SCARCE = {"HOM-02": 3, "SKN-06": 0}  # what is nearly or wholly sold out at the end

AGREEMENT = """一、推广员为自愿参加的推广者，与本店不构成劳动关系。
二、佣金只来自好友的真实购买：一级 10%，二级 5%，个别商品另有比例，同一订单合计不超过货款的 20%。
三、加入不收取任何费用，不要求购买商品，不因发展人数本身获得报酬。
四、佣金在好友收货 15 天且过了退货期后结算；退款的部分相应冲回，已提现的记为欠款，由以后的佣金抵扣。
五、提现须实名，本店依法代扣代缴个人所得税。
六、不得夸大宣传、骚扰他人或以任何方式刷单；违者暂停结算，查实后取消相应佣金。
七、本店变更规则，提前七天公示；推广员可随时退出，已得佣金照常结算。"""

CAMPAIGN_RULES = """邀请新朋友，好友首单过了退货期后计数。
带来 1、3、5 位买家，各得一张优惠券，共三张；优惠券自发放起 60 天内有效，不可兑现。
每位好友只计一次；退款的订单不计。名额用完即止。"""


@dataclass(frozen=True)
class Shop:
    """What the story needs to know of the open shop."""

    owner: Actor
    operator: Actor
    finance: Actor
    support: Actor
    agreement: Agreement
    skus: list[Sku]
    welcome: CouponTemplate


def open_shop(*, at: datetime, ends_at: datetime, rng: Random) -> Shop:
    """Make everything that has to be there before the first customer comes.

    ends_at: the last moment of the past to come, which the campaign outlives.
    """
    staff = _hire(at)
    _choose_policies(at, staff[OWNER])
    skus = _fill_shelves(at, rng)
    _publish_plan(at, staff)
    _publish_grades(at, staff)
    welcome = _promise_coupons(at, ends_at, staff)
    return Shop(
        owner=staff[OWNER],
        operator=staff[OPERATOR],
        finance=staff[FINANCE],
        support=staff[SUPPORT],
        agreement=_publish_agreement(at, staff[OWNER]),
        skus=skus,
        welcome=welcome,
    )


def _hire(at: datetime) -> dict[str, Actor]:
    """Make a staff log-in of each role."""
    actors = {}
    for one in DEMO_STAFF:
        user = StaffUser.objects.create_user(
            username=one.username, password=one.password, first_name=one.name, is_staff=True,
            date_joined=at,
        )  # fmt: skip
        user.groups.add(Group.objects.get(name=one.role))
        actors[one.role] = user.actor
    return actors


def _choose_policies(at: datetime, owner: Actor) -> None:
    """Make the merchant's choices, which rule from the first day on."""
    gate = ReferralPolicy.Gate.REVIEW
    ReferralPolicy.objects.create(effective_from=at, gate=gate, binding_days=365)
    ShopPolicy.objects.create(
        effective_from=at, return_days=7, freight_fen=800, free_freight_from_fen=9_900
    )
    PayoutPolicy.objects.create(effective_from=at, minimum_fen=100, review_from_fen=50_000)
    TaxPolicy.objects.create(
        effective_from=at, mode=TaxPolicy.Mode.LABOR_PER_TIME, confirmed_by=str(owner)
    )
    VatRule.objects.create(
        effective_from=at, basis=VatRule.Basis.NONE, source_note="演示：由店主确认，不代扣",
        confirmed_by=str(owner), confirmed_at=at,
    )  # fmt: skip


def _publish_agreement(at: datetime, owner: Actor) -> Agreement:
    newest = Agreement.objects.filter(code="promoter").order_by("-version").first()
    version = newest.version + 1 if newest else 1
    text = Agreement.objects.create(
        code="promoter", version=version, title="推广员协议", body=AGREEMENT, effective_from=at
    )
    return publish_agreement(agreement_id=text.pk, by=owner, at=at)


def _fill_shelves(at: datetime, rng: Random) -> list[Sku]:
    """Put all goods on sale."""
    for position, (name, shelf) in enumerate(SHELVES.items()):
        category = Category.objects.create(name=name, position=position)
        for one in shelf:
            product = Product.objects.create(
                code=one.code, title=one.title, category=category, returnable=one.returnable,
                description=f"{one.title}，{name}精选。", created_at=at,
            )  # fmt: skip
            Sku.objects.bulk_create(
                Sku(
                    product=product, code=f"{one.code}-{number}", name=variant, price_fen=fen,
                    cost_fen=fen * COST_BPS // 10_000, stock=rng.randint(*STOCK),
                )
                for number, (variant, fen) in enumerate(one.variants, start=1)
            )  # fmt: skip
    return list(Sku.objects.select_related("product").order_by("pk"))


def _publish_plan(at: datetime, staff: dict[str, Actor]) -> None:
    """Publish 10 % and 5 %, with a shelf and a product of their own, the risk of level 2 taken."""
    plan = Plan.objects.create(
        code=PLAN_CODE, name="演示方案", level_max=2, cap_bps=2_000, release_days=15,
        effective_from=at, created_by=str(staff[OPERATOR]),
    )  # fmt: skip
    shelf = {"scope": "category", "category": Category.objects.get(name=SPECIAL_CATEGORY)}
    product = {"scope": "product", "product": Product.objects.get(code=SPECIAL_PRODUCT)}
    for where, shares in (({}, (1_000, 500)), (shelf, (1_200, 400)), (product, (1_500, 500))):
        for level, bps in enumerate(shares, start=1):
            PlanRate.objects.create(plan=plan, level=level, rate_bps=bps, **where)
    accept_level_2(plan_id=plan.pk, by=staff[OWNER], at=at)
    publish_plan(plan_id=plan.pk, by=staff[OWNER], at=at)


def _publish_grades(at: datetime, staff: dict[str, Actor]) -> None:
    """Let promoters earn two grades by what they sell themselves in a month."""
    bars = (("silver", "银牌", 50_000), ("gold", "金牌", 200_000))
    conditions = [
        Condition(Grade.objects.create(code=code, name=name, rank=rank).pk, 1, SALES, 1, fen)
        for rank, (code, name, fen) in enumerate(bars, start=1)
    ]
    draft = GradeDraft(name="推广员等级", effective_from=at, conditions=conditions)
    rule = draft_rule(draft=draft, by=staff[OPERATOR], at=at)
    publish_rule(rule_id=rule.pk, by=staff[OWNER], at=at)


def _promise_coupons(at: datetime, ends_at: datetime, staff: dict[str, Actor]) -> CouponTemplate:
    """Make the coupons, and an invite campaign that begins after a third of the past."""
    prizes = [
        CouponTemplate.objects.create(
            code=f"invite-{fen // 100}", title=f"邀请礼 {fen // 100} 元券", value_fen=fen,
            threshold_fen=threshold, valid_days=60, total=500,
        )
        for fen, threshold in ((500, 5_000), (1_000, 9_900), (2_000, 16_900))
    ]  # fmt: skip
    draft = Draft(
        code=CAMPAIGN_CODE,
        title="好友有礼",
        rules_text=CAMPAIGN_RULES,
        starts_at=at + (ends_at - at) / 4,
        ends_at=ends_at + timedelta(days=30),
        max_invitees=5,
        total_rewards=300,
        tiers=tuple(Tier(number, prize) for number, prize in zip((1, 3, 5), prizes)),
    )
    campaign = draft_campaign(draft=draft, by=staff[OPERATOR], at=at)
    submit_campaign(campaign_id=campaign.pk, by=staff[OPERATOR], at=at)
    approve_campaign(campaign_id=campaign.pk, by=staff[OWNER], at=at)
    return CouponTemplate.objects.create(
        code="welcome", title="新人 8 元券", value_fen=800, threshold_fen=6_900, valid_days=30,
        per_member=1, total=2_000,
    )  # fmt: skip


def run_low(skus: list[Sku]) -> None:
    """Let some goods be nearly sold out, so that the lists have something to warn of."""
    for sku in skus:
        if sku.product.code in SCARCE:
            Sku.objects.filter(pk=sku.pk).update(stock=SCARCE[sku.product.code])
