"""How people come to the demo shop: by share links; some become promoters, some take part."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from analytics.demo.people import Someone
from analytics.demo.shop import CAMPAIGN_CODE
from analytics.demo.world import Customer, World
from campaigns.services.coupons import grant
from campaigns.services.inviting import attribute_invitee, join_campaign
from referrals.errors import OwnCode
from referrals.models import Identity, Member, Promoter, ShareLink
from referrals.services.agreements import Evidence
from referrals.services.identities import reject_identity, submit_identity, verify_identity
from referrals.services.links import create_link, open_link
from referrals.services.members import login, rename, set_phone
from referrals.services.promoters import (
    apply_to_promote,
    approve_application,
    reject_application,
)

SCENES = ("1007", "1008", "1011", "1036", "1154")
CHANNELS = [choice.value for choice in ShareLink.Channel]
NOTES = ("喜欢你家的茶，想推荐给同事", "小区团长，有三个群", "朋友介绍来的", "做过两年社群", "")
BY_LINK = 0.86  # of the newcomers
NEW_ONES_LEAD = 30  # the newer a promoter, the busier: so the tree grows deep
LOOKED_FIRST = 0.15  # of those, before the visit that the log-in itself is
NAMED, WITH_PHONE = 0.55, 0.25
WELCOMED = 0.12  # get the coupon for newcomers
NAMES_LEFT = 5
SUBMIT_IDENTITY = 0.72  # of the promoters


def come(world: World, someone: Someone, applies: str, at: datetime) -> None:
    """Let somebody log in for the first time; applies: "", "approve", "reject" or "wait"."""
    code = world.some_link() if world.links and world.chance(BY_LINK) else ""
    if code and world.chance(LOOKED_FIRST):
        look(world, code, someone.device, at - timedelta(minutes=3))
    result = login(
        openid=someone.openid, unionid=someone.unionid, link_code=code, device=someone.device,
        at=at,
    )  # fmt: skip
    member = result.member
    if code in world.campaign_links:
        attribute_invitee(member_id=member.pk)
    if applies or world.chance(NAMED):
        member = rename(member_id=member.pk, nickname=someone.name)
    if world.chance(WITH_PHONE):
        set_phone(member_id=member.pk, phone=someone.phone)
    customer = Customer(someone, member)
    if world.chance(WELCOMED):
        template = world.shop.welcome
        key = f"welcome:{member.pk}"
        coupon = grant(member_id=member.pk, template_id=template.pk, key=key, at=at)
        customer.coupons.append(coupon)
    world.customers.append(customer)
    world.by_member[member.pk] = customer
    if applies:
        hours = (2, 60 if applies != "wait" else 12) if world.links else (0.2, 1)
        world.agenda.note(world.soon(at, *hours), partial(apply, world, customer, applies))


def look(
    world: World, code: str, device: str, at: datetime, *, member: Member | None = None
) -> None:
    """Open a share link."""
    rng = world.rng
    try:
        open_link(
            code=code,
            visit_key=f"demo-{rng.getrandbits(64):x}",
            member=member,
            device=device,
            ip=f"{rng.choice((36, 101, 113, 218))}.{rng.randrange(256)}.{rng.randrange(256)}.9",
            scene=rng.choice(SCENES),
            at=at,
        )
    except OwnCode:  # looked at his own poster
        return


def wander(world: World, at: datetime) -> None:
    """Let somebody open a link without buying: a stranger, or a customer again."""
    if not world.links:
        return
    if world.customers and world.chance(0.3):
        customer = world.rng.choice(world.customers)
        look(world, world.some_link(), customer.someone.device, at, member=customer.member)
    else:
        look(world, world.some_link(), f"stranger-{world.rng.getrandbits(40):x}", at)


def apply(world: World, customer: Customer, decision: str, at: datetime) -> None:
    """Sign the agreement and ask to become a promoter."""
    agreement = world.shop.agreement
    application = apply_to_promote(
        member=customer.member,
        agreement_id=agreement.pk,
        body_sha256=agreement.body_sha256,
        evidence=Evidence(
            ip="36.112.4.9", user_agent="MicroMessenger/8.0.50", app_version="1.4.0",
            client_time=at.isoformat(), page_path="pages/promoter/join",
        ),
        note=world.rng.choice(NOTES),
        at=at,
    )  # fmt: skip
    hours = (1, 20) if world.links else (0.2, 0.6)
    if decision == "approve":
        then = partial(approve, world, customer, application.pk)
    elif decision == "reject":
        then = partial(refuse, world, application.pk)
    else:
        return
    world.agenda.note(world.soon(at, *hours), then)


def refuse(world: World, application_id: int, at: datetime) -> None:
    """Reject an application."""
    reason = "资料不完整，请补充后重新申请"
    by = world.shop.operator
    reject_application(application_id=application_id, reason=reason, by=by, at=at)


def approve(world: World, customer: Customer, application_id: int, at: datetime) -> None:
    """Approve an application; the new promoter shares, and gives his name some days later."""
    approve_application(application_id=application_id, by=world.shop.operator, at=at)
    weight = world.rng.paretovariate(1.3) * (1 + len(world.links) / NEW_ONES_LEAD)
    link = _share(world, customer, ShareLink.Target.HOME, "", at)
    world.add_link(link.code, weight)
    if world.chance(0.5):
        product = world.rng.choice(world.shop.skus).product
        link = _share(world, customer, ShareLink.Target.PRODUCT, product.code, at)
        world.add_link(link.code, weight / 2)
    if world.chance(SUBMIT_IDENTITY):
        when = world.soon(at, 5, 24 * 9)
        world.agenda.note(when, partial(give_name, world, customer))


def _share(world: World, customer: Customer, target: str, ref: str, at: datetime) -> ShareLink:
    channel = world.rng.choice(CHANNELS)
    return create_link(
        member=customer.member, target=target, target_ref=ref, channel=channel, expires_at=None,
        at=at,
    )  # fmt: skip


def give_name(world: World, customer: Customer, at: datetime) -> None:
    """Submit name and ID number, which the owner looks at a day or two later."""
    someone = customer.someone
    identity = submit_identity(
        member_id=customer.member.pk, name=someone.name, id_number=someone.id_number, at=at
    )
    world.agenda.note(world.soon(at, 6, 50), partial(check_name, world, identity))


def check_name(world: World, identity: Identity, at: datetime) -> None:
    """Verify an identity; a few are rejected."""
    by = world.shop.owner
    if world.chance(0.05):
        reject_identity(identity_id=identity.pk, reason="姓名与身份证号不一致", by=by, at=at)
    else:
        verify_identity(identity_id=identity.pk, by=by, at=at)


def take_part(world: World, at: datetime) -> None:
    """Let a customer take part in the campaign and share its link."""
    customer = world.rng.choice(world.customers)
    channel = world.rng.choice(CHANNELS)
    part = join_campaign(member=customer.member, code=CAMPAIGN_CODE, channel=channel, at=at)
    if part.link.code not in world.campaign_links:
        world.campaign_links.add(part.link.code)
        world.add_link(
            part.link.code, world.rng.paretovariate(1.2) * (1.5 + len(world.links) / NEW_ONES_LEAD)
        )


def leave_open(world: World, at: datetime) -> None:
    """Leave some names to be verified, for the queue to show."""
    unnamed = Promoter.objects.filter(member__identity=None).order_by("-pk")
    for member_id in list(unnamed.values_list("member_id", flat=True)[:NAMES_LEFT]):
        someone = world.by_member[member_id].someone
        submit_identity(member_id=member_id, name=someone.name, id_number=someone.id_number, at=at)
