"""What an orchestrator and Prometheus see: /metrics, /healthz, /livez, /readyz."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import psycopg
import pytest

from proxy.demo.postgres import HOST
from proxy.metrics import declared
from tests.fix_vigie import await_no_session, samples, until

if TYPE_CHECKING:
    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

ROLE = "lims_app"


def fetch(process: VigieProcess, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{process.http}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_probes_answer(enforcing: VigieProcess) -> None:
    """Alive and ready, each in a word; anything else is not found."""
    found = {path: fetch(enforcing, path) for path in ("/healthz", "/livez", "/readyz", "/x")}

    assert found == {
        "/healthz": (200, "ok\n"),
        "/livez": (200, "ok\n"),
        "/readyz": (200, "ready\n"),
        "/x": (404, "not found\n"),
    }


def test_every_declared_metric_is_there(enforcing: VigieProcess) -> None:
    """From the start, at 0 where nothing happened: a first increase is seen."""
    text = enforcing.metrics()
    declarations = [one for one in vars(declared).values() if isinstance(one, declared.Declaration)]

    missing = [one.name for one in declarations if f"# TYPE {one.name} " not in text]
    assert missing == []
    assert len(declarations) > 15


def test_the_numbers_move(lab: Lab, enforcing: VigieProcess) -> None:
    """One read, one refusal: in the counts of statements, rows, findings and connections."""
    before = samples(enforcing)
    with lab.connect(ROLE, enforcing.port) as connection:
        connection.execute("select nir from lab.patient where id = 1").fetchall()
        with pytest.raises(psycopg.Error):
            connection.execute("select nir from lab.patient")
        during = samples(enforcing)
    await_no_session(enforcing)
    moved = {name: value - before.get(name, 0) for name, value in samples(enforcing).items()}

    assert during["vigie_frontend_connections_open"] == 1
    assert moved['vigie_frontend_connections_total{outcome="accepted"}'] == 1
    assert moved['vigie_statements_total{kind="select",verdict="allow"}'] == 1
    assert moved['vigie_statements_total{kind="select",verdict="block"}'] == 1
    assert moved['vigie_rows_total{method="keys"}'] == 1
    assert moved['vigie_subjects_charged_total{budget="EX211"}'] == 1
    charged = {n for name, n in moved.items() if name.startswith("vigie_subjects_charged_total")}
    assert charged == {0, 1}
    assert moved['vigie_findings_total{rule="EX101",severity="high",verdict="block"}'] == 1
    assert during['vigie_budget_usage_ratio{budget="EX211",role="lims_app"}'] == pytest.approx(
        1 / 600
    )
    assert during['vigie_mode{mode="enforce"}'] == 1


def test_readiness_follows_the_upstream(vigie: StartVigie) -> None:
    """Ready, not ready once nobody listens there, ready again; alive all the while."""
    listener = socket.create_server((HOST, 0))
    address = listener.getsockname()
    process = vigie(upstream=address[1])
    listener.close()
    until(lambda: fetch(process, "/readyz")[0] == 503, "readiness to fall")
    down, alive = fetch(process, "/readyz"), fetch(process, "/healthz")
    with socket.create_server(address):
        until(lambda: fetch(process, "/readyz")[0] == 200, "readiness to rise")

    assert down[1].startswith("not ready: the database cannot be reached: ")
    assert str(address[1]) not in down[1]
    assert alive == (200, "ok\n")


def test_an_upstream_that_never_was_is_not_ready(vigie: StartVigie) -> None:
    """Alive, not ready, and it says why."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    process = vigie(upstream=port, probe="/healthz")
    until(lambda: "cannot be reached" in fetch(process, "/readyz")[1], "the first probe")

    assert fetch(process, "/readyz")[0] == 503
    assert fetch(process, "/healthz")[0] == 200
