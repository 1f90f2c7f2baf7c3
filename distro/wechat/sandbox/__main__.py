"""`python -m distro.wechat.sandbox FOLDER [PORT]`: the sandbox without Django."""

from __future__ import annotations

import sys
from pathlib import Path

from distro.wechat.sandbox.server import PortTaken, Sandbox

DEFAULT_PORT = 8001


def main(arguments: list[str]) -> int:
    """Serve until interrupted; 1 when the port is taken, 2 for wrong arguments."""
    if not 1 <= len(arguments) <= 2 or not arguments[-1:] or arguments[0].startswith("-"):
        sys.stderr.write("usage: python -m distro.wechat.sandbox FOLDER [PORT]\n")
        return 2
    port = int(arguments[1]) if len(arguments) == 2 else DEFAULT_PORT
    try:
        sandbox = Sandbox(Path(arguments[0]), port)
    except PortTaken as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"WeChat sandbox: {sandbox.url}\n")
    sys.stdout.flush()
    sandbox.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
