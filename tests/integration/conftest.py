"""What the integration tests share: a proxy that a module's tests use together, and programs."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Protocol

import pytest

from proxy.demo.postgres import SUPERUSER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie


class RunProgram(Protocol):
    """Runs psql, pgbench or pg_dump of the server's own version."""

    def __call__(
        self,
        program: str,
        *arguments: str,
        role: str,
        port: int | None = None,
        database: str | None = None,
        password: str | None = None,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, direct or through ``port``."""


@pytest.fixture(scope="module")
def enforcing(module_vigie: StartVigie) -> VigieProcess:
    """One proxy in mode enforce for all tests of a module."""
    return module_vigie()


@pytest.fixture(scope="session")
def run(lab: Lab) -> RunProgram:
    """A function that runs a program with the password of a role."""

    def call(
        program: str,
        *arguments: str,
        role: str,
        port: int | None = None,
        database: str | None = None,
        password: str | None = None,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        path = lab.programs / program
        return subprocess.run(
            [str(path) if path.exists() else program, *arguments],
            check=False,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=60,
            env={
                "PATH": os.environ["PATH"],
                "PGHOST": lab.host,
                "PGPORT": str(port or lab.port),
                "PGUSER": role,
                "PGPASSWORD": password or lab.passwords[role],
                "PGDATABASE": database or lab.database,
                "PGCONNECT_TIMEOUT": "20",
                "PSQLRC": os.devnull,
                "LC_ALL": "C",
            },
        )

    return call


@pytest.fixture
def mark(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A word for rows of lab.audit that a test inserts; they are deleted after it."""
    word = f"mark-{abs(hash(request.node.nodeid)):x}"
    yield word
    with lab.connect(SUPERUSER) as connection:
        connection.execute("delete from lab.audit where action like %s", [f"{word}%"])


def marked(lab: Lab, word: str) -> int:
    """Return how many rows with this word were committed."""
    with lab.connect(SUPERUSER) as connection:
        row = connection.execute("select count(*) from lab.audit where action = %s", [word])
        (count,) = row.fetchone() or (0,)
    return int(count)
