from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from distro.wechat.config import REQUIRED, config, forget_config
from distro.wechat.sandbox.keys import load_keys

ROOT = Path(__file__).parents[3]
REAL = dict.fromkeys(REQUIRED.values(), "x")
PEM = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"


@pytest.fixture(autouse=True)
def fresh_config():
    forget_config()
    yield
    forget_config()


def test_sandbox_credentials_come_from_the_keys_file(tmp_path):
    with override_settings(WECHAT_SANDBOX=True, SANDBOX_DIR=tmp_path, WECHAT_APPID="wx-setting"):
        found = config()
    keys = load_keys(tmp_path)
    assert (found.appid, found.secret, found.mchid) == (keys.appid, keys.secret, keys.mchid)
    assert not hasattr(found, "platform_private_key")


def test_keys_are_readable_by_their_owner_only(tmp_path):
    load_keys(tmp_path / "new")
    assert (tmp_path / "new" / "keys.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["keys.json"]


def test_two_processes_that_start_at_once_get_the_same_keys(tmp_path):
    code = (
        "import sys, pathlib; from distro.wechat.sandbox.keys import load_keys;"
        "print(load_keys(pathlib.Path(sys.argv[1])).secret)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(4)]
    secrets = {process.communicate(timeout=30)[0] for process in running}
    assert len(secrets) == 1
    assert json.loads((tmp_path / "keys.json").read_text())["secret"].encode() in secrets.pop()


def test_a_real_deployment_without_credentials_names_the_settings():
    missing = {**REAL, "WECHATPAY_MCHID": "", "WECHAT_SECRET": ""}
    refused = pytest.raises(ImproperlyConfigured, match="WECHAT_SECRET, WECHATPAY_MCHID")
    with override_settings(WECHAT_SANDBOX=False, **missing), refused:
        config()


def test_a_key_may_be_text_or_a_file(tmp_path):
    (tmp_path / "key.pem").write_text(PEM)
    keys = {
        "WECHATPAY_PRIVATE_KEY": PEM.replace("\n", "\\n"),
        "WECHATPAY_PUBLIC_KEY": str(tmp_path / "key.pem"),
    }
    with override_settings(WECHAT_SANDBOX=False, **{**REAL, **keys}):
        assert config().private_key == PEM
        assert config().public_key == PEM


@pytest.mark.parametrize("key", ["MIIEvSECRET", "/does/not/exist", "x" * 5000, "\0"])
def test_a_key_that_is_neither_is_refused_without_showing_it(key):
    settings = override_settings(WECHAT_SANDBOX=False, **{**REAL, "WECHATPAY_PRIVATE_KEY": key})
    with settings, pytest.raises(ImproperlyConfigured) as caught:
        config()
    assert str(caught.value) == "WECHATPAY_PRIVATE_KEY is neither PEM text nor a readable file."


def test_the_configuration_shows_no_secret(tmp_path):
    with override_settings(WECHAT_SANDBOX=True, SANDBOX_DIR=tmp_path):
        shown = repr(config())
    keys = load_keys(tmp_path)
    for secret in (keys.secret, keys.apiv3_key, "PRIVATE KEY"):
        assert secret not in shown
    assert keys.secret not in repr(keys)


def test_wechat_code_imports_no_app_and_the_sandbox_no_django():
    apps = ("referrals", "orders", "campaigns", "commissions", "analytics")
    code = (
        "import sys; import distro.wechat.sandbox.server, distro.wechat.sandbox.__main__;"
        "print([name for name in sys.modules if name.split('.')[0] in"
        f" {('django', 'celery', 'requests', 'wechatpy', 'wechatpayv3', *apps)}])"
    )
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    for path in (ROOT / "distro" / "wechat").rglob("*.py"):
        text = path.read_text()
        for name in apps:
            assert f"import {name}" not in text
            assert f"from {name}" not in text
        assert "django.db" not in text
