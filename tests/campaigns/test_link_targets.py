"""Which campaigns a share link cannot open."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from campaigns.models import Campaign
from campaigns.selectors_links import campaign_faults
from referrals.models import ShareLink
from referrals.selectors_links import broken_links, checkers
from referrals.services.checking_links import check_links
from tests.factories import make_link, make_sku

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("status", "days", "fault"),
    [
        ("running", (-1, 1), None),
        ("paused", (-1, 1), None),
        ("running", (-2, 0), "ended"),  # the job that ends it has not run yet
        ("draft", (-1, 1), "not_open"),
        ("review", (-1, 1), "not_open"),
        ("scheduled", (1, 2), "not_open"),
        ("ended", (-1, 1), "ended"),
        ("settled", (-1, 1), "ended"),
        ("archived", (-1, 1), "ended"),
    ],
)
def test_a_campaign_opens_while_it_runs(
    at: datetime, status: str, days: tuple[int, int], fault: str | None
) -> None:
    start, end = (at + day * DAY for day in days)
    Campaign.objects.create(
        code="autumn", title="Autumn", status=status, starts_at=start, ends_at=end, rules_text="x",
        max_invitees=3, total_rewards=10,
    )  # fmt: skip
    wanted = {"autumn": fault} if fault else {}
    assert campaign_faults(["autumn"], at) == wanted
    assert campaign_faults(["winter"], at) == {"winter": "gone"}


def test_the_shop_checks_its_own_targets(at: datetime) -> None:
    """Every registered checker is there and is asked; nobody checks materials and live rooms."""
    known, targets = set(checkers()), set(ShareLink.Target.values)
    assert targets - known == {"material", "live"}
    broken = [
        make_link(target="product", target_ref="P-404"),
        make_link(target="campaign", target_ref="winter"),
    ]
    make_link(target="product", target_ref=make_sku().product.code)
    make_link(target="live", target_ref="L1"), make_link()
    assert check_links(at=at) == 2
    assert set(broken_links(at)) == set(broken)
