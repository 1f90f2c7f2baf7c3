"""Pay by headcount, looked for in what was really paid: every day, over the whole shop.

Cash exists as commission of a paid order line alone and campaigns reward with coupons, so most of
these sums are 0 as the program is; this is the check that they stay so. Points are not paid by
anything yet and are not in the sums.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet, Sum

from campaigns.models import Reward
from commissions.models import Account, Commission, Transfer
from commissions.selectors import plan_at
from referrals.selectors_compliance import compliance_policy_at
from referrals.services.compliance import Rewards, note_rewards

# What a customer bought altogether, the most of it for each promoter, then the promoters.
GHOSTS = """
    SELECT COUNT(*), COALESCE(SUM(CASE WHEN most <= %s THEN 1 ELSE 0 END), 0) FROM (
        SELECT MAX(bought) AS most FROM (
            SELECT promoter_1_id, SUM(paid_fen - freight_fen) AS bought FROM orders_order
            WHERE paid_at IS NOT NULL AND promoter_1_id IS NOT NULL
            GROUP BY promoter_1_id, member_id
        ) AS customers GROUP BY promoter_1_id
    ) AS promoters
"""


def check_rewards(*, at: datetime) -> int:
    """Sum up what rewards cost and whose customers only bought the minimum; return the ghosts."""
    policy = compliance_policy_at(at)
    since = at - timedelta(days=policy.reward_days)
    gate_fen = policy.reward_gate_fen or smallest_order_fen(at)
    sellers, ghosts = ghost_sales(gate_fen) if gate_fen else (None, None)
    cash, coupons = cash_rewards(since, at), coupon_rewards(since, at)
    found = Rewards(
        rewards_from=since,
        rewards_fen=cash[0] + coupons[0],
        cash_fen=cash[1],
        coupons_fen=coupons[1],
        gate_fen=gate_fen or None,
        sellers=sellers,
        ghosts=ghosts,
    )
    note_rewards(rewards=found, at=at)
    return ghosts or 0


def smallest_order_fen(at: datetime) -> int:
    """Return from which order on the plan in force pays anything; 0 without such a bound."""
    plan = plan_at(at)
    return plan.min_order_fen if plan else 0


def cash_rewards(since: datetime, until: datetime) -> tuple[int, int]:
    """Return (all cash given to promoters, that without a paid order behind it) in (since, until].

    Commissions count by their accrual. A correction by two persons is no reward. Whatever else
    the expense account pays to a promoter is taken for unpaid-for until this function knows
    better.
    """
    commissions = Commission.objects.filter(
        accrual__accrued_at__gt=since, accrual__accrued_at__lte=until, voided_at=None
    )
    paid_fen, unpaid_fen = _sums(
        commissions, "amount_fen", Q(order__paid_at=None) | Q(line__paid_fen=0)
    )
    others = Transfer.objects.filter(
        occurred_at__gt=since,
        occurred_at__lte=until,
        debit__kind=Account.Kind.EXPENSE,
        credit__promoter__isnull=False,
    ).exclude(code__in=[Transfer.Code.ACCRUE, Transfer.Code.CORRECT_UP])
    other_fen = int(others.aggregate(fen=Sum("amount_fen"))["fen"] or 0)
    return paid_fen + other_fen, unpaid_fen + other_fen


def coupon_rewards(since: datetime, until: datetime) -> tuple[int, int]:
    """Return (all rewards of campaigns, those without a paid order) in (since, until], in fen.

    A reward that was recorded as lost has cost the shop its coupon all the same.
    """
    rewards = Reward.objects.filter(granted_at__gt=since, granted_at__lte=until)
    return _sums(rewards, "value_fen", Q(invitation__order__paid_at=None))


def ghost_sales(gate_fen: int) -> tuple[int, int]:
    """Return (promoters with customers who bought, those of them who sold only the minimum).

    The pattern is "buy once to join": no customer of such a promoter has paid for goods of more
    than `gate_fen` altogether, freight left out.
    """
    with connection.cursor() as cursor:
        cursor.execute(GHOSTS, [gate_fen])
        sellers, ghosts = cursor.fetchone()
    return int(sellers), int(ghosts)


def _sums(rows: QuerySet[Any], column: str, unpaid: Q) -> tuple[int, int]:
    """Return what all rows come to, and those of them without a paid order."""
    sums = rows.order_by().aggregate(whole=Sum(column), part=Sum(column, filter=unpaid))
    return int(sums["whole"] or 0), int(sums["part"] or 0)
