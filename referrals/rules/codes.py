"""Codes that survive being copied by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from referrals.errors import MistypedCode

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # 31, a prime; no 0 O, 1 I L
POSITION = {char: position for position, char in enumerate(ALPHABET)}
EVENLY = bytes(ord(ALPHABET[byte % len(ALPHABET)]) for byte in range(256))
SURPLUS = bytes(range(256 // len(ALPHABET) * len(ALPHABET), 256))  # would favour the first letters
CODE_CHARS = 8  # the last one is the check character
MEMBER_NO_CHARS = 10
BLANKS = str.maketrans("", "", " -\u3000\t")

Choose = Callable[[Sequence[str]], str]  # secrets.choice, or a test's own


def new_code(choose: Choose) -> str:
    """Return a random code with its check character: 7 characters are 2.7e10 codes."""
    body = random_text(choose, CODE_CHARS - 1)
    return body + check_character(body)


def random_text(choose: Choose, length: int) -> str:
    """Return random characters of the alphabet."""
    return "".join(choose(ALPHABET) for _ in range(length))


def texts_from(noise: bytes, length: int) -> list[str]:
    """Return as many texts of the alphabet as random bytes give, one in 32 of them unused."""
    letters = noise.translate(EVENLY, SURPLUS).decode("ascii")
    return [letters[at : at + length] for at in range(0, len(letters) - length + 1, length)]


def check_character(body: str) -> str:
    """Return the character that makes the weighted sum of all characters a multiple of 31.

    The weights 2, 3, 4 ... differ from one another and from 0 modulo the prime 31, so that any
    single wrong character and any two exchanged ones are found.
    """
    return ALPHABET[-_weighted(body) % len(ALPHABET)]


def read_code(text: str) -> str:
    """Return the code as it is stored: capitals, no blanks, no hyphens; raise MistypedCode."""
    code = text.translate(BLANKS).upper()
    if len(code) != CODE_CHARS or not set(code) <= set(ALPHABET):
        raise MistypedCode(field="code")
    if check_character(code[:-1]) != code[-1]:
        raise MistypedCode(field="code")
    return code


def _weighted(body: str) -> int:
    return sum(weight * POSITION[char] for weight, char in enumerate(body, start=2))
