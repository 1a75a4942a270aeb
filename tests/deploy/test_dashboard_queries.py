"""Every expression of every dashboard, run against a real Prometheus that scrapes Vigie."""

from __future__ import annotations

import asyncio
import functools
import json
import math
import queue
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest

from proxy.metrics import Metrics
from proxy.net.http import serve_http
from proxy.terms.budget import Budget, Measure, Method
from proxy.terms.facts import Disagreement, Kind
from proxy.terms.finding import Action, Finding, Mode, Severity
from tests.deploy.running_prometheus import RunningPrometheus, prometheus_scraping, with_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proxy.demo.lab import Lab
    from tests.deploy.conftest import Needs
    from tests.fix_vigie import StartVigie

DASHBOARDS: Final = Path(__file__).resolve().parents[2] / "grafana" / "dashboards"
SUBJECTS: Final = Budget(
    "EX201", "Patients an hour", Measure.SUBJECTS, frozenset({"secretary"}), 3600, 300
)
RULES: Final = (("EX104", Severity.HIGH), ("EX901", Severity.CRITICAL))


def expressions() -> list[Any]:
    """Return (panel, expression) of every target and annotation, named by the panel."""
    found = []
    for path in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text("utf-8"))
        members = [
            *((panel["title"], panel.get("targets", [])) for panel in dashboard["panels"]),
            *((note["name"], [note]) for note in dashboard["annotations"]["list"]),
        ]
        found += [
            pytest.param(target["expr"], id=f"{path.stem}-{title}-{target.get('refId', 'note')}")
            for title, targets in members
            for target in targets
        ]
    return found


def finite(running: RunningPrometheus, expression: str) -> bool:
    """Whether an expression has at least one series that is a number."""
    series = running.ask(with_values(expression))
    return any(math.isfinite(float(one["value"][1])) for one in series)


def a_minute_of_work(metrics: Metrics) -> None:
    """Feed what a busy Vigie counts: work, an attack that is refused, one that is cut."""
    finding = Finding("EX104", "Whole table", Severity.HIGH, Action.BLOCK, 60, "reads all")
    metrics.connection_opened()
    metrics.login_failed()
    for _ in range(50):
        metrics.statement(Action.ALLOW, Kind.SELECT)
        metrics.analysis(0.0002)
        metrics.state_saved(0.002)
        metrics.facts_cache("exact")
        metrics.rows(Method.KEYS, 3)
        metrics.charged("EX201", 2)
        metrics.result_bytes(640)
    metrics.statement(Action.BLOCK, Kind.SELECT)
    metrics.finding(finding, Action.BLOCK)
    metrics.audit_record()
    metrics.cut("EX201")
    metrics.usage("EX201", "secretary", 0.4)
    metrics.opaque("syntax error")
    metrics.disagreement(Disagreement("kind", "select", "copy_out"))
    metrics.catalog_load(loaded=True)
    metrics.upstream_error("lost")
    metrics.protocol_error("frontend")
    metrics.internal_error("meter")


@contextmanager
def serving(metrics: Metrics) -> Iterator[int]:
    """Serve metrics from a thread with a loop of its own; yields the port."""
    started: queue.SimpleQueue[tuple[int, Callable[[], object]]] = queue.SimpleQueue()

    async def serve() -> None:
        listener = await serve_http("127.0.0.1", 0, metrics, list)
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        end = functools.partial(loop.call_soon_threadsafe, ended.set)
        started.put((listener.sockets[0].getsockname()[1], end))
        async with listener:
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    port, end = started.get(timeout=10)
    try:
        yield port
    finally:
        end()
        thread.join()


@pytest.fixture(scope="module")
def fed(needs: Needs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPrometheus]:
    """A Prometheus that has seen a Vigie's metrics before and after a minute of work."""
    program = needs("prometheus")
    metrics = Metrics()
    metrics.policy_loaded(RULES, (SUBJECTS,), "ab12", at=1_800_000_000.0)
    metrics.mode(Mode.ENFORCE)
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        serving(metrics) as port,
        prometheus_scraping(program, f"127.0.0.1:{port}", folder) as running,
    ):
        running.await_scrapes(2)
        a_minute_of_work(metrics)
        running.await_scrapes(2)
        yield running


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_gives_numbers(fed: RunningPrometheus, expression: str) -> None:
    """No error, at least one series, and not only NaN: a misspelt name would show nothing."""
    assert finite(fed, expression), expression


@pytest.mark.parametrize(
    ("title", "at_least"),
    [
        ("Refused statements", 0.5),
        ("Results cut", 0.5),
        ("Highest budget usage", 0.4),
        ("Patients charged", 50),
        ("Internal errors", 0.5),
        ("Upstream errors", 0.5),
        ("Open connections", 1),
    ],
)
def test_a_number_shows_what_happened(fed: RunningPrometheus, title: str, at_least: float) -> None:
    """The first refusal or cut of all is seen, because its counter was born at 0."""
    dashboard = json.loads((DASHBOARDS / "soc.json").read_text("utf-8"))
    (panel,) = (panel for panel in dashboard["panels"] if panel["title"] == title)

    (series,) = fed.ask(with_values(panel["targets"][0]["expr"]))

    assert float(series["value"][1]) >= at_least


def a_morning_with_two_attacks(lab: Lab, port: int) -> None:
    """One patient read, a dump that is refused, a walk over the keys until the budget is spent."""
    with lab.connect("biologist", port) as connection:
        connection.execute("SELECT last_name FROM lab.patient WHERE id = 1").fetchall()
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT * FROM lab.patient").fetchall()
    with lab.connect("dba", port) as connection, pytest.raises(psycopg.Error):
        walk_over_the_keys(connection, lab.patients)


def walk_over_the_keys(connection: psycopg.Connection, patients: int) -> None:
    """Read everybody, one by one."""
    for number in range(1, patients + 1):
        connection.execute(
            "SELECT nir, last_name FROM lab.patient WHERE id = %s", [number]
        ).fetchall()


@pytest.mark.integration
def test_the_dashboard_works_on_a_running_vigie(
    lab: Lab, vigie: StartVigie, needs: Needs, tmp_path: Path
) -> None:
    """The same expressions over the real proxy, and the attacks are in the numbers."""
    program = needs("prometheus")
    process = vigie("--state", str(tmp_path / "state.sqlite"))
    target = process.http.removeprefix("http://")
    with prometheus_scraping(program, target, tmp_path) as running:
        running.await_scrapes(2)
        a_morning_with_two_attacks(lab, process.port)
        running.await_scrapes(2)

        empty = [one.id for one in expressions() if not finite(running, one.values[0])]
        refused = running.ask('sum(increase(vigie_statements_total{verdict="block"}[60s]))')
        cut = running.ask("sum(increase(vigie_cuts_total[60s]))")
        charged = running.ask("sum(vigie_subjects_charged_total)")

    assert empty == []
    assert float(refused[0]["value"][1]) > 0
    assert float(cut[0]["value"][1]) > 0
    assert float(charged[0]["value"][1]) > 200
