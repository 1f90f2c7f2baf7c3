"""All periodic work: name -> (dotted path of a service, seconds between two runs).

A job takes the keyword `at` and returns a count; `distro.jobs` runs each by one runner at a time.
"""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600

SCHEDULE: dict[str, tuple[str, int]] = {
    "deliver_outbox": ("distro.outbox.deliver", 5),
    "repeat_missed_facts": ("distro.facts.repeat_missed", MINUTE),
    "expire_bindings": ("referrals.services.bindings.expire_bindings", 10 * MINUTE),
    "close_accounts": ("referrals.services.closing.close_accounts", 10 * MINUTE),
    "carry_customers": ("referrals.services.merging.carry_customers", MINUTE),
    "check_links": ("referrals.services.checking_links.check_links", DAY),
    "forget_visitors": ("referrals.services.links.forget_visitors", DAY),
    "announce_agreements": (
        "referrals.services.announcing.announce_agreements",
        10 * MINUTE,
    ),
    "place_pending": ("referrals.bulk.place_pending", MINUTE),
    "check_trees": ("referrals.services.compliance.check_trees", DAY),
    "expire_orders": ("orders.services.placing.expire_orders", MINUTE),
    "query_payments": ("orders.services.paying.query_payments", 15),
    "query_refunds": ("orders.services.refunding.query_refunds", 30),
    "complete_overdue": ("orders.services.shipping.complete_overdue", 10 * MINUTE),
    "mature_orders": ("orders.services.shipping.mature_orders", MINUTE),
    "run_campaigns": ("campaigns.services.publishing.run_campaigns", MINUTE),
    "expire_coupons": ("campaigns.services.coupons.expire_coupons", 10 * MINUTE),
    "accrue_missing": ("commissions.services.accruing.accrue_missing", MINUTE),
    "settle_due": ("commissions.services.settling.settle_due", MINUTE),
    "send_due": ("commissions.services.paying_out.send_due", 15),
    "query_transfers": ("commissions.services.transferring.query_transfers", 15),
    "remind_confirm": ("commissions.services.reminding.remind_confirm", 5 * MINUTE),
    "raise_grades": ("commissions.services.grading.raise_grades", DAY),
    "close_grades": ("commissions.services.grading.close_grades", DAY),
    "seal_ledger": ("commissions.services.sealing.seal_ledger", DAY),
    "prove_books": ("analytics.books.prove", DAY),
    "fold_days": ("analytics.services.folding.fold_days", MINUTE),
    "check_rewards": ("analytics.compliance.check_rewards", DAY),
    "prune_outbox": ("distro.outbox.prune", HOUR),
    "prune_job_runs": ("distro.jobs.prune_runs", HOUR),
    "prune_idempotent_requests": ("distro.api.idempotency.prune", HOUR),
}
