"""Refusals of this package."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError

# --- Placing --------------------------------------------------------------------------------


class NothingOrdered(DomainError):
    """An order needs at least one item."""

    code = "nothing_ordered"
    message = _("Choose at least one item.")
    status = 400


class TooManyItems(DomainError):
    """An order has a limited number of different items."""

    code = "too_many_items"
    message = _("An order can hold at most %(maximum)s different items.")
    status = 400


class QuantityOutOfRange(DomainError):
    """The quantity is not a whole number within its limits."""

    code = "quantity_out_of_range"
    message = _("The quantity must be a whole number from %(minimum)s to %(maximum)s.")
    status = 400


class ItemTwice(DomainError):
    """The same item is named twice."""

    code = "item_twice"
    message = _("Name each item only once.")
    status = 400


class UnknownSku(DomainError):
    """There is no such item."""

    code = "unknown_sku"
    message = _("This item does not exist.")
    status = 400


class NotOnSale(DomainError):
    """The item cannot be bought now."""

    code = "not_on_sale"
    message = _("%(title)s is not on sale.")


class OutOfStock(DomainError):
    """There are not as many left."""

    code = "out_of_stock"
    message = _("Only %(left)s left of %(title)s.")


class OrderTooLarge(DomainError):
    """The order is worth more than one order may be."""

    code = "order_too_large"
    message = _("An order may be worth at most 100 million yuan.")
    status = 400


class UnknownCoupon(DomainError):
    """No rule knows this coupon."""

    code = "unknown_coupon"
    message = _("This coupon does not exist or is not yours.")
    status = 400


# --- Paying, cancelling ---------------------------------------------------------------------


class NotPayable(DomainError):
    """The order does not wait for a payment."""

    code = "not_payable"
    message = _("This order is not waiting for a payment.")


class PayTooLate(DomainError):
    """The time to pay is over."""

    code = "pay_too_late"
    message = _("The time to pay this order is over. Please order again.")


class NoOpenid(DomainError):
    """The buyer is not known to WeChat."""

    code = "no_openid"
    message = _("Please log in with WeChat before you pay.")


class AlreadyPaid(DomainError):
    """WeChat has the money already."""

    code = "already_paid"
    message = _("This order has been paid just now.")


class PaymentClosed(DomainError):
    """WeChat does not take this payment any more; the next try gets a new one."""

    code = "payment_closed"
    message = _("This payment has been closed. Please try once more.")


class PaymentRefused(DomainError):
    """WeChat refuses the payment for certain."""

    code = "payment_refused"
    message = _("WeChat Pay refused this payment (%(reason)s).")


class WechatSilent(DomainError):
    """WeChat gives no clear answer; nothing was decided."""

    code = "wechat_silent"
    message = _("WeChat Pay does not answer at the moment. Please try again.")
    status = 503


class NotCancellable(DomainError):
    """Only an unpaid order can be cancelled."""

    code = "not_cancellable"
    message = _("Only an unpaid order can be cancelled. Ask for a refund instead.")


# --- Shipping -------------------------------------------------------------------------------


class NotShippable(DomainError):
    """Only a paid order that has not left can be shipped."""

    code = "not_shippable"
    message = _("Only a paid order that was not yet shipped can be shipped.")


class RefundIsOpen(DomainError):
    """A refund of this order waits for its end."""

    code = "refund_is_open"
    message = _("A refund of this order is still open. Finish it first.")


class NotReceivable(DomainError):
    """Only a shipped order can be received."""

    code = "not_receivable"
    message = _("Only a shipped order can be confirmed as received.")


class MissingText(DomainError):
    """A text that is needed is empty or too long."""

    code = "missing_text"
    message = _("Enter a text of 1 to %(maximum)s characters.")
    status = 400


# --- Refunds --------------------------------------------------------------------------------


class NotRefundable(DomainError):
    """Only a paid order can be refunded."""

    code = "not_refundable"
    message = _("Only a paid order that is not yet fully refunded can be refunded.")


class RefundTooLate(DomainError):
    """The return period is over."""

    code = "refund_too_late"
    message = _("The return period of this order is over. Please contact the shop.")


class NotReturnable(DomainError):
    """The product is a legal exception from the seven-day return."""

    code = "not_returnable"
    message = _("%(title)s cannot be returned without a reason. Please contact the shop.")


class NothingToRefund(DomainError):
    """The refund names no amount."""

    code = "nothing_to_refund"
    message = _("Name at least one item or the freight to refund.")
    status = 400


class UnknownLine(DomainError):
    """The line is not one of this order."""

    code = "unknown_line"
    message = _("This order has no such item.")
    status = 400


class RefundTooHigh(DomainError):
    """More than what was paid and is not yet refunded or being refunded."""

    code = "refund_too_high"
    message = _("At most %(left_fen)s fen can still be refunded here.")


class RefundQuantityTooHigh(DomainError):
    """More pieces than were bought and are not yet returned."""

    code = "refund_quantity_too_high"
    message = _("At most %(left)s pieces can still be returned here.")


class NotOffline(DomainError):
    """WeChat pays this refund back; nobody may do it a second time by hand."""

    code = "not_offline"
    message = _("Only a refund that is made outside WeChat Pay can be recorded by hand.")


class RefundMayBeUnderWay(DomainError):
    """WeChat may still pay this refund."""

    code = "refund_may_be_under_way"
    message = _("WeChat Pay may still carry out this refund; it cannot be closed now.")
