"""SHOW vigie.budget through real drivers: in and out of transactions, failed ones and pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors

if TYPE_CHECKING:
    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.integration.conftest import RunProgram

pytestmark = pytest.mark.integration

SHOW = b"show vigie.budget"


def fail_in_pipeline(connection: psycopg.Connection[Any]) -> None:
    """Send what fails, and SHOW behind it."""
    with connection.pipeline():
        connection.execute(b"select 1/0")
        connection.execute(SHOW)


def used(rows: list[tuple[Any, ...]]) -> int:
    """Return how many patients the secretaries have received."""
    return next(int(row[3]) for row in rows if row[0] == "EX212")


def test_psql_shows_ones_own_budget(enforcing: VigieProcess, run: RunProgram) -> None:
    """A table, by a command that is easy to keep in mind."""
    done = run("psql", "-X", "-A", "-c", "SHOW vigie.budget", role="secretary", port=enforcing.port)

    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0].split("|")[:5] == ["budget", "measure", "whose", "used", "limit"]
    budgets = [line.split("|")[0] for line in lines if line.startswith("EX")]
    assert {"EX212", "EX202", "EX203"} <= {*budgets}
    assert not {"EX201", "EX211"} & {*budgets}


def test_it_shows_what_was_received(lab: Lab, enforcing: VigieProcess) -> None:
    """At once, by the simple and the extended protocol, in text and in binary."""
    with lab.connect("secretary", enforcing.port) as connection:
        before = used(connection.execute(SHOW).fetchall())
        patients = connection.execute(
            b"select nir, last_name from lab.patient where id between 31 and 34"
        ).fetchall()
        after = used(connection.execute(SHOW, binary=True).fetchall())
        simple = connection.pgconn.exec_(SHOW)
        rows = [simple.get_value(row, 3) for row in range(simple.ntuples)]

    assert after - before in range(len(patients) + 1)
    assert str(after).encode() in rows


def test_it_is_a_statement_of_its_transaction(lab: Lab, enforcing: VigieProcess) -> None:
    """In a failed one it fails, and a savepoint brings it back."""
    with lab.connect("secretary", enforcing.port) as connection:
        connection.execute(b"begin")
        connection.execute(b"savepoint before")
        with pytest.raises(errors.DivisionByZero):
            connection.execute(b"select 1/0")
        with pytest.raises(errors.InFailedSqlTransaction):
            connection.execute(SHOW)
        connection.execute(b"rollback to savepoint before")
        assert connection.execute(SHOW).fetchall()


def test_it_has_its_place_in_a_pipeline(lab: Lab, enforcing: VigieProcess) -> None:
    """Between others, and discarded with them."""
    with lab.connect("secretary", enforcing.port) as connection:
        with connection.pipeline():
            first = connection.execute(b"select 1")
            shown = connection.execute(SHOW)
            last = connection.execute(b"select 2")
            assert (first.fetchone(), last.fetchone()) == ((1,), (2,))
            assert shown.fetchall()
        with pytest.raises(psycopg.Error):
            fail_in_pipeline(connection)
        assert connection.execute(SHOW).fetchall()


def test_a_prepared_one_can_be_run_again(lab: Lab, enforcing: VigieProcess) -> None:
    """It shows usage as of its preparation, and disturbs nothing."""
    with lab.connect("secretary", enforcing.port) as connection:
        found = [connection.execute(SHOW, prepare=True).fetchall() for _ in range(3)]

    assert found[0] == found[1] == found[2] != []
