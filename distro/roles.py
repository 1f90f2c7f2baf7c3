"""The roles of staff: one table of who may do what, written into the groups after each migrate.

A permission is looked at where a page is shown and where a step is taken; a step on money also
asks its service. Rights given to these groups by hand do not last: change this table.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.db import connections
from django.utils.translation import gettext_lazy as _

OWNER, OPERATOR, FINANCE, SUPPORT = "owner", "operator", "finance", "support"

LABELS = {
    OWNER: _("Owner"),
    OPERATOR: _("Operator"),
    FINANCE: _("Finance"),
    SUPPORT: _("Support"),
}

EDIT = "view add change delete"

# Role -> "app.model", or "app.*" for every model of the app -> what it may do there. Other words
# than view, add, change and delete are whole codenames.
GRANTS: dict[str, dict[str, str]] = {
    OWNER: {
        **{f"{app}.*": "*" for app in settings.PROJECT_APPS},
        "admin.logentry": "view",
        "auth.group": "view",
    },
    OPERATOR: {
        "referrals.*": "view",
        "referrals.membertoken": "",
        "referrals.identity": "",
        "referrals.application": "view change",
        "referrals.invitecode": "view add change",
        "referrals.exposureinvitation": "view add change",
        "referrals.promotermove": "view add decide_promotermove",
        "referrals.promoter": "view change",
        "referrals.closure": "view close_account",
        "referrals.merge": "view decide_merge",
        "referrals.binding": "view change view_timeline export_timeline",
        "referrals.sharelink": "view change",
        "referrals.grade": "view add change",
        "referrals.gradechange": "view set_grade",
        "orders.*": "view",
        "orders.category": EDIT,
        "orders.product": EDIT,
        "orders.sku": EDIT,
        "orders.order": "view change view_delivery",
        "orders.refund": "view change",
        "campaigns.*": "view",
        "campaigns.campaign": "view add change",
        "campaigns.campaigntier": EDIT,
        "campaigns.coupontemplate": "view add change",
        "commissions.plan": "view",
        "commissions.planrate": "view",
        "commissions.graderule": "view add change",
        "commissions.gradecondition": EDIT,
        "commissions.gradereview": "view",
        "analytics.*": "view",
    },
    FINANCE: {
        "referrals.member": "view",
        "referrals.promoter": "view",
        "referrals.promotermove": "view",
        "referrals.grade": "view",
        "referrals.gradechange": "view",
        "referrals.binding": "view view_timeline",
        "referrals.identity": "view",
        "referrals.hold": "view add change",
        "referrals.closure": "view",
        "referrals.merge": "view",
        "referrals.agreement": "view",
        "referrals.agreementacceptance": "view",
        "referrals.compliancestate": "view",
        "referrals.complianceday": "view",
        "referrals.compliancepolicy": "view",
        "orders.*": "view",
        "campaigns.coupon": "view",
        "campaigns.coupontemplate": "view",
        "commissions.*": "view",
        "commissions.commission": "view export_commission",
        "commissions.withdrawalrequest": "view",
        "commissions.withdrawal": "view decide_withdrawal",
        "commissions.channelswitch": "view change",
        "commissions.correction": "view add decide_correction",
        "commissions.period": "view add",
        "distro.auditentry": "view",
        "distro.statechange": "view",
        "analytics.*": "view",
    },
    SUPPORT: {
        "referrals.member": "view",
        "referrals.promoter": "view",
        "referrals.promotermove": "view",
        "referrals.grade": "view",
        "referrals.gradechange": "view",
        "referrals.application": "view",
        "referrals.closure": "view",
        "referrals.quitting": "view",
        "referrals.binding": "view view_timeline",
        "referrals.sharelink": "view",
        "referrals.message": "view",
        "referrals.exposuredecision": "view",
        "referrals.exposureinvitation": "view",
        "orders.*": "view",
        "orders.payment": "",
        "orders.shoppolicy": "",
        "campaigns.campaign": "view",
        "campaigns.campaigntier": "view",
        "campaigns.coupon": "view",
        "campaigns.coupontemplate": "view",
    },
}

APPS = [*settings.PROJECT_APPS, "admin", "auth"]


def codenames(role: str, app: str, model: str) -> set[str] | None:
    """Return what a role may do with a model; None for everything there is."""
    grants = GRANTS[role]
    words = grants.get(f"{app}.{model}", grants.get(f"{app}.*", ""))
    if words == "*":
        return None
    plain = {"view", "add", "change", "delete"}
    return {f"{word}_{model}" if word in plain else word for word in words.split()}


def sync_after_migrate(sender: AppConfig, using: str = "default", **kwargs: Any) -> None:
    """Bring the groups' rights in one app in line with the table."""
    if sender.label in APPS and "auth_group" in connections[using].introspection.table_names():
        sync(sender.label)


def sync(app: str) -> None:
    """Write the rights of every role in one app; what the table does not give is taken away."""
    there = list(
        Permission.objects.filter(content_type__app_label=app).select_related("content_type")
    )
    for role in GRANTS:
        group, _created = Group.objects.get_or_create(name=role)
        wanted = {row.pk for row in there if _grants(role, app, row)}
        has = set(
            group.permissions.filter(content_type__app_label=app).values_list("pk", flat=True)
        )
        group.permissions.add(*(wanted - has))
        group.permissions.remove(*(has - wanted))


def _grants(role: str, app: str, permission: Permission) -> bool:
    names = codenames(role, app, permission.content_type.model)
    return names is None or permission.codename in names
