"""The staff of a demo: known log-ins, one of each role, refused outside a demo."""

from __future__ import annotations

from dataclasses import dataclass

from distro.roles import FINANCE, OPERATOR, OWNER, SUPPORT


@dataclass(frozen=True)
class DemoStaff:
    """One log-in that everybody may know."""

    role: str
    username: str
    password: str
    name: str


DEMO_STAFF = (
    DemoStaff(OWNER, "owner", "demo-owner-8000", "周掌柜"),
    DemoStaff(OPERATOR, "operator", "demo-operator-8000", "林运营"),
    DemoStaff(FINANCE, "finance", "demo-finance-8000", "钱会计"),
    DemoStaff(SUPPORT, "support", "demo-support-8000", "陈客服"),
)


def demo_staff(role: str) -> DemoStaff:
    """Return the log-in of a role."""
    return next(one for one in DEMO_STAFF if one.role == role)
