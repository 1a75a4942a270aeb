"""The ``vigie`` fixtures: the proxy as a process of its own, in front of ``lab``."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.demo.vigie_process import SITE, VigieProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from proxy.demo.lab import Lab

DEADLINE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.02


class StartVigie(Protocol):
    """Starts one more Vigie; all end with the test (or the module)."""

    def __call__(
        self,
        *options: str,
        site: Path = SITE,
        mode: str = "enforce",
        upstream: int | None = None,
        environment: Mapping[str, str] | None = None,
        probe: str = "/readyz",
    ) -> VigieProcess:
        """Start it in front of ``lab`` (or of the port ``upstream``) and wait for ``probe``."""


@pytest.fixture
def vigie(lab: Lab, tmp_path: Path) -> Iterator[StartVigie]:
    """A factory of proxies; each must end with status 0, no session and no traceback."""
    with starting(lab, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def module_vigie(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartVigie]:
    """As ``vigie``; for the tests of a module that do not disturb each other's budgets."""
    with starting(lab, tmp_path_factory.mktemp("vigie")) as start:
        yield start


@contextmanager
def starting(lab: Lab, folder: Path) -> Iterator[StartVigie]:
    """Give a factory of proxies; at the end, end them and see that they left nothing behind."""
    started: list[VigieProcess] = []

    def start(
        *options: str,
        site: Path = SITE,
        mode: str = "enforce",
        upstream: int | None = None,
        environment: Mapping[str, str] | None = None,
        probe: str = "/readyz",
    ) -> VigieProcess:
        home = folder / f"vigie-{len(started)}"
        home.mkdir()
        process = VigieProcess(
            upstream or lab.port,
            home,
            options=options,
            site=site,
            mode=mode,
            environment=environment,
        )
        process.start(probe)  # ends it when it fails
        started.append(process)
        return process

    try:
        yield start
        for process in started:
            await_no_session(process)
    finally:
        ends = [(process.stop(), process.log) for process in started]
    for status, log in ends:
        assert status == 0, log
        assert "Traceback" not in log, log


def samples(process: VigieProcess) -> dict[str, float]:
    """Return /metrics by name and sorted labels: ``vigie_cuts_total{budget="EX201"}``."""
    found = {}
    for family in text_string_to_metric_families(process.metrics()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def await_no_session(process: VigieProcess) -> None:
    """Wait until no frontend's connection is open: nothing of any session is left."""
    if process.is_running:
        until(
            lambda: samples(process)["vigie_frontend_connections_open"] == 0,
            lambda: f"the end of all sessions; the log:\n{process.log[-4000:]}",
        )


def until(holds: Callable[[], bool], what: str | Callable[[], str]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"waited for {what if isinstance(what, str) else what()}")
        time.sleep(_PAUSE_SECONDS)
