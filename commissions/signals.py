"""The facts of this package. Each is told once, inside the transaction that makes it true."""

from __future__ import annotations

from distro.facts import Fact

# An order's commissions were written (also 0 of them). Sent by accrue() once per revision.
# Arguments: order_id, accrual_id.
commission_accrued = Fact("commission_accrued")

# Commissions were taken back. Sent by reverse_for_refund() once per refund that took something.
# Arguments: order_id, refund_id.
commission_reversed = Fact("commission_reversed")

# A chunk of commissions became available. Sent by settle_chunk(). Arguments: settlement_id.
commission_settled = Fact("commission_settled")

# A promoter asked for money. Sent by request_withdrawal(). Arguments: request_id, promoter_id.
withdrawal_requested = Fact("withdrawal_requested")

# A withdrawal waits for the promoter's confirmation, ended paid, failed, rejected or cancelled.
# Sent on each of these moves. Arguments: withdrawal_id, promoter_id, status.
withdrawal_finished = Fact("withdrawal_finished")
