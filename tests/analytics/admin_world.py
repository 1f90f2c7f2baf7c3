"""Rows of every model, for tests that walk through all pages of the admin."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import count
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from analytics.models import Event, EventDay, FoldCursor, ShopDay
from campaigns.models import (
    Campaign,
    CampaignTier,
    Coupon,
    CouponTemplate,
    Invitation,
    Participation,
    Reward,
)
from commissions.models import (
    Account,
    Accrual,
    ChannelSwitch,
    Commission,
    Correction,
    GradeCondition,
    GradeReview,
    GradeRule,
    PayoutPolicy,
    Period,
    Plan,
    PlanRate,
    Reversal,
    Seal,
    Settlement,
    TaxMonth,
    TaxPolicy,
    Transfer,
    VatRule,
    Withdrawal,
    WithdrawalApproval,
    WithdrawalRequest,
)
from distro import audit
from distro.models import (
    DemoClock,
    IdempotentRequest,
    Job,
    JobRun,
    MissedFact,
    OutboxMessage,
    StaffUser,
    StateChange,
    WechatNotice,
)
from orders.models import Payment, Refund, RefundLine, Shipment, ShopPolicy
from referrals.models import (
    AgreementAcceptance,
    Application,
    Binding,
    Closure,
    ComplianceDay,
    CompliancePolicy,
    ComplianceState,
    Employee,
    ExposureDecision,
    ExposureInvitation,
    ExposurePolicy,
    Grade,
    GradeChange,
    Hold,
    Identity,
    InviteCode,
    LegalOverride,
    MemberToken,
    Merge,
    Message,
    PromoterMove,
    Quitting,
    ReferralPolicy,
    SubscribeQuota,
    Visit,
)
from tests.factories import (
    AT,
    make_agreement,
    make_link,
    make_member,
    make_order,
    make_promoter,
    make_sku,
)

PHONE, PHONE_MASKED = "13812345678", "138****5678"
NAME, NAME_MASKED = "欧阳明日", "欧**"
ID_NUMBER, ID_MASKED = "11010519491231002X", "110***********002X"
numbers = count(1)


def make_staff(role: str = "", **kw: Any) -> StaffUser:
    """Make a staff user with a role, or with none."""
    user = StaffUser.objects.create_user(
        username=f"{role or 'nobody'}{next(numbers)}", password="x", is_staff=True, **kw
    )
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def make_person(**kw: Any) -> Any:
    return make_member(nickname=NAME, phone=PHONE, **kw)


def fill() -> None:
    """Make at least one more row of every model."""
    n = next(numbers)
    staff = make_staff()
    parent = make_promoter(member=make_person())
    promoter = make_promoter(parent=parent, member=make_person(inviter=parent.member))
    order = _fill_orders(promoter, n)
    _fill_referrals(promoter, n)
    _fill_exposure(promoter, n)
    _fill_accounts(promoter)
    _fill_campaigns(promoter, order, n)
    _fill_money(promoter, order, staff, n)
    _fill_books(promoter, staff, n)
    _fill_grades(promoter, n)
    _fill_ground(staff, n)
    Event.objects.create(
        member=order.member, client_event_id=f"e{n}", name="open", occurred_at=AT, received_at=AT
    )
    day = (AT - timedelta(days=n)).date()
    ShopDay.objects.create(day=day, as_of=AT)
    EventDay.objects.create(day=day, name="open")
    FoldCursor.objects.create(table=f"t{n}")


def _fill_books(promoter: Any, staff: StaffUser, n: int) -> None:
    who = str(staff.actor)
    Correction.objects.create(promoter=promoter, kind="correct_up", amount_fen=n, reason="漏记",
                              requested_by=who, requested_at=AT)  # fmt: skip
    last_day = date(1990, 1, 31) + timedelta(days=n)
    Period.objects.create(last_day=last_day, transfers=n, amount_fen=n, closed_by=who, closed_at=AT)
    before, digest = f"{n - 1 or ''}", f"{n}"
    Seal.objects.create(first_id=n, last_id=n, rows=1, marks=b"", before=before, digest=digest,
                        sealed_at=AT)  # fmt: skip


def _fill_grades(promoter: Any, n: int) -> None:
    grade = Grade.objects.latest("pk")
    rule = GradeRule.objects.create(version=n, name="x", effective_from=AT, created_by="staff:1")
    GradeCondition.objects.create(rule=rule, grade=grade, input="own_settled_orders", bar=1)
    fact = {"group": 1, "input": "own_settled_orders", "month": "2026-10", "months": 1,
            "value": 0, "bar": 1}  # fmt: skip
    change = GradeChange.objects.create(
        promoter=promoter, cause="lowered", from_grade=grade, rule_version=n, facts=[fact],
        why="x", changed_by="staff:1", changed_at=AT,
    )  # fmt: skip
    GradeReview.objects.create(
        promoter=promoter, month=date(2026, 10, 1), rule=rule, grade=grade, outcome="lowered",
        facts=[fact], change=change, reviewed_at=AT,
    )  # fmt: skip


def _fill_orders(promoter: Any, n: int) -> Any:
    member = make_person()
    binding = Binding.objects.create(
        member=member, promoter=promoter, mode="first_touch", started_at=AT, made_by="staff:1"
    )
    order = make_order(
        member,
        promoter_1=promoter,
        promoter_2=promoter.parent,
        binding=binding,
        receiver=NAME,
        phone=PHONE,
        address="北京市海淀区中关村大街1号",
    )
    payment = Payment.objects.create(
        order=order, channel="wechat", out_trade_no=f"T{n}", amount_fen=order.paid_fen,
        status="succeeded", transaction_id=f"42{n}", created_at=AT, openid=f"openid-{n:08d}",
    )  # fmt: skip
    refund = Refund.objects.create(
        order=order, payment=payment, out_refund_no=f"R{n}", goods_fen=100, reason="x",
        requested_at=AT,
    )  # fmt: skip
    line = order.lines.get()
    RefundLine.objects.create(refund=refund, line=line, quantity=1, amount_fen=100)
    Shipment.objects.create(order=order, company="SF", tracking_no=f"SF{n}", shipped_at=AT)
    ShopPolicy.objects.create(effective_from=AT + timedelta(seconds=n))
    return order


def _fill_referrals(promoter: Any, n: int) -> None:
    grade = Grade.objects.create(code=f"g{n}", name=f"Grade {n}")
    type(promoter).objects.filter(pk=promoter.pk).update(grade=grade)
    member, agreement = make_person(), make_agreement()
    acceptance = AgreementAcceptance.objects.create(
        agreement=agreement, member=member, body_sha256=agreement.body_sha256, accepted_at=AT,
        row_hash=f"hash{n}",
    )  # fmt: skip
    Application.objects.create(
        member=member, parent=promoter, acceptance=acceptance, requested_at=AT
    )
    Hold.objects.create(promoter=promoter, reason="x", opened_by="staff:1", opened_at=AT)
    Identity.objects.create(
        member=promoter.member, name=NAME, id_number=ID_NUMBER, id_index=f"i{n}", submitted_at=AT
    )
    MemberToken.objects.create(
        member=member, digest=f"d{n}", created_at=AT, expires_at=AT + timedelta(days=30)
    )
    Message.objects.create(
        member=member, kind="x", key=f"m{n}", title="Hello", body="x", created_at=AT
    )
    SubscribeQuota.objects.create(member=member, template="t")
    link = make_link(member=promoter.member)
    Visit.objects.create(link=link, visit_key=f"v{n}", member=member, occurred_at=AT)
    Employee.objects.create(member=make_person(), since=AT, made_by="staff:1")
    ReferralPolicy.objects.create(effective_from=AT + timedelta(seconds=n))
    _fill_joining(promoter, n)


def _fill_joining(promoter: Any, n: int) -> None:
    Quitting.objects.create(promoter=promoter, requested_at=AT)
    InviteCode.objects.create(code=f"{n:08d}", made_by="staff:1", made_at=AT)
    LegalOverride.objects.create(
        subject="purchase_gate", reason="x", document_sha256="ab" * 32, opened_by="staff:1",
        opened_at=AT, expires_at=AT + timedelta(days=9),
    )  # fmt: skip


def _fill_accounts(promoter: Any) -> None:
    asked = {"requested_by": "staff:1", "requested_at": AT}
    waits = [{"kind": "frozen", "amount_fen": 100}]
    Closure.objects.create(member=promoter.member, scope="promoter", waits=waits, **asked)
    PromoterMove.objects.create(promoter=promoter, from_parent=promoter.parent, reason="x", **asked)
    Merge.objects.create(merged=make_person(), survivor=make_person(), reason="x", **asked)


def _fill_exposure(promoter: Any, n: int) -> None:
    start, member = AT + timedelta(seconds=n), make_person()
    policy = ExposurePolicy.objects.create(effective_from=start, salt="s", made_by="staff:1")
    ExposureDecision.objects.create(
        member=member, number=1, policy=policy, shown=False, reason="holdout", in_holdout=True,
        bucket=n, decided_at=AT,
    )  # fmt: skip
    ExposureInvitation.objects.create(member=member, reason="x", made_by="staff:1", made_at=AT)
    CompliancePolicy.objects.create(effective_from=start)
    ComplianceState.objects.create(
        root=promoter.parent, first_root=promoter.parent, status="red", people=30, depth=3,
        organiser_people=30, organiser_depth=3, since=AT,
    )  # fmt: skip
    day = (AT - timedelta(days=n)).date()
    ComplianceDay.objects.create(
        day=day, promoters=30, trees=1, amber=0, red=1, rewards_from=AT, rewards_fen=100,
        cash_fen=0, coupons_fen=100, gate_fen=100, sellers=1, ghosts=1,
    )  # fmt: skip


def _fill_campaigns(promoter: Any, order: Any, n: int) -> None:
    template = CouponTemplate.objects.create(
        code=f"c{n}", title=f"Coupon {n}", value_fen=100, threshold_fen=1000, total=10
    )
    coupon = Coupon.objects.create(
        template=template, member=promoter.member, code=f"K{n}", key=f"k{n}", value_fen=100,
        valid_from=AT, valid_until=AT + timedelta(days=9),
    )  # fmt: skip
    campaign = Campaign.objects.create(
        code=f"a{n}", title=f"Campaign {n}", starts_at=AT, ends_at=AT + timedelta(days=9),
        rules_text="x", max_invitees=3, total_rewards=10, created_by="staff:1",
    )  # fmt: skip
    CampaignTier.objects.create(campaign=campaign, invitees=1, template=template)
    part = Participation.objects.create(
        campaign=campaign, member=promoter.member, link=make_link(promoter.member), joined_at=AT
    )
    invitation = Invitation.objects.create(
        participation=part, campaign=campaign, invitee=order.member, joined_at=AT
    )
    Reward.objects.create(
        participation=part, invitation=invitation, position=1, value_fen=100, coupon=coupon,
        granted_at=AT,
    )  # fmt: skip


def _fill_money(promoter: Any, order: Any, staff: Any, n: int) -> None:
    sku = make_sku()
    plan = Plan.objects.create(
        code=f"p{n}", name=f"Plan {n}", effective_from=AT, created_by=str(staff.actor)
    )
    rate = PlanRate.objects.create(plan=plan, scope="sku", sku=sku, level=1, rate_bps=1000)
    accrual = Accrual.objects.create(order=order, outcome="accrued", plan=plan, accrued_at=AT)
    settlement = Settlement.objects.create(number=f"S{n}", settled_at=AT)
    commission = Commission.objects.create(
        accrual=accrual, order=order, line=order.lines.get(), level=1, promoter=promoter, plan=plan,
        rate=rate, base_fen=10_000, rate_bps=1000, uncapped_fen=1000, amount_fen=1000, paid_at=AT,
        reversed_fen=100, settlement=settlement,
    )  # fmt: skip
    Reversal.objects.create(
        commission=commission, cause="void", amount_fen=100, from_frozen_fen=100, booked_at=AT
    )
    expense, _ = Account.objects.get_or_create(kind="expense", promoter=None, label="")
    frozen = Account.objects.create(kind="frozen", promoter=promoter, balance_fen=1000)
    Transfer.objects.create(
        debit=expense, credit=frozen, amount_fen=1000, code="accrue", idempotency_key=f"t{n}",
        source="x", booked_on=AT.date(), occurred_at=AT,
    )  # fmt: skip
    request = WithdrawalRequest.objects.create(
        number=f"W{n}", promoter=promoter, amount_fen=500, estimated_tax_fen=0, requested_at=AT,
        review_reasons=["first"], approvals_needed=1, made_by=f"member:{promoter.member_id}",
    )  # fmt: skip
    WithdrawalApproval.objects.create(request=request, approved_by=str(staff.actor), approved_at=AT)
    Withdrawal.objects.create(
        request=request, promoter=promoter, number=f"W{n}-1", amount_fen=500, payee_key=f"k{n}",
        openid=f"openid-{n:08d}", requested_at=AT, status="reviewing",
    )  # fmt: skip
    TaxMonth.objects.create(payee_key=f"k{n}", month=AT.date())
    start = AT + timedelta(seconds=n)
    PayoutPolicy.objects.create(effective_from=start)
    TaxPolicy.objects.create(
        effective_from=start, mode="labor_per_time", confirmed_by=str(staff.actor)
    )
    VatRule.objects.create(effective_from=start, basis="none", source_note="x")
    ChannelSwitch.objects.create(channel=f"channel{n}")


def _fill_ground(staff: Any, n: int) -> None:
    with transaction.atomic():
        audit.record(by=staff.actor, action="test.do", target="x", at=AT)
    StateChange.objects.create(
        model="orders.order", object_id=n, from_status="placed", to_status="paid",
        actor_kind="staff", actor_id=staff.pk, at=AT,
    )  # fmt: skip
    MissedFact.objects.create(
        fact="f", uid=f"u{n}", ids={}, error="x", attempts=1, created_at=AT, next_at=AT
    )
    OutboxMessage.objects.create(topic="t", key=f"k{n}", payload={}, created_at=AT, next_at=AT)
    Job.objects.create(name=f"job{n}", created_at=AT, next_at=AT)
    JobRun.objects.create(name="job", started_at=AT)
    IdempotentRequest.objects.create(
        actor_kind="member", actor_id=n, method="POST", path="/", key=f"k{n}", content_hash="x",
        created_at=AT,
    )  # fmt: skip
    DemoClock.objects.get_or_create(pk=1)
    WechatNotice.objects.create(notice_id=f"n{n}", event_type="x", received_at=AT)
    kind = ContentType.objects.get_for_model(StaffUser)
    LogEntry.objects.create(
        user=staff, content_type=kind, object_id=str(n), object_repr="x", action_flag=CHANGE
    )
