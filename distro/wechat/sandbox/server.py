"""The server: loopback only, threads, started by a command or inside a test."""

from __future__ import annotations

import contextlib
import socketserver
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from distro.wechat.sandbox import control_api, phone, routes
from distro.wechat.sandbox.auth import Nonces
from distro.wechat.sandbox.control import SandboxControl
from distro.wechat.sandbox.crypto import Platform
from distro.wechat.sandbox.http import Reply, Request, json_reply
from distro.wechat.sandbox.keys import load_keys
from distro.wechat.sandbox.notifier import Notifier
from distro.wechat.sandbox.store import Store
from distro.wechat.sandbox.world import World

HOST = "127.0.0.1"
HOST_NAMES = {"127.0.0.1", "localhost", "::1"}
BODY_MAX = 1 << 20  # bytes


class PortTaken(Exception):
    """Something else listens on the port."""


class Sandbox:
    """An imitated WeChat whose keys and memory live in a folder.

    port: 0 takes a free one. `start()` serves in threads of this process until `stop()`.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self.keys = load_keys(folder)
        try:
            self._server = Server((HOST, port), Handler)
        except OSError as error:
            raise PortTaken(f"Port {port} of {HOST} is taken ({error.strerror}).") from error
        self.url = f"http://{HOST}:{self._server.server_address[1]}"
        self.control = SandboxControl(self.url, self.keys.control_token)
        self._notifier = Notifier()
        self._store = Store(folder / "sandbox.sqlite3")
        platform = Platform(self.keys)
        self._world = World(self.keys, self._store, platform, self._notifier.wake)
        self._server.app = App(self._world)

    def start(self) -> Sandbox:
        """Serve in the background."""
        self._notifier.start(self._world)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def serve_forever(self) -> None:
        """Serve in the foreground until interrupted."""
        self._notifier.start(self._world)
        with contextlib.suppress(KeyboardInterrupt):
            self._server.serve_forever()
        self.close()

    def stop(self) -> None:
        """Stop a server that `start()` started."""
        self._server.shutdown()
        self.close()

    def close(self) -> None:
        """Give the port and the file back."""
        self._server.server_close()
        self._notifier.stop()
        self._store.close()


class App:
    """The three doors: WeChat's API, the control interface, the phone page."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._nonces = Nonces()
        self._phone = phone.Phone(world)

    def answer(self, request: Request) -> Reply:
        """Return the answer to any request."""
        try:
            if request.path.startswith("/control/"):
                return control_api.answer(self._world, request)
            if request.path == "/" or request.path.startswith("/phone/"):
                return self._phone.answer(request)
            return routes.answer(self._world, self._nonces, request)
        except Exception:  # noqa: BLE001 - a fault of the sandbox itself
            traceback.print_exc(file=sys.stderr)
            return json_reply({"code": "SYSTEM_ERROR", "message": "sandbox fault"}, 500)


class Server(ThreadingHTTPServer):
    """Threads that do not outlive the process, and no look-up of our own name at the start."""

    app: App
    request_queue_size = 128

    def server_bind(self) -> None:
        """Bind without asking the resolver who we are."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about callers that hang up."""
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc(file=sys.stderr)


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 in, HTTP/1.1 out."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds an idle connection is kept
    wbufsize = -1  # head and body leave in one packet
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve()

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if length.isascii() and length.isdigit() and int(length) <= BODY_MAX:
            self._write(self._answer(self.rfile.read(int(length))))
        else:
            self.close_connection = True
            self._write(json_reply({"error": "Content-Length"}, 413))

    def _answer(self, body: bytes) -> Reply:
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in HOST_NAMES:
            return json_reply({"error": "Host"}, 403)  # a page whose name resolves to us
        parts = urlsplit(self.path)
        return self.server.app.answer(
            Request(
                method=self.command,
                target=self.path,
                path=parts.path,
                query=dict(parse_qsl(parts.query, keep_blank_values=True)),
                headers=self.headers,
                body=body,
            )
        )

    def _write(self, reply: Reply) -> None:
        if reply.lost:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.content_type)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:
        """Write no log: addresses carry secrets."""
