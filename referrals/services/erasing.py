"""Erasing who somebody was, when his account is closed: docs/accounts.md says what stays, and why.

Source: docs/accounts.md; 个人信息保护法 art. 47, 网络数据安全管理条例 art. 24.
"""

from __future__ import annotations

from datetime import datetime

from distro.locks import require_transaction
from referrals import selectors_accounts
from referrals.models import Application, Identity, Member, MemberToken, SubscribeQuota, Visit

NOBODY = {"openid": None, "unionid": None, "nickname": "", "phone": "", "phone_index": ""}
NOWHERE = {"device_hmac": "", "ip_hmac": "", "ip_truncated": ""}


def erase_person(*, member_id: int, at: datetime) -> None:
    """Take the personal data out of an account and of those merged into it.

    The openids are free again. Orders, ledger, evidence and tax records stay as they are.
    """
    require_transaction("erase_person()")
    accounts = list(selectors_accounts.accounts_of(member_id).values_list("pk", flat=True))
    Member.objects.filter(pk__in=accounts).update(**NOBODY)
    MemberToken.objects.filter(member__in=accounts, revoked_at=None).update(revoked_at=at)
    MemberToken.objects.filter(member__in=accounts).update(device="")
    SubscribeQuota.objects.filter(member__in=accounts).delete()
    Application.objects.filter(member__in=accounts).update(note="")
    seen = Visit.objects.filter(member__in=accounts, forgotten_at=None)
    seen.update(**NOWHERE, forgotten_at=at)
    if not selectors_accounts.keeps_identity(accounts):
        own = Identity.objects.filter(member__in=accounts)
        own.filter(same_as__isnull=False).delete()
        own.filter(further=None).delete()
