"""Typed access to environment variables, for the settings module alone."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

YES = {"1", "true", "yes", "on"}
NO = {"0", "false", "no", "off"}


def read_env_file(path: Path) -> None:
    """Take the variables of a `.env` file that the real environment does not set."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            os.environ.setdefault(key.strip(), value.split(" #")[0].strip().strip("'\""))


def env_str(name: str, default: str | None = None) -> str:
    """Return a text variable, or the content of the file that NAME_FILE names.

    An empty variable counts as not set; `\\n` stands for a line break (keys in PEM).
    Raises ImproperlyConfigured when there is neither a value nor a default.
    """
    if path := os.environ.get(f"{name}_FILE"):
        return _content_of(path, f"{name}_FILE")
    value = os.environ.get(name, "").replace("\\n", "\n") or default
    if value is None:
        raise ImproperlyConfigured(f"Set the environment variable {name}.")
    return value


def env_bool(name: str, *, default: bool) -> bool:
    """Return a yes/no variable; raise ImproperlyConfigured for any other word."""
    value = env_str(name, str(default)).lower()
    if value not in YES | NO:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}.")
    return value in YES


def env_int(name: str, default: int) -> int:
    """Return a whole number; raise ImproperlyConfigured for anything else."""
    value = env_str(name, str(default))
    try:
        return int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from None


def env_list(name: str, default: str | None = "") -> list[str]:
    """Return a comma-separated variable without its empty entries."""
    return [entry.strip() for entry in env_str(name, default).split(",") if entry.strip()]


def env_choice(name: str, choices: set[str], default: str) -> str:
    """Return one of the given words; raise ImproperlyConfigured for any other."""
    value = env_str(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {sorted(choices)}, not {value!r}.")
    return value


def _content_of(path: str, name: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}: {path} cannot be read: {error.strerror}.") from None
