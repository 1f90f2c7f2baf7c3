"""The admin's sidebar: what this user may see, in the order of a working day."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

# Group -> (icon, "app.model") of its pages; the list's own name is the title.
GROUPS: list[tuple[Any, list[tuple[str, str]]]] = [
    (
        _("Orders"),
        [
            ("receipt_long", "orders.order"),
            ("assignment_return", "orders.refund"),
            ("inventory_2", "orders.product"),
            ("barcode", "orders.sku"),
            ("category", "orders.category"),
            ("local_shipping", "orders.shipment"),
            ("payments", "orders.payment"),
            ("tune", "orders.shoppolicy"),
        ],
    ),
    (
        _("Promotion"),
        [
            ("account_tree", "tree"),
            ("move_down", "referrals.promotermove"),
            ("diversity_3", "referrals.promoter"),
            ("person_add", "referrals.application"),
            ("key", "referrals.invitecode"),
            ("logout", "referrals.quitting"),
            ("group", "referrals.member"),
            ("no_accounts", "referrals.closure"),
            ("merge", "referrals.merge"),
            ("link", "referrals.binding"),
            ("share", "referrals.sharelink"),
            ("footprint", "referrals.visit"),
            ("storefront", "referrals.employee"),
            ("badge", "referrals.identity"),
            ("front_hand", "referrals.hold"),
            ("military_tech", "referrals.grade"),
            ("stairs", "commissions.graderule"),
            ("trending_up", "referrals.gradechange"),
            ("event_repeat", "commissions.gradereview"),
            ("contract", "referrals.agreement"),
            ("draw", "referrals.agreementacceptance"),
            ("tune", "referrals.referralpolicy"),
            ("balance", "referrals.legaloverride"),
        ],
    ),
    (
        _("Exposure and compliance"),
        [
            ("gpp_maybe", "referrals.compliancestate"),
            ("monitoring", "referrals.complianceday"),
            ("rule", "referrals.compliancepolicy"),
            ("visibility", "referrals.exposurepolicy"),
            ("fact_check", "referrals.exposuredecision"),
            ("waving_hand", "referrals.exposureinvitation"),
        ],
    ),
    (
        _("Campaigns"),
        [
            ("campaign", "campaigns.campaign"),
            ("group_add", "campaigns.participation"),
            ("mail", "campaigns.invitation"),
            ("redeem", "campaigns.reward"),
            ("confirmation_number", "campaigns.coupontemplate"),
            ("local_activity", "campaigns.coupon"),
        ],
    ),
    (
        _("Commissions and money"),
        [
            ("percent", "commissions.plan"),
            ("paid", "commissions.commission"),
            ("calculate", "commissions.accrual"),
            ("undo", "commissions.reversal"),
            ("event_available", "commissions.settlement"),
            ("hourglass_top", "commissions.withdrawalrequest"),
            ("send_money", "commissions.withdrawal"),
            ("account_balance_wallet", "commissions.account"),
            ("swap_horiz", "commissions.transfer"),
            ("rule", "commissions.correction"),
            ("event_busy", "commissions.period"),
            ("fingerprint", "commissions.seal"),
            ("tune", "commissions.payoutpolicy"),
            ("gavel", "commissions.taxpolicy"),
            ("request_quote", "commissions.vatrule"),
            ("toggle_off", "commissions.channelswitch"),
        ],
    ),
    (
        _("Data"),
        [
            ("calendar_month", "analytics.shopday"),
            ("bolt", "analytics.event"),
            ("bar_chart", "analytics.eventday"),
        ],
    ),
    (
        _("System"),
        [
            ("manage_accounts", "distro.staffuser"),
            ("shield_person", "auth.group"),
            ("policy", "distro.auditentry"),
            ("timeline", "distro.statechange"),
            ("edit_note", "admin.logentry"),
            ("inbox", "referrals.message"),
            ("devices", "referrals.membertoken"),
            ("schedule", "distro.job"),
            ("history", "distro.jobrun"),
            ("outbox", "distro.outboxmessage"),
            ("notification_important", "distro.missedfact"),
            ("chat", "distro.wechatnotice"),
        ],
    ),
]

# What waits for a person: title, icon, "app.model", the list's filter.
QUEUES = [
    (_("Orders to ship"), "local_shipping", "orders.order", "status__exact=paid"),
    (_("Applications to review"), "person_add", "referrals.application", "status__exact=pending"),
    (_("Identities to review"), "badge", "referrals.identity", "status__exact=pending"),
    (_("Refunds to review"), "assignment_return", "orders.refund", "status__exact=requested"),
    (
        _("Withdrawals to decide"),
        "hourglass_top",
        "commissions.withdrawalrequest",
        "state=waiting",
    ),
    (_("Accounts to merge"), "merge", "referrals.merge", "status__exact=proposed"),
    (_("Moves to approve"), "move_down", "referrals.promotermove", "status__exact=requested"),
    (_("Trees to look at"), "gpp_maybe", "referrals.compliancestate", "state=waiting"),
    (_("Corrections to decide"), "rule", "commissions.correction", "status__exact=requested"),
]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups that hold a page for this user."""
    today = [_item(request, _("Dashboard"), "monitoring", reverse("admin:index"))]
    for title, icon, model, query in QUEUES:
        if may_view(request.user, model):
            today.append(_item(request, title, icon, f"{list_url(model)}?{query}"))
    groups = [{"title": _("Today"), "items": today}]
    for title, pages in GROUPS:
        items = list(_pages(request, pages))
        if items:
            groups.append({"title": title, "items": items, "collapsible": True})
    return groups


def _pages(request: HttpRequest, pages: list[tuple[str, str]]) -> Iterable[dict[str, Any]]:
    for icon, model in pages:
        if model == "tree" and may_view(request.user, "referrals.promoter"):
            title, url = _("Promoter tree"), reverse("admin:referrals_promoter_tree")
        elif model != "tree" and may_view(request.user, model):
            title = capfirst(apps.get_model(model)._meta.verbose_name_plural)
            url = list_url(model)
        else:
            continue
        yield _item(request, title, icon, url)


def _item(request: HttpRequest, title: Any, icon: str, url: str) -> dict[str, Any]:
    path, _mark, query = url.partition("?")
    here = request.path.startswith(path) if path != reverse("admin:index") else request.path == path
    if path.endswith("/promoter/"):
        here = here and "/tree/" not in request.path
    asked = request.GET.urlencode()
    queues = {filter_ for _title, _icon, model, filter_ in QUEUES if list_url(model) == path}
    active = here and (asked == query if query else asked not in queues)
    return {"title": title, "icon": icon, "link": url, "active": active}


def list_url(model: str) -> str:
    """Return the address of a model's list."""
    return reverse(f"admin:{model.replace('.', '_')}_changelist")


def may_view(user: Any, model: str) -> bool:
    """Say whether a user may see a model's pages."""
    app, name = model.split(".")
    return bool(user.has_perm(f"{app}.view_{name}"))
