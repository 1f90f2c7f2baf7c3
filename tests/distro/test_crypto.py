from __future__ import annotations

import base64

import pytest
from django.core.exceptions import FieldError
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from distro.crypto import (
    PURPOSES,
    Undecryptable,
    blind_index,
    decrypt,
    encrypt,
    mask_id,
    mask_name,
    mask_phone,
    truncate_ip,
)
from distro.models import WechatNotice

PLACE = "members.phone"
PHONE = "13812345678"
OTHER_KEY = "next:" + base64.b64encode(b"n" * 32).decode()


@pytest.fixture
def notice(db, at):
    return WechatNotice.objects.create(notice_id="n1", resource=PHONE, received_at=at)


def stored(pk):
    with connection.cursor() as cursor:
        cursor.execute("SELECT resource FROM distro_wechatnotice WHERE id = %s", [pk])
        return cursor.fetchone()[0]


@given(st.text())
def test_decrypting_gives_the_text_back(text):
    assert decrypt(encrypt(text, PLACE), PLACE) == text if text else encrypt(text, PLACE) == ""


def test_equal_texts_are_stored_differently():
    assert encrypt(PHONE, PLACE) != encrypt(PHONE, PLACE)


def test_a_value_copied_to_another_column_does_not_open():
    with pytest.raises(Undecryptable):
        decrypt(encrypt(PHONE, PLACE), "members.nickname")


@pytest.mark.parametrize("position", [5, 20, -2])
def test_an_altered_value_does_not_open(position):
    token = encrypt(PHONE, PLACE)
    letter = "A" if token[position] != "A" else "B"
    altered = token[:position] + letter + token[position:][1:]
    with pytest.raises(Undecryptable):
        decrypt(altered, PLACE)


@pytest.mark.parametrize("token", ["dev:", "dev:%%%", "gone:AAAA", "no token at all", "dev:QUJD"])
def test_what_was_never_encrypted_does_not_open(token):
    with pytest.raises(Undecryptable):
        decrypt(token, PLACE)


def test_a_new_first_key_encrypts_and_the_old_one_still_opens(settings):
    old = encrypt(PHONE, PLACE)
    settings.FIELD_KEYS = [OTHER_KEY, *settings.FIELD_KEYS]
    assert encrypt(PHONE, PLACE).startswith("next:")
    assert decrypt(old, PLACE) == PHONE


def test_without_its_key_a_value_does_not_open(settings):
    old = encrypt(PHONE, PLACE)
    settings.FIELD_KEYS = [OTHER_KEY]
    with pytest.raises(Undecryptable):
        decrypt(old, PLACE)


def test_the_database_holds_no_clear_text(notice):
    assert PHONE not in stored(notice.pk)
    assert WechatNotice.objects.get().resource == PHONE


def test_updates_encrypt_too(notice):
    WechatNotice.objects.update(resource="13900000000")
    assert "139" not in stored(notice.pk)
    notice.refresh_from_db()
    assert notice.resource == "13900000000"
    notice.resource = "13700000000"
    WechatNotice.objects.bulk_update([notice], ["resource"])
    assert stored(notice.pk).startswith("dev:")
    assert WechatNotice.objects.get().resource == "13700000000"


def test_empty_text_stays_empty(notice):
    WechatNotice.objects.update(resource="")
    assert stored(notice.pk) == ""
    assert WechatNotice.objects.get().resource == ""


@pytest.mark.parametrize("lookup", ["", "__exact", "__contains", "__in", "__gt", "__startswith"])
def test_an_encrypted_field_cannot_be_searched(notice, lookup):
    with pytest.raises(FieldError):
        WechatNotice.objects.filter(**{f"resource{lookup}": PHONE}).exists()


def test_an_encrypted_field_can_be_asked_for_null(notice):
    assert WechatNotice.objects.filter(resource__isnull=False).count() == 1


def test_a_blind_index_is_stable_and_tells_values_and_purposes_apart():
    found = {blind_index(purpose, value) for purpose in PURPOSES for value in (PHONE, "x")}
    assert len(found) == 2 * len(PURPOSES)
    assert blind_index("phone", PHONE) == blind_index("phone", PHONE)
    assert all(len(digits) == 64 and int(digits, 16) >= 0 for digits in found)


def test_a_blind_index_depends_on_its_key(settings):
    before = blind_index("phone", PHONE)
    settings.BLIND_INDEX_KEY = base64.b64encode(b"k" * 32).decode()
    assert blind_index("phone", PHONE) != before


def test_nothing_has_no_index_and_an_unknown_purpose_is_our_bug():
    assert blind_index("device", "") == ""
    with pytest.raises(AssertionError):
        blind_index("name", "x")


@pytest.mark.parametrize(
    ("mask", "clear", "shown"),
    [
        (mask_phone, "13812345678", "138****5678"),
        (mask_phone, "1234567", "*******"),
        (mask_phone, "", ""),
        (mask_name, "张三丰", "张**"),
        (mask_name, "张三", "张*"),
        (mask_name, "张", "*"),
        (mask_name, "Alexander", "A**"),
        (mask_name, "", ""),
        (mask_id, "110101199003071234", "110***********1234"),
        (mask_id, "1234567", "*******"),
        (mask_id, "", ""),
        (truncate_ip, "203.0.113.77", "203.0.113.0/24"),
        (truncate_ip, "2001:db8:1:2::3", "2001:db8:1::/48"),
        (truncate_ip, "::ffff:203.0.113.77", "203.0.113.0/24"),
        (truncate_ip, "nowhere", ""),
        (truncate_ip, "", ""),
    ],
)
def test_masks_hide_enough(mask, clear, shown):
    assert mask(clear) == shown
