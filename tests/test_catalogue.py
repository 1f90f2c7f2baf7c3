"""Staff and buyers read Chinese: no text of the code lacks a translation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest
from django.conf import settings

from distro.catalogue import Message, messages_of

CATALOGUE = settings.BASE_DIR / "locale/zh_Hans/LC_MESSAGES/django.po"
ALL = sorted((settings.BASE_DIR / "locale").rglob("*.po"))
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")


def faults_of(entries: dict[Message, polib.POEntry], needed: set[Message]) -> Iterator[str]:
    """Yield what a reader of Chinese would stumble over, and what nobody reads."""
    for message in sorted(needed, key=str):
        entry = entries.get(message)
        if entry is None or not entry.translated():
            yield f"no translation: {message.text!r}"
    for message in entries.keys() - needed:
        yield f"not in the code any more: {message.text!r}"


def placeholder_faults(entries: list[polib.POEntry]) -> Iterator[str]:
    """Yield translations whose placeholders differ from the text's: they fail when shown."""
    for entry in entries:
        wanted = set(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
        for text in [entry.msgstr, *entry.msgstr_plural.values()]:
            if text and set(PLACEHOLDER.findall(text)) != wanted:
                yield f"placeholders differ: {entry.msgid!r} and {text!r}"


def read(path: Path) -> dict[Message, polib.POEntry]:
    return {Message(e.msgctxt, e.msgid, e.msgid_plural): e for e in polib.pofile(str(path))}


def test_every_text_of_the_code_is_translated() -> None:
    needed = set(messages_of(settings.BASE_DIR, settings.MESSAGE_FOLDERS))
    faults = list(faults_of(read(CATALOGUE), needed))
    assert not faults, "\n".join([*faults, "run `make messages`, then translate"])


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.parent.parent.parent.name))
def test_translations_have_the_placeholders_of_their_texts(path: Path) -> None:
    assert not list(placeholder_faults(list(polib.pofile(str(path)))))


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.parent.parent.parent.name))
def test_no_translation_is_a_guess(path: Path) -> None:
    assert not [entry.msgid for entry in polib.pofile(str(path)) if entry.fuzzy]


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ({}, "no translation: 'Order'"),
        ({"Order": ""}, "no translation: 'Order'"),
        ({"Order": "订单", "Old": "旧"}, "not in the code any more: 'Old'"),
    ],
)
def test_a_gap_is_found(entries: dict[str, str], fault: str) -> None:
    catalogue = {
        Message(None, text, ""): polib.POEntry(msgid=text, msgstr=translation)
        for text, translation in entries.items()
    }
    assert fault in list(faults_of(catalogue, {Message(None, "Order", "")}))


def test_a_lost_placeholder_is_found() -> None:
    entry = polib.POEntry(msgid="%(name)s paid", msgstr="已支付")
    assert list(placeholder_faults([entry]))
