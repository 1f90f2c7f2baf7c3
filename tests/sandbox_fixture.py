"""An imitated WeChat for tests: the real SDKs talk to it over HTTP on a free port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import override_settings

from distro.wechat.config import forget_config
from distro.wechat.sandbox.control import SandboxControl
from distro.wechat.sandbox.server import Sandbox

# Notifications are kept for `control.signed_notice`; nothing waits for the clock.
QUIET = {"deliver": 0, "refund_seconds": 0, "transfer_seconds": 0, "retry_factor": 0.001}


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The server, with the settings pointed at it for the rest of the run."""
    running = Sandbox(tmp_path_factory.mktemp("sandbox")).start()
    folder = running.folder
    with override_settings(
        WECHAT_SANDBOX=True,
        SANDBOX_DIR=folder,
        WECHAT_SANDBOX_URL=running.url,
        WECHAT_API_BASE=running.url,
        WECHATPAY_GATEWAY=running.url,
    ):
        forget_config()
        yield running
    forget_config()
    running.stop()


@pytest.fixture
def wechat(sandbox: Sandbox) -> SandboxControl:
    """The control client of a sandbox that remembers nothing."""
    sandbox.control.reset()
    sandbox.control.settings(**QUIET)
    cache.clear()
    return sandbox.control


def notice(control: SandboxControl, number: str) -> dict[str, Any]:
    """Return the newest notification of an order, refund or transfer, for Django's test client.

    `client.post(url, **notice(wechat, out_trade_no))`; signed anew each time, with the same id.
    """
    headers, body = control.signed_notice(control.notifications(number)[-1].id)
    return {"data": body, "content_type": headers.pop("Content-Type"), "headers": headers}
