"""Options and fixtures of all tests; the integration fixtures live in fix_*.py, one family each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import accel
from proxy.demo.binaries import NoPostgresError, find_binaries

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["tests.fix_postgres", "tests.fix_tls", "tests.fix_vigie"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run choose its PostgreSQL."""
    parser.addoption(
        "--pg",
        default=None,
        help="major version (15, 16, 18), 'wheel', a folder of programs, or 'docker'",
    )


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which PostgreSQL the integration tests run against, and which kernel is in use."""
    kernel = f"kernel: {accel.IMPLEMENTATION}"
    wanted = config.getoption("--pg")
    if wanted == "docker":
        return [kernel, "postgresql: in a container, if an engine answers"]
    try:
        return [kernel, f"postgresql: {find_binaries(wanted)}"]
    except NoPostgresError as error:
        return [kernel, f"postgresql: none, integration tests will fail: {error}"]
