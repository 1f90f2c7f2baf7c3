"""Who: members, the promoter tree, customer bindings, share links, agreements and identities."""

from referrals.models.agreements import Agreement, AgreementAcceptance
from referrals.models.bindings import Binding, ShareLink, Visit
from referrals.models.identities import Identity
from referrals.models.members import Member, MemberToken
from referrals.models.messages import Message, SubscribeQuota
from referrals.models.policies import ReferralPolicy
from referrals.models.promoters import Application, Grade, Hold, Promoter

__all__ = [
    "Agreement",
    "AgreementAcceptance",
    "Application",
    "Binding",
    "Grade",
    "Hold",
    "Identity",
    "Member",
    "MemberToken",
    "Message",
    "Promoter",
    "ReferralPolicy",
    "ShareLink",
    "SubscribeQuota",
    "Visit",
]
