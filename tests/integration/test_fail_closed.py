"""An error of ours: refused in enforce, passed in observe, and never silent."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.fix_vigie import samples
from tests.integration.conftest import marked

if TYPE_CHECKING:
    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

INSERT = "insert into lab.audit (action) values (%s)"
ONE = "select nir from lab.patient where id = 1"
SECRET = "plantedvalue"
# Python runs this before Vigie begins; each part fails for one application alone.
FAULTS = """
from proxy.meter.ledger import Account
from proxy.session import decisions
from proxy.sql import Analyser

judge, analyse = decisions.judge, Analyser.analyse


def failing_judge(policy, principal, facts):
    if principal.application_name == "policy":
        raise KeyError("".join(["planted", "value"]))
    return judge(policy, principal, facts)


def failing_analyse(self, text, **options):
    if b"nir" in text and b"analysis" in text:
        raise ValueError("".join(["planted", "value"]))
    return analyse(self, text, **options)


def failing(admit):
    def failing_admit(self, charge, now):
        if self.role == "biologist":
            raise ZeroDivisionError("".join(["planted", "value"]))
        return admit(self, charge, now)

    return failing_admit


decisions.judge, Analyser.analyse = failing_judge, failing_analyse
Account.admit, Account.admit_run = failing(Account.admit), failing(Account.admit_run)
"""
WHERE = ["policy", "analysis", "meter"]
ROLES = {"policy": "lims_app", "analysis": "lims_app", "meter": "biologist"}


def start(
    factory: StartVigie, folder: Any, mode: str, environment: dict[str, str] | None = None
) -> VigieProcess:
    (folder / "sitecustomize.py").write_text(FAULTS)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return factory(mode=mode, environment={"PYTHONPATH": path, **(environment or {})})


@pytest.fixture(scope="module")
def enforcing(module_vigie: StartVigie, tmp_path_factory: pytest.TempPathFactory) -> VigieProcess:
    return start(module_vigie, tmp_path_factory.mktemp("enforce"), "enforce")


@pytest.fixture(scope="module")
def observing(module_vigie: StartVigie, tmp_path_factory: pytest.TempPathFactory) -> VigieProcess:
    return start(module_vigie, tmp_path_factory.mktemp("observe"), "observe")


def session(lab: Lab, process: VigieProcess, where: str) -> psycopg.Connection[Any]:
    dsn = f"{lab.dsn(ROLES[where], process.port)} application_name={where}"
    return psycopg.connect(dsn, autocommit=True)


def errors(process: VigieProcess, where: str) -> float:
    return samples(process)[f'vigie_internal_errors_total{{where="{where}"}}']


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("extended", [False, True])
def test_enforce_refuses(lab: Lab, enforcing: VigieProcess, where: str, extended: bool) -> None:
    """XX000 and no row; counted, logged, and the session can be used for what does not fail."""
    before = errors(enforcing, where)
    with session(lab, enforcing, where) as connection:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(f"{ONE} /* {where} */".encode(), [] if extended else None)
        if where != "policy":
            assert connection.execute("select 1").fetchone() == (1,)
        status = connection.info.transaction_status

    error = caught.value
    assert error.sqlstate == "XX000", str(error)
    assert error.diag.message_primary == "query refused: internal error of Vigie"
    assert (error.diag.message_detail or "").startswith("Finding ")
    assert status == psycopg.pq.TransactionStatus.IDLE
    assert errors(enforcing, where) > before
    assert f"internal error in {where}" in enforcing.log
    assert SECRET not in str(error)
    assert SECRET not in enforcing.log


def insert_before(connection: psycopg.Connection[Any], where: str, mark: str) -> None:
    """Insert, then read what Vigie fails on, in one transaction."""
    with connection.transaction():
        connection.execute(INSERT, [mark])
        connection.execute(f"{ONE} /* {where} */".encode())


@pytest.mark.parametrize("where", WHERE)
def test_a_transaction_aborts(lab: Lab, enforcing: VigieProcess, where: str, mark: str) -> None:
    """What was inserted before is rolled back, as after any other error."""
    with session(lab, enforcing, where) as connection:
        with pytest.raises(psycopg.Error) as caught:
            insert_before(connection, where, mark)
        kept = marked(lab, mark)

    assert (caught.value.sqlstate, kept) == ("XX000", 0)


@pytest.mark.parametrize("where", ["policy", "analysis"])
def test_a_refusal_by_an_error_is_recorded(lab: Lab, enforcing: VigieProcess, where: str) -> None:
    """The finding that the frontend is told is in the audit log."""
    with session(lab, enforcing, where) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(f"{ONE} /* {where} */".encode())
    finding = (caught.value.diag.message_detail or "").removeprefix("Finding ").rstrip(".")
    lines = [json.loads(line) for line in enforcing.audit.read_text().splitlines()]

    (record,) = [one for one in lines if one["finding_id"] == finding]
    assert (record["verdict"], record["carried_out"]) == ("block", True)


def test_a_cut_by_an_error_is_recorded(lab: Lab, enforcing: VigieProcess) -> None:
    """An error of the meter in the middle of a result has its record as well."""
    with session(lab, enforcing, "meter") as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(ONE)
    finding = (caught.value.diag.message_detail or "").removeprefix("Finding ").rstrip(".")

    assert finding in enforcing.audit.read_text()


def test_an_error_beside_the_rows_is_no_end(lab: Lab, enforcing: VigieProcess) -> None:
    """The meter fails on the text of the database's own error: refused, and the session goes on."""
    with session(lab, enforcing, "meter") as connection:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("select last_name::int from lab.patient where id = 1")
        after = connection.execute("select 1").fetchone()

    assert (caught.value.sqlstate, after) == ("XX000", (1,))


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("extended", [False, True])
def test_observe_passes(lab: Lab, observing: VigieProcess, where: str, extended: bool) -> None:
    """The database's answer comes, and the error is counted and logged all the same."""
    before = errors(observing, where)
    with session(lab, observing, where) as connection:
        text = f"{ONE} /* {where} */".encode()
        rows = connection.execute(text, [] if extended else None).fetchall()
        after = connection.execute("select 1").fetchone()
    with lab.connect("dba") as connection:
        expected = connection.execute(ONE).fetchall()

    assert (rows, after) == (expected, (1,))
    assert errors(observing, where) > before
    assert f"internal error in {where}" in observing.log


@pytest.mark.parametrize("where", WHERE)
def test_a_site_may_choose_to_pass(lab: Lab, vigie: StartVigie, tmp_path: Any, where: str) -> None:
    """``on_internal_error: allow``: what fails passes, and is counted."""
    process = start(vigie, tmp_path, "enforce", {"VIGIE_ON_INTERNAL_ERROR": "allow"})
    with session(lab, process, where) as connection:
        rows = connection.execute(f"{ONE} /* {where} */".encode()).fetchall()

    assert len(rows) == 1
    assert errors(process, where) > 0
