"""The facts of this package. Each is told once, inside the transaction that makes it true."""

from __future__ import annotations

from distro.facts import Fact

# An order was placed with its attribution. Sent by place_order(). Arguments: order_id, member_id.
order_placed = Fact("order_placed")

# An unpaid order ended. Sent by cancel_order(), once. Arguments: order_id, member_id.
order_cancelled = Fact("order_cancelled")

# An order is paid. Sent by confirm_payment() once per order (never for a payment that came after
# the order was cancelled). Accrual is its last receiver. Arguments: order_id, member_id.
order_paid = Fact("order_paid")

# Goods left the house. Sent by ship_order(). Arguments: order_id, member_id.
order_shipped = Fact("order_shipped")

# The buyer has the goods. Sent by complete_order() once. Arguments: order_id, member_id.
order_completed = Fact("order_completed")

# Received, the return days are over and no refund is open. Sent by mature_orders() once.
# Not sent for an order that was refunded in full. Arguments: order_id, member_id.
order_matured = Fact("order_matured")

# A refund succeeded. Sent once per refund by finish_refund(), when the channel says SUCCESS or an
# offline refund is recorded. Not for the refund of a late payment. Arguments: order_id, refund_id.
order_refunded = Fact("order_refunded")
