"""Codes copied by hand: a slip is told from an unknown code."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distro.wechat.mini import SCENE
from referrals.errors import MistypedCode
from referrals.rules.codes import ALPHABET, CODE_CHARS, check_character, new_code, read_code

codes = st.text(ALPHABET, min_size=CODE_CHARS - 1, max_size=CODE_CHARS - 1).map(
    lambda body: body + check_character(body)
)
places = st.integers(0, CODE_CHARS - 1)


@given(codes)
def test_a_code_is_read_as_it_was_made(code: str) -> None:
    assert read_code(code) == code


@given(codes, places, st.sampled_from(ALPHABET))
def test_one_wrong_character_is_always_found(code: str, place: int, char: str) -> None:
    wrong = code[:place] + char + code[place + 1 :]
    if wrong != code:
        with pytest.raises(MistypedCode):
            read_code(wrong)


@given(codes, places, places)
def test_two_exchanged_characters_are_always_found(code: str, one: int, two: int) -> None:
    chars = list(code)
    chars[one], chars[two] = chars[two], chars[one]
    if (wrong := "".join(chars)) != code:
        with pytest.raises(MistypedCode):
            read_code(wrong)


@given(codes)
def test_blanks_hyphens_and_small_letters_do_no_harm(code: str) -> None:
    assert read_code(f" {code[:4].lower()}-{code[4:]}\u3000") == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "P0001",
        "ABCDEFG0",
        "ABCDEFGI",
        "ABCDEFGHJ",
        "中文中文中文中文",
        "'; DROP --",
        "ＡＢＣＤＥＦＧＨ",
    ],
)
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(MistypedCode) as caught:
        read_code(text)
    assert (caught.value.code, caught.value.field) == ("mistyped_code", "code")


def test_no_character_looks_like_another() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 31
    assert not set("0O1IL") & set(ALPHABET)


def test_a_code_fits_a_mini_program_scene_and_no_imported_promoter_number() -> None:
    code = new_code(random.Random(1).choice)
    assert len(code) == 8
    assert SCENE.fullmatch(code)
    assert not re.fullmatch(r"P\d+", code)
