"""A real Prometheus that scrapes one address every second, and what it answers."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from proxy.demo.postgres import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONFIGURATION: Final = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: vigie
    static_configs: [{{targets: ["{target}"]}}]
"""
DEADLINE_SECONDS: Final = 30.0
VARIABLES: Final = {
    "$__rate_interval": "30s",
    "$__range": "60s",
    "$__interval": "1s",
    "$job": ".+",
    "$instance": ".+",
    "${datasource}": "vigie-prometheus",
}


class RunningPrometheus:
    """Ask a Prometheus on the loopback address."""

    def __init__(self, port: int) -> None:
        self._address = f"http://{HOST}:{port}"

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression now; an error of PromQL is an AssertionError."""
        question = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(
                f"{self._address}/api/v1/query?{question}", timeout=10
            ) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from None
        series: list[dict[str, Any]] = found["data"]["result"]
        return series

    def await_scrapes(self, more: int) -> None:
        """Wait until that many scrapes more have been stored."""
        wanted = self.samples() + more
        until(lambda: self.samples() >= wanted, f"{more} more scrapes")

    def samples(self) -> int:
        """Return how many samples of one metric have been stored."""
        series = self.ask("sum(count_over_time(vigie_build_info[5m]))")
        return int(series[0]["value"][1]) if series else 0

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self._address}/-/ready", timeout=2):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


@contextmanager
def prometheus_scraping(program: str, target: str, folder: Path) -> Iterator[RunningPrometheus]:
    """Run Prometheus with this one target; its files are in ``folder``, gone with it."""
    configuration = folder / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(target=target))
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={HOST}:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            running = RunningPrometheus(port)
            until(running.is_ready, f"Prometheus in {folder}")
            yield running
        finally:
            process.terminate()
            process.wait(20)


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited {DEADLINE_SECONDS:.0f} s for {what}"
        time.sleep(0.1)


def with_values(expression: str) -> str:
    """Return an expression of Grafana with the variables replaced; none may be left."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert not re.search(r"\$\w|\$\{", expression), expression
    return expression
