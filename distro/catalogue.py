"""Message catalogues without the gettext programs, which a fresh machine does not have.

Python is read through its syntax tree, templates through Django's own `templatize`.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polib
from django.utils.translation.template import templatize

FUNCTIONS = {"gettext", "ngettext", "pgettext", "npgettext"}
LITERAL = r"""u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
TEMPLATE_CALL = re.compile(rf"\b(n?p?gettext|_)\(({LITERAL}(?:,\s*{LITERAL})*)")
SKIPPED_PARTS = {"migrations", "tests", "var", "staticfiles", "node_modules"}
HEADER = {"Content-Type": "text/plain; charset=UTF-8", "Content-Transfer-Encoding": "8bit"}


class Message(NamedTuple):
    """One text to translate; two messages with equal fields are the same entry."""

    context: str | None
    text: str
    plural: str


def messages_of(base: Path, folders: list[str]) -> dict[Message, list[tuple[str, int]]]:
    """Return every message of the code with the places (file, line) that use it."""
    found: dict[Message, list[tuple[str, int]]] = defaultdict(list)
    for folder in folders:
        for path in sorted((base / folder).rglob("*")):
            if SKIPPED_PARTS & set(path.relative_to(base).parts):
                continue
            for message, line in messages_in(path):
                found[message].append((path.relative_to(base).as_posix(), line))
    return dict(found)


def messages_in(path: Path) -> Iterator[tuple[Message, int]]:
    """Yield the messages of one file with their lines; other kinds of files hold none."""
    if path.suffix == ".py":
        yield from python_messages(path.read_text(encoding="utf-8"))
    elif path.suffix in {".html", ".txt"} and "templates" in path.parts:
        yield from template_messages(path.read_text(encoding="utf-8"))


def python_messages(source: str) -> Iterator[tuple[Message, int]]:
    """Yield the messages of Python source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (message := _of_call(node)):
            yield message, node.lineno


def template_messages(source: str) -> Iterator[tuple[Message, int]]:
    """Yield the messages of a Django template."""
    code = templatize(source)
    for call in TEMPLATE_CALL.finditer(code):
        name = "gettext" if call[1] == "_" else call[1]
        values = [str(ast.literal_eval(text)) for text in re.findall(LITERAL, call[2])]
        yield _message(name, values), code.count("\n", 0, call.start()) + 1


def _of_call(node: ast.Call) -> Message | None:
    """Return the message of a gettext call, None for other calls and for variables."""
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    name = "gettext" if name == "_" else name.removesuffix("_lazy").removesuffix("_noop")
    if name not in FUNCTIONS:
        return None
    values = [a.value for a in node.args if isinstance(a, ast.Constant)]
    texts = [value for value in values if isinstance(value, str)]
    return _message(name, texts) if len(texts) >= _needed(name) else None


def _needed(name: str) -> int:
    return {"gettext": 1, "ngettext": 2, "pgettext": 2, "npgettext": 3}[name]


def _message(name: str, values: list[str]) -> Message:
    context = values.pop(0) if "p" in name else None
    return Message(context, values[0], values[1] if name.startswith("n") else "")


def update(catalogue: Path, found: dict[Message, list[tuple[str, int]]]) -> list[str]:
    """Write what was found into a catalogue, keep its translations, drop what is unused.

    Returns the texts that still lack a translation.
    """
    old = polib.pofile(str(catalogue)) if catalogue.exists() else polib.POFile()
    known = {_key(entry): entry for entry in old}
    new = polib.POFile(wrapwidth=100)
    new.metadata = old.metadata or {**HEADER, "Plural-Forms": "nplurals=1; plural=0;"}
    for message in sorted(found, key=lambda m: (m.text, m.context or "", m.plural)):
        entry = known.get(message) or polib.POEntry(
            msgctxt=message.context,
            msgid=message.text,
            msgid_plural=message.plural,
            msgstr_plural={0: ""} if message.plural else {},
        )
        # Lines would change with every edit; files say enough.
        entry.occurrences = sorted({(file, "") for file, _ in found[message]})
        new.append(entry)
    catalogue.parent.mkdir(parents=True, exist_ok=True)
    new.save(str(catalogue))
    return [entry.msgid for entry in new if not entry.translated()]


def _key(entry: polib.POEntry) -> Message:
    return Message(entry.msgctxt, entry.msgid, entry.msgid_plural)


def compile_all(folders: list[Path]) -> int:
    """Compile every .po file below the folders into the .mo file beside it; return how many."""
    sources = sorted({path for folder in folders for path in folder.rglob("*.po")})
    for source in sources:
        polib.pofile(str(source)).save_as_mofile(str(source.with_suffix(".mo")))
    return len(sources)
