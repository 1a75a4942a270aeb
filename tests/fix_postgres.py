"""The ``lab`` fixture: a real PostgreSQL with 300 synthetic patients."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from proxy.demo.binaries import find_binaries
from proxy.demo.lab import Lab, create_lab
from proxy.demo.postgres import SUPERUSER, EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENTS = 300
IMAGE = "postgres:16"


class Address(NamedTuple):
    """A PostgreSQL on the loopback address that was started for the tests."""

    port: int
    password: str  # of the superuser
    programs: Path | None  # folder of psql and pg_dump of its version


@pytest.fixture(scope="session")
def postgres_address(request: pytest.FixtureRequest) -> Iterator[Address]:
    """A PostgreSQL without any laboratory yet: of this machine, the wheel's, or a container."""
    wanted = request.config.getoption("--pg")
    with container() if wanted == "docker" else embedded(wanted) as address:
        yield address


@pytest.fixture(scope="session")
def lab(postgres_address: Address) -> Lab:
    """The synthetic laboratory, shared by the tests of a worker: leave no change behind."""
    port, password, programs = postgres_address
    return create_lab(port, password, PATIENTS, programs=programs)


@contextmanager
def embedded(wanted: str | None) -> Iterator[Address]:
    """Run a PostgreSQL of this machine, or the wheel's."""
    with EmbeddedPostgres(find_binaries(wanted)) as postgres:
        yield Address(postgres.port, postgres.password, postgres.binaries.folder)


@contextmanager
def container() -> Iterator[Address]:
    """Run a PostgreSQL in a container; fails at once when no engine answers."""
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "info"], check=False, capture_output=True).returncode:
        pytest.fail("--pg=docker was asked for, but `docker info` gets no answer")
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - optional

    with PostgresContainer(IMAGE, username=SUPERUSER, password="lab", driver=None) as running:
        yield Address(int(running.get_exposed_port(5432)), "lab", None)
