from __future__ import annotations

from tests.sandbox_fixture import sandbox, wechat

__all__ = ["sandbox", "wechat"]
