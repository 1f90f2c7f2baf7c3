"""Names of the states in the API's schema, by the model they belong to."""

from __future__ import annotations

ENUM_NAMES = {
    "ApplicationStatusEnum": "referrals.models.Application.Status",
    "CampaignStatusEnum": "campaigns.models.Campaign.Status",
    "CommissionStatusEnum": "commissions.models.Commission.Status",
    "CouponStatusEnum": "campaigns.models.Coupon.Status",
    "ExposureReasonEnum": "referrals.models.ExposureDecision.Reason",
    "IdentityStatusEnum": "referrals.models.Identity.Status",
    "OrderStatusEnum": "orders.models.Order.Status",
    "PromoterStatusEnum": "referrals.models.Promoter.Status",
    "QuittingStatusEnum": "referrals.models.Quitting.Status",
    "RefundStatusEnum": "orders.models.Refund.Status",
    "WithdrawalStatusEnum": "commissions.models.Withdrawal.Status",
}
