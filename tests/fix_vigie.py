"""The ``vigie`` fixture: the proxy as a process of its own, in front of ``lab``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from proxy.demo.vigie_process import SITE, VigieProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from proxy.demo.lab import Lab


class StartVigie(Protocol):
    """Starts one more Vigie; all end with the test."""

    def __call__(
        self,
        *options: str,
        site: Path = SITE,
        mode: str = "enforce",
        upstream: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> VigieProcess:
        """Start it in front of ``lab`` (or of the port ``upstream``) and wait until it is ready."""


@pytest.fixture
def vigie(lab: Lab, tmp_path: Path) -> Iterator[StartVigie]:
    """A factory of proxies; each must end with status 0 and no traceback in its log."""
    started: list[VigieProcess] = []

    def start(
        *options: str,
        site: Path = SITE,
        mode: str = "enforce",
        upstream: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> VigieProcess:
        folder = tmp_path / f"vigie-{len(started)}"
        folder.mkdir()
        process = VigieProcess(
            upstream or lab.port,
            folder,
            options=options,
            site=site,
            mode=mode,
            environment=environment,
        )
        process.start()  # ends it when it fails
        started.append(process)
        return process

    yield start

    ends = [(process.stop(), process.log) for process in started]
    for status, log in ends:
        assert status == 0, log
        assert "Traceback" not in log, log
