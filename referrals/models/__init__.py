"""Who: members, the promoter tree, customer bindings, share links, agreements and identities."""

from referrals.models.agreements import Agreement, AgreementAcceptance
from referrals.models.bindings import Binding, ShareLink, Visit
from referrals.models.closures import Closure
from referrals.models.compliance import ComplianceDay, CompliancePolicy, ComplianceState
from referrals.models.employees import Employee
from referrals.models.exposure import ExposureDecision, ExposureInvitation, ExposurePolicy
from referrals.models.grades import GradeChange
from referrals.models.identities import Identity
from referrals.models.invites import InviteCode
from referrals.models.members import Member, MemberToken
from referrals.models.merges import Merge
from referrals.models.messages import Message, SubscribeQuota
from referrals.models.moves import PromoterMove, TreeGate
from referrals.models.overrides import LegalOverride
from referrals.models.policies import ReferralPolicy
from referrals.models.promoters import Application, Grade, Hold, Promoter
from referrals.models.quitting import Quitting

__all__ = [
    "Agreement",
    "AgreementAcceptance",
    "Application",
    "Binding",
    "Closure",
    "ComplianceDay",
    "CompliancePolicy",
    "ComplianceState",
    "Employee",
    "ExposureDecision",
    "ExposureInvitation",
    "ExposurePolicy",
    "Grade",
    "GradeChange",
    "Hold",
    "Identity",
    "InviteCode",
    "LegalOverride",
    "Member",
    "MemberToken",
    "Merge",
    "Message",
    "Promoter",
    "PromoterMove",
    "Quitting",
    "ReferralPolicy",
    "ShareLink",
    "SubscribeQuota",
    "TreeGate",
    "Visit",
]
