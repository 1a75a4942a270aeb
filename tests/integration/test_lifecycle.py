"""A running Vigie is told to stop, or to read its files again: nobody loses more than must be."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from proxy.demo.postgres import HOST
from proxy.demo.vigie_process import SITE
from proxy.wire.encode import query
from tests.fix_vigie import samples, until
from tests.integration import bare
from tests.integration.conftest import marked
from tests.integration.test_seen_from_outside import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

ROLE = "lims_app"
OTHER = "secretary"
READ = "select nir from lab.patient where id between 1 and 9"
FORBIDDEN = "show timezone"
ENDED = "terminating connection due to administrator command"
RELOADED = 'vigie_reloads_total{outcome="loaded",what="policy"}'
FAILED = 'vigie_reloads_total{outcome="failed",what="policy"}'


def tell(process: VigieProcess, number: signal.Signals) -> None:
    os.kill(process.process_number, number)


def error_of(connection: psycopg.Connection[Any], text: str) -> str | None:
    try:
        connection.execute(text.encode())
    except psycopg.Error as error:
        return error.sqlstate or str(error)
    return None


def is_ended(connection: psycopg.Connection[Any]) -> bool:
    error = error_of(connection, "select 1") or ""
    return error == "57P01" or ENDED in error


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Copy the site of the demonstration, to be changed."""
    folder = tmp_path / "site"
    shutil.copytree(SITE, folder)
    return folder


@pytest.fixture
def notices(tmp_path: Path) -> Iterator[socket.socket]:
    """Listen where systemd would."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind(str(tmp_path / "notify"))
        own.settimeout(30)
        yield own


# SIGTERM


def test_transactions_end_before_vigie_does(
    lab: Lab, vigie: StartVigie, mark: str, notices: socket.socket
) -> None:
    """The idle one ends at once; the other commits what it has begun; nobody new comes in."""
    process = vigie(environment={"NOTIFY_SOCKET": str(notices.getsockname())})
    told = [notices.recv(1024)]
    with (
        lab.connect(ROLE, process.port) as idle,
        lab.connect(ROLE, process.port) as working,
    ):
        working.execute("begin")
        working.execute("insert into lab.audit (action) values (%s)", [mark])
        tell(process, signal.SIGTERM)
        told.append(notices.recv(1024))
        until(lambda: is_ended(idle), "the idle one to end")
        readiness, liveness = fetch(process, "/readyz"), fetch(process, "/healthz")
        with pytest.raises(psycopg.OperationalError, match="refused"):
            lab.connect(ROLE, process.port)
        answers = working.execute("select 1").fetchone()
        working.execute("commit")
        after = is_ended(working)
    status = process.stop()

    assert told[0].startswith(b"READY=1\n")
    assert told[1].startswith(b"STOPPING=1\n")
    assert readiness[0] == 503
    assert "not ready: Vigie is stopping\n" in readiness[1]
    assert liveness == (200, "ok\n")
    assert answers == (1,)
    assert (after, marked(lab, mark), status) == (True, 1, 0)


def test_a_transaction_that_does_not_end_is_ended(lab: Lab, vigie: StartVigie, mark: str) -> None:
    """At the deadline, with 57P01, and nothing of it is kept."""
    process = vigie(environment={"VIGIE_LIMITS__DRAIN_TIMEOUT_SECONDS": "1"})
    with bare.logged_in(lab, ROLE, process.port) as wire:
        insert = f"begin; insert into lab.audit (action) values ('{mark}')"
        wire.send(query(insert.encode()))
        wire.receive_to()
        tell(process, signal.SIGTERM)
        answer = wire.receive_to()
    status = process.stop()

    assert bare.error(answer)["C"] == "57P01"
    assert (marked(lab, mark), status) == (0, 0)


def test_the_second_signal_waits_for_nobody(lab: Lab, vigie: StartVigie) -> None:
    """A day to drain, and a second SIGINT: it ends at once."""
    process = vigie(environment={"VIGIE_LIMITS__DRAIN_TIMEOUT_SECONDS": "86400"})
    with bare.logged_in(lab, ROLE, process.port) as wire:
        wire.send(query(b"begin"))
        wire.receive_to()
        tell(process, signal.SIGTERM)
        until(lambda: "ending, for up to" in process.log, "the drain to begin")
        still = process.is_running
        tell(process, signal.SIGINT)
        answer = wire.receive_to()
    status = process.stop()

    assert still
    assert (bare.error(answer)["C"], status) == ("57P01", 0)


# SIGHUP


def test_sessions_go_by_the_new_policy_and_budgets_stay_used(
    lab: Lab, vigie: StartVigie, site: Path, notices: socket.socket
) -> None:
    """A new rule and a lower limit hold for sessions that are open, in their next statement."""
    process = vigie(site=site, environment={"NOTIFY_SOCKET": str(notices.getsockname())})
    told = [notices.recv(1024)]
    with (
        lab.connect(OTHER, process.port) as reading,
        lab.connect(OTHER, process.port) as idle,
    ):
        for _ in range(3):
            reading.execute("select 1")
        reading.execute(READ.encode())
        before = error_of(idle, FORBIDDEN)
        budgets = site / "budgets.yaml"
        budgets.write_text(budgets.read_text().replace("limit: 300", "limit: 9"))
        (site / "more.yaml").write_text(
            "format: 1\n"
            "rules:\n"
            "  - id: EX190\n"
            "    title: Nobody asks for settings\n"
            "    status: stable\n"
            "    severity: low\n"
            "    scope: statement\n"
            "    when: {kind: {is: show}}\n"
            "    action: block\n"
            "    explain: asks for a setting\n"
            "    why: For this test.\n"
            "    false_positives: [none]\n"
            "    references: [docs/threat-model.md]\n"
            "    tags: [test]\n"
            "    revision: 1\n"
        )
        tell(process, signal.SIGHUP)
        until(lambda: samples(process)[RELOADED] == 1, "the policy to be read again")
        told += [notices.recv(1024), notices.recv(1024)]
        ruled = error_of(idle, FORBIDDEN)
        again = error_of(reading, READ)
        spent = error_of(reading, READ.replace("between 1 and 9", "= 10"))
    shown = samples(process)

    assert before is None
    assert (ruled, again, spent) == ("42501", None, "53400")
    assert shown['vigie_findings_total{rule="EX190",severity="low",verdict="block"}'] == 1
    assert shown['vigie_budget_usage_ratio{budget="EX212",role="secretary"}'] == 1
    assert [one.split(b"\n")[0] for one in told] == [b"READY=1", b"RELOADING=1", b"READY=1"]
    assert b"MONOTONIC_USEC=" in told[1]


def test_a_new_schema_map_holds_for_open_sessions(lab: Lab, vigie: StartVigie, site: Path) -> None:
    """Relations that it names from now on are charged, in transactions and cursors as well."""
    path = site / "schema.yaml"
    full = path.read_text()
    role = "dba"
    harmless = full.replace("nir: {class: identity, key: patient.nir}", "nir: none", 1)
    path.write_text(harmless)
    process = vigie(site=site)
    with lab.connect(role, process.port) as connection:
        connection.execute("begin")
        connection.execute("declare c cursor for select nir from lab.patient order by id")
        free = len(connection.execute("fetch 5 from c").fetchall())
        usage = 'vigie_subjects_charged_total{budget="EX215"}'
        before = samples(process)[usage]
        path.write_text(full)
        tell(process, signal.SIGHUP)
        until(lambda: samples(process)[RELOADED] == 1, "the policy to be read again")
        connection.execute("fetch 5 from c").fetchall()
        connection.execute("rollback")
    after = samples(process)[usage]

    assert (free, before, after) == (5, 0, 5)


def test_a_policy_with_problems_changes_nothing(lab: Lab, vigie: StartVigie, site: Path) -> None:
    """Each problem is in the log with its place; the one before stays in force."""
    process = vigie(site=site)
    with lab.connect(ROLE, process.port) as connection:
        (site / "lists.yaml").write_text("format: 1\nrulez: []\n")
        tell(process, signal.SIGHUP)
        until(lambda: samples(process)[FAILED] == 1, "the policy to be refused")
        answer = connection.execute(READ.encode()).fetchall()
    shown = samples(process)

    assert len(answer) == 9
    assert shown["vigie_policy_last_load_successful"] == 0
    assert "lists.yaml:2:1: unknown key 'rulez', did you mean 'rules'?" in process.log
    assert "stays in force" in process.log


def test_settings_that_need_a_restart_are_named(
    lab: Lab, vigie: StartVigie, tmp_path: Path
) -> None:
    """The policy is read again all the same; nothing else changes."""
    path = tmp_path / "vigie.yaml"
    path.write_text("catalog_refresh_seconds: 30\n")
    process = vigie("--config", str(path))
    path.write_text("catalog_refresh_seconds: 31\nlimits: {connections: 7}\n")
    tell(process, signal.SIGHUP)
    until(lambda: samples(process)[RELOADED] == 1, "the policy to be read again")
    with lab.connect(ROLE, process.port) as connection:
        connection.execute("select 1")

    assert "changed settings hold after a restart: limits, catalog_refresh_seconds" in process.log


def test_reloads_under_load_lose_nothing(lab: Lab, vigie: StartVigie) -> None:
    """Statements go on without an error while the policy is read again and again."""
    process = vigie()
    stop, errors, done = threading.Event(), [], [0]

    def work() -> None:
        with lab.connect(ROLE, process.port) as connection:
            while not stop.is_set():
                try:
                    row = connection.execute("select count(*) from lab.patient").fetchone()
                    assert row == (lab.patients,)
                    done[0] += 1
                except (psycopg.Error, AssertionError) as error:
                    errors.append(error)
                    return

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 6):
        tell(process, signal.SIGHUP)
        until(lambda wanted=number: samples(process)[RELOADED] >= wanted, "a reload")  # type: ignore[misc]
    stop.set()
    for thread in threads:
        thread.join(30)

    assert errors == []
    assert done[0] > 0


# several upstreams


def test_each_session_goes_to_its_database(
    lab: Lab, vigie: StartVigie, tmp_path: Path, free_ports: tuple[int, int]
) -> None:
    """By the name of the database, or by the address it came in by; all others go on as before."""
    second, gone = free_ports
    path = tmp_path / "vigie.yaml"
    path.write_text(
        "upstreams:\n"
        f"- {{address: '{HOST}:{gone}', databases: [elsewhere]}}\n"
        f"- {{address: '{HOST}:{lab.port}', listen: ['{HOST}:{second}']}}\n"
    )
    process = vigie("--config", str(path), "--listen", f"{HOST}:{second}")
    answers = []
    for port in (process.port, second):
        with lab.connect(ROLE, port) as connection:
            answers.append(connection.execute("select current_database()").fetchone())
    with pytest.raises(psycopg.OperationalError, match="cannot connect to the database: refused"):
        psycopg.connect(lab.dsn(ROLE, process.port), dbname="elsewhere")
    readiness = fetch(process, "/readyz")

    assert answers == [(lab.database,)] * 2
    assert readiness[0] == 200
    assert readiness[1].startswith(f"ready\nbut the database at {HOST}:{gone} cannot be reached: ")


@pytest.fixture
def free_ports() -> tuple[int, int]:
    """Return two ports that were free a moment ago."""
    with socket.create_server((HOST, 0)) as one, socket.create_server((HOST, 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]
