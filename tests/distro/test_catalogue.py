"""Messages are found in Python and in templates, and survive an update."""

from __future__ import annotations

import gettext
from pathlib import Path

import polib
import pytest

from distro.catalogue import (
    Message,
    compile_all,
    messages_of,
    python_messages,
    template_messages,
    update,
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('_("Order")', Message(None, "Order", "")),
        ('_("a " "b")', Message(None, "a b", "")),
        ('gettext_lazy("Order")', Message(None, "Order", "")),
        ('translation.gettext("Order")', Message(None, "Order", "")),
        ('ngettext("one", "%d many", n)', Message(None, "one", "%d many")),
        ('pgettext_lazy("month", "May")', Message("month", "May", "")),
        ('npgettext("c", "one", "many", n)', Message("c", "one", "many")),
    ],
)
def test_a_message_is_found_in_python(source: str, expected: Message) -> None:
    assert [message for message, _ in python_messages(source)] == [expected]


@pytest.mark.parametrize("source", ["_(name)", 'print("Order")', 'ngettext("one", many, n)'])
def test_what_is_no_message_is_left_alone(source: str) -> None:
    assert not list(python_messages(source))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{% translate "Hello" %}', Message(None, "Hello", "")),
        ('{% translate "May" context "month" %}', Message("month", "May", "")),
        ('{{ _("Hello")|upper }}', Message(None, "Hello", "")),
        (
            "{% blocktranslate trimmed %}\n  Dear {{ name }},\n  hello\n{% endblocktranslate %}",
            Message(None, "Dear %(name)s, hello", ""),
        ),
        (
            "{% blocktranslate count n=3 %}one{% plural %}{{ n }} many{% endblocktranslate %}",
            Message(None, "one", "%(n)s many"),
        ),
    ],
)
def test_a_message_is_found_in_a_template(source: str, expected: Message) -> None:
    found = [message for message, _ in template_messages("{% load i18n %}<a b='\"'>" + source)]
    assert found == [expected]


def test_a_folder_is_walked_without_tests_and_migrations(tmp_path: Path) -> None:
    for name in ("orders/models.py", "orders/migrations/0001.py", "orders/tests/test_x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"x = _('{name}')")
    found = messages_of(tmp_path, ["orders", "templates"])
    assert found == {Message(None, "orders/models.py", ""): [("orders/models.py", 1)]}


def test_an_update_keeps_translations_and_drops_what_is_unused(tmp_path: Path) -> None:
    path = tmp_path / "django.po"
    kept, gone, new = (Message(None, text, "") for text in ("Order", "Old", "New"))
    assert update(path, {kept: [("a.py", 1)], gone: [("a.py", 2)]}) == ["Old", "Order"]
    catalogue = polib.pofile(str(path))
    catalogue.find("Order").msgstr = "订单"
    catalogue.save()
    assert update(path, {kept: [("a.py", 9)], new: [("b.py", 1)]}) == ["New"]
    assert {entry.msgid: entry.msgstr for entry in polib.pofile(str(path))} == {
        "New": "",
        "Order": "订单",
    }


def test_a_compiled_catalogue_translates(tmp_path: Path) -> None:
    folder = tmp_path / "zh_Hans" / "LC_MESSAGES"
    update(folder / "django.po", {Message(None, "one", "%d many"): [("a.py", 1)]})
    catalogue = polib.pofile(str(folder / "django.po"))
    catalogue[0].msgstr_plural = {0: "%d 个"}
    catalogue.save()
    assert compile_all([tmp_path]) == 1
    translation = gettext.translation("django", tmp_path, ["zh_Hans"])
    assert translation.ngettext("one", "%d many", 3) == "%d 个"
