"""What it earned: plans, accruals, the ledger, settlements and withdrawals.

Account: frozen, available, withdrawing and receivable of a promoter, and the platform's own.
Transfer: one movement, debit -> credit; balance = credits - debits. Rows are never changed.
"""

from commissions.models.accruals import Accrual, Commission, Reversal
from commissions.models.corrections import Correction
from commissions.models.grades import GradeCondition, GradeReview, GradeRule
from commissions.models.ledger import Account, Settlement, Transfer
from commissions.models.periods import Period, Seal
from commissions.models.plans import Plan, PlanRate
from commissions.models.policies import ChannelSwitch, PayoutPolicy, TaxPolicy, VatRule
from commissions.models.withdrawals import (
    TaxMonth,
    Withdrawal,
    WithdrawalApproval,
    WithdrawalRequest,
)

__all__ = [
    "Account",
    "Accrual",
    "ChannelSwitch",
    "Commission",
    "Correction",
    "GradeCondition",
    "GradeReview",
    "GradeRule",
    "PayoutPolicy",
    "Period",
    "Plan",
    "PlanRate",
    "Reversal",
    "Seal",
    "Settlement",
    "TaxMonth",
    "TaxPolicy",
    "Transfer",
    "VatRule",
    "Withdrawal",
    "WithdrawalApproval",
    "WithdrawalRequest",
]
