"""Variables of the environment are typed; a wrong one is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from distro.env import env_bool, env_choice, env_int, env_list, env_str, read_env_file

KEY = "azY0YmFzZTY0a2V5b2YzMmJ5dGVzYWFhYWFhYWFhYWE="


@pytest.mark.parametrize("word", ["1", "true", "YES", "On"])
def test_yes_words_are_true(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("FLAG", word)
    assert env_bool("FLAG", default=False) is True


@pytest.mark.parametrize("word", ["0", "False", "no", "off"])
def test_no_words_are_false(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("FLAG", word)
    assert env_bool("FLAG", default=True) is False


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "")
    assert (env_str("X", "d"), env_int("X", 3), env_bool("X", default=True)) == ("d", 3, True)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda: env_bool("X", default=True), "maybe"),
        (lambda: env_int("X", 1), "1.5"),
        (lambda: env_choice("X", {"a", "b"}, "a"), "c"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, read: Any, value: str) -> None:
    monkeypatch.setenv("X", value)
    with pytest.raises(ImproperlyConfigured, match=f"X must be .*{value}"):
        read()


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("X", raising=False)
    with pytest.raises(ImproperlyConfigured, match="Set the environment variable X"):
        env_str("X")


def test_a_list_drops_empty_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "a, b,,")
    assert env_list("X") == ["a", "b"]


def test_a_key_may_be_written_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", r"-----BEGIN\nabc\n-----END")
    assert env_str("X") == "-----BEGIN\nabc\n-----END"


def test_a_secret_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from the file\n")
    monkeypatch.setenv("X_FILE", str(tmp_path / "key"))
    assert env_str("X") == "from the file"


def test_an_unreadable_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("X_FILE", str(tmp_path / "none"))
    with pytest.raises(ImproperlyConfigured, match="X_FILE"):
        env_str("X")


def test_the_real_environment_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("X", "real")
    monkeypatch.setenv("Y", "to be removed at the end")
    monkeypatch.delenv("Y")
    (tmp_path / ".env").write_text("# a comment\nX=file\nY='from the file'\n\nnothing here\n")
    read_env_file(tmp_path / ".env")
    assert (os.environ["X"], os.environ["Y"]) == ("real", "from the file")


# --- The settings module as a whole, in a process of its own ---------------------------------


def setting(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Print one setting under exactly these variables."""
    code = f"from distro import settings; print(repr(settings.{name}))"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=settings.BASE_DIR,
        env={"PATH": os.environ["PATH"], "DOTENV_PATH": os.devnull, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


PRODUCTION = {
    "DISTRO_ENV": "production",
    "SECRET_KEY": "x" * 50,
    "FIELD_KEYS": f"1:{KEY}",
    "BLIND_INDEX_KEY": KEY,
    "ALLOWED_HOSTS": "shop.example.com",
}


@pytest.mark.parametrize("name", ["SECRET_KEY", "FIELD_KEYS", "BLIND_INDEX_KEY", "ALLOWED_HOSTS"])
def test_production_does_not_start_without(name: str) -> None:
    done = setting("DEBUG", **{k: v for k, v in PRODUCTION.items() if k != name})
    assert done.returncode != 0
    assert f"Set the environment variable {name}" in done.stderr


@pytest.mark.parametrize(
    ("name", "variables", "expected"),
    [
        ("DEBUG", {}, "True"),
        ("DEBUG", PRODUCTION, "False"),
        ("SESSION_COOKIE_SECURE", PRODUCTION, "True"),
        ("SECURE_HSTS_SECONDS", PRODUCTION, "31536000"),
        ("WECHAT_SANDBOX", {}, "True"),
        ("WECHAT_SANDBOX", PRODUCTION, "False"),
        ("WECHAT_API_BASE", {}, "'http://127.0.0.1:8001'"),
        ("WECHATPAY_GATEWAY", PRODUCTION, "'https://api.mch.weixin.qq.com'"),
        ("CELERY_TASK_ALWAYS_EAGER", {}, "True"),
        ("CELERY_TASK_ALWAYS_EAGER", {"REDIS_URL": "redis://127.0.0.1/0"}, "False"),
        ("DATABASES['default']['ENGINE']", {}, "'django.db.backends.sqlite3'"),
        (
            "DATABASES['default']['HOST']",
            {"DATABASE_URL": "postgres://u@%2Fvar%2Frun%2Fpostgresql/shop"},
            "'/var/run/postgresql'",
        ),
    ],
)
def test_a_setting_follows_the_environment(
    name: str, variables: dict[str, str], expected: str
) -> None:
    done = setting(name, **variables)
    assert done.stdout.strip() == expected, done.stderr


def test_an_unknown_environment_is_refused() -> None:
    assert "DISTRO_ENV must be one of" in setting("DEBUG", DISTRO_ENV="prod").stderr
