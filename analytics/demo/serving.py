"""The demo's processes: the sandbox beside, the server and the periodic work inside."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.db import DatabaseError, connections

from distro import clock, jobs
from distro.errors import brief
from distro.wechat.sandbox.control import ControlRefused, SandboxControl

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
READY_S = 20
LOOK_S = 1.0  # between two looks for due jobs
END_S = 10  # for a process or a job to end by itself


class PortInUse(Exception):
    """Something else listens where the demo wants to."""

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(port)


def refuse_taken(port: int) -> None:
    """Raise PortInUse unless a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise PortInUse(port) from None


# --- Sandbox --------------------------------------------------------------------------------


@contextmanager
def sandbox(url: str, folder: Path) -> Iterator[SandboxControl]:
    """Run the sandbox of a folder at a local URL; one that already answers there is used.

    Raises PortInUse when something else has the port.
    """
    control = SandboxControl.of_folder(url, folder)
    if _answers(control):
        yield control
        return
    port = urlsplit(url).port or 80
    refuse_taken(port)
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "distro.wechat.sandbox", str(folder), str(port)],
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us, who end it afterwards
    )
    try:
        control.wait_ready(READY_S)
        yield control
    finally:
        end(process)


def _answers(control: SandboxControl) -> bool:
    """Say whether a sandbox with our keys is there."""
    try:
        control.settings()
    except (OSError, ValueError, ControlRefused):
        return False
    return True


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that we started; by force when it does not end by itself."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# --- Server ---------------------------------------------------------------------------------


def serve(port: int) -> None:
    """Serve and do the periodic work until interrupted or terminated."""
    application = get_wsgi_application()  # configures the logs anew
    logging.root.setLevel(logging.WARNING)  # a line for each request would hide the rest
    logging.getLogger("django.server").setLevel(logging.ERROR)
    try:
        server = ThreadedWSGIServer((HOST, port), WSGIRequestHandler, ipv6=False)
    except OSError:
        raise PortInUse(port) from None
    server.daemon_threads = True
    server.set_app(application)
    stop = threading.Event()
    worker = threading.Thread(target=tick, args=(stop,), daemon=True)
    worker.start()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        stop.set()
        worker.join(END_S)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGINT and SIGTERM both raise KeyboardInterrupt, also where a shell had them ignored."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)


def tick(stop: threading.Event) -> None:
    """Run the due jobs again and again until told to stop."""
    while not stop.wait(LOOK_S):
        try:
            jobs.run_due(clock.now())
        except DatabaseError as error:  # the next look may find it well again
            logger.error("tick: %s", brief(error))
        finally:
            connections.close_all()
