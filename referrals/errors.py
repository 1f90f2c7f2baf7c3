"""What this package refuses, and why."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from distro.errors import DomainError


class UnsafeTreeWrite(RuntimeError):
    """A way of writing the promoter tree that would break it: our bug, use the named service."""

    def __init__(self, door: str, instead: str) -> None:
        super().__init__(f"{door} would break the promoter tree: use {instead}.")


# --- Log-in ---------------------------------------------------------------------------------


class LoginCodeWrong(DomainError):
    """WeChat does not know the login code, or its five minutes are over."""

    code = "login_code_wrong"
    message = _("The login code is wrong or has expired; log in again.")
    status = 400


class LoginCodeUsed(DomainError):
    """The login code was used before."""

    code = "login_code_used"
    message = _("The login code was already used; log in again.")
    status = 400


class LoginRefusedByWechat(DomainError):
    """WeChat's risk control refuses this user."""

    code = "login_refused"
    message = _("WeChat does not let this account log in.")
    status = 403


class WechatUnavailable(DomainError):
    """WeChat did not answer, or said that it is busy."""

    code = "wechat_unavailable"
    message = _("WeChat cannot be reached at the moment; try again later.")
    status = 503


class TokenInvalid(DomainError):
    """The token is unknown, revoked or too old."""

    code = "token_invalid"
    message = _("You are not logged in any more; log in again.")
    status = 401


class MemberBlocked(DomainError):
    """The account may not be used."""

    code = "member_blocked"
    message = _("This account is blocked.")
    status = 403


class MemberClosed(DomainError):
    """The account was closed by its owner."""

    code = "member_closed"
    message = _("This account was closed.")
    status = 403


class BadPhone(DomainError):
    """The phone code is wrong, or what stands behind it is no phone number."""

    code = "bad_phone"
    message = _("The phone number could not be read; authorise it again.")
    status = 400


# --- Share codes ----------------------------------------------------------------------------


class UnknownCode(DomainError):
    """The code is well formed, but nobody has it."""

    code = "unknown_code"
    message = _("This share code does not exist.")
    status = 404


class MistypedCode(DomainError):
    """The code's check character does not fit: it was copied wrongly."""

    code = "mistyped_code"
    message = _("This share code is mistyped; compare it character by character.")
    status = 400


class RevokedCode(DomainError):
    """Its owner took the code back, or may not share any more."""

    code = "revoked_code"
    message = _("This share code was revoked.")
    status = 410


class ExpiredCode(DomainError):
    """The code's time is over."""

    code = "expired_code"
    message = _("This share code has expired.")
    status = 410


class BadTarget(DomainError):
    """The link's target and the object it names do not fit together."""

    code = "bad_target"
    message = _("This target needs the code of an object, or must not have one.")
    status = 400


class ExpiryInPast(DomainError):
    """A link would be expired from the start."""

    code = "expiry_in_past"
    message = _("The expiry must be in the future.")
    status = 400


# --- Binding --------------------------------------------------------------------------------


class OwnCode(DomainError):
    """A person used a code of his own, whatever account it was made with."""

    code = "own_code"
    message = _("You cannot use your own share code.")


class YoungerInviter(DomainError):
    """The inviter's account is younger than the invitee's first visit."""

    code = "younger_inviter"
    message = _("The inviter joined after this customer's first visit.")


class AlreadyBound(DomainError):
    """The customer is bound to this promoter."""

    code = "already_bound"
    message = _("The customer is already bound to this promoter.")


class PromoterNotActive(DomainError):
    """The promoter is suspended or closed."""

    code = "promoter_not_active"
    message = _("This promoter is not active.")


class ReasonMissing(DomainError):
    """A person has to say why."""

    code = "reason_missing"
    message = _("Give a reason.")
    status = 400


# --- Becoming a promoter ---------------------------------------------------------------------


class NoAgreement(DomainError):
    """There is no agreement in force to sign."""

    code = "no_agreement"
    message = _("There is no promoter agreement in force yet.")
    status = 404


class AgreementOutdated(DomainError):
    """Another version of the agreement is in force."""

    code = "agreement_outdated"
    message = _("The agreement has a newer version; read and accept that one.")


class AgreementTextDiffers(DomainError):
    """The text that was shown is not the text of the agreement."""

    code = "agreement_text_differs"
    message = _("The text you were shown differs from the agreement; load it again.")


class AgreementPublished(DomainError):
    """A published text is fixed."""

    code = "agreement_published"
    message = _("This version is already published; write a new one.")


class NotPromoter(DomainError):
    """Only promoters have this."""

    code = "not_promoter"
    message = _("You are not a promoter.")
    status = 403


class AlreadyPromoter(DomainError):
    """The member is a promoter."""

    code = "already_promoter"
    message = _("You are already a promoter.")


class ApplicationWaiting(DomainError):
    """An application of the member waits for its decision."""

    code = "application_waiting"
    message = _("Your application is waiting for a decision.")


# --- Identity -------------------------------------------------------------------------------


class BadIdNumber(DomainError):
    """The ID number has a wrong shape, date or check character."""

    code = "bad_id_number"
    message = _("This is not a valid 18-character ID number.")
    status = 400


class BadName(DomainError):
    """The text cannot be a real name."""

    code = "bad_name"
    message = _("Write the name as it stands on the ID card.")
    status = 400


class TooYoung(DomainError):
    """A promoter is at least 18."""

    code = "too_young"
    message = _("You must be at least %(years)s years old.")


class IdentityWaiting(DomainError):
    """An identity waits for its review."""

    code = "identity_waiting"
    message = _("Your identity is waiting for its review.")


class IdentityVerified(DomainError):
    """The identity is settled."""

    code = "identity_verified"
    message = _("Your identity is already verified.")


class IdentityTaken(DomainError):
    """Another account was verified with this ID number: one person, one payee."""

    code = "identity_taken"
    message = _("Another account is already verified with this ID number.")


# --- Messages -------------------------------------------------------------------------------


class UnknownTemplate(DomainError):
    """No kind of message has this template."""

    code = "unknown_template"
    message = _("There is no such kind of message: %(name)s.")
    status = 400
