"""Replication connections: none is let through, however it is spelt, but of a role that may."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import psycopg
import pytest

from proxy.demo.postgres import SUPERUSER
from proxy.demo.vigie_process import SITE
from tests.fix_vigie import until
from tests.integration import bare

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie
    from tests.integration.conftest import RunProgram

pytestmark = pytest.mark.integration

SPELLINGS = ["database", "DATABASE", "true", "on", "1", "yes", "t", "y", "tr", "anything"]


@pytest.mark.parametrize("value", SPELLINGS)
def test_a_replication_connection_is_refused(lab: Lab, enforcing: VigieProcess, value: str) -> None:
    """Before the database hears of it, with the rule that says so."""
    with bare.dialled(enforcing.port) as wire:
        wire.send(bare.startup(user=SUPERUSER, database=lab.database, replication=value))
        messages = wire.receive_to()

    error = bare.error(messages)
    assert bare.tags(messages) == "E"
    assert (error["S"], error["C"]) == ("FATAL", "42501")


@pytest.mark.parametrize("value", ["off", "false", "0", "no"])
def test_what_asks_for_no_replication_comes_in(
    lab: Lab, enforcing: VigieProcess, value: str
) -> None:
    """The database asks for a password."""
    with bare.dialled(enforcing.port) as wire:
        wire.send(bare.startup(user=SUPERUSER, database=lab.database, replication=value))
        first = wire.receive()

    assert first is not None
    assert first[0] == "R"


def test_pg_basebackup_takes_nothing(
    enforcing: VigieProcess, run: RunProgram, tmp_path: Path
) -> None:
    """The whole database in one command: refused, and no file is made."""
    folder = tmp_path / "copy"
    done = run("pg_basebackup", "-D", str(folder), role=SUPERUSER, port=enforcing.port)

    assert done.returncode == 1
    assert "connection refused: " in done.stderr
    assert not folder.exists() or not list(folder.iterdir())


def test_observing_a_base_backup_passes_whole(
    vigie: StartVigie, run: RunProgram, tmp_path: Path
) -> None:
    """Nothing is refused then: COPY out on one connection, both ways on another; it is recorded."""
    process = vigie(mode="observe")
    folder = tmp_path / "copy"
    done = run(
        *("pg_basebackup", "-D", str(folder), "-X", "stream", "-c", "fast"),
        role=SUPERUSER,
        port=process.port,
    )
    verified = run("pg_verifybackup", str(folder), role=SUPERUSER)

    assert (done.returncode, verified.returncode) == (0, 0), done.stderr + verified.stderr
    assert "EX912" in process.audit.read_text("ascii")
    assert "protocol error" not in process.log


UNLIMITED = """
  - id: EX{number}
    title: {measure} of the standby
    severity: info
    measure: {measure}
    roles: [postgres]
    window_seconds: 3600
    limit: null
    action: flag
    why: A standby holds everybody.
    tags: [budget]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The demonstration's site, where one role may replicate; its budgets are everybody's."""
    made = tmp_path / "site"
    shutil.copytree(SITE, made)
    lists = (made / "lists.yaml").read_text()
    (made / "lists.yaml").write_text(lists.replace("[standby]", f"[{SUPERUSER}]"))
    return made


@pytest.fixture
def unlimited(site: Path) -> Path:
    """The same, and nothing of that role's is cut."""
    with (site / "budgets.yaml").open("a") as file:
        for number, measure in ((591, "distinct_subjects"), (592, "rows"), (593, "canaries")):
            file.write(UNLIMITED.format(number=number, measure=measure))
    return site


def test_a_role_that_may_takes_a_base_backup(
    vigie: StartVigie, unlimited: Path, run: RunProgram, tmp_path: Path
) -> None:
    """Whole and verified, in enforce mode; each command of it is recorded."""
    process = vigie(site=unlimited)
    folder = tmp_path / "copy"
    done = run(
        *("pg_basebackup", "-D", str(folder), "-X", "stream", "-c", "fast"),
        role=SUPERUSER,
        port=process.port,
    )
    verified = run("pg_verifybackup", str(folder), role=SUPERUSER)
    audit = process.audit.read_text("ascii")

    assert (done.returncode, verified.returncode) == (0, 0), done.stderr + verified.stderr
    assert "EX913" in audit
    assert "BASE_BACKUP" in audit
    assert "EX912" not in audit


def test_a_role_that_may_streams_what_is_written(
    lab: Lab, vigie: StartVigie, unlimited: Path, run: RunProgram, tmp_path: Path
) -> None:
    """START_REPLICATION: CopyData both ways, to the place where the frontend wants it to end."""
    process = vigie(site=unlimited)
    folder = tmp_path / "wal"
    folder.mkdir()
    with lab.connect(SUPERUSER) as admin:
        admin.execute("select pg_create_physical_replication_slot('standby', true)")
        row = admin.execute("select pg_switch_wal()").fetchone()
        assert row is not None
        done = run(
            *("pg_receivewal", "-D", str(folder), "-S", "standby", "--endpos", str(row[0])),
            role=SUPERUSER,
            port=process.port,
        )
        free = "select from pg_replication_slots where slot_name = 'standby' and not active"
        until(lambda: admin.execute(free).fetchone() is not None, "the end of the stream")
        admin.execute("select pg_drop_replication_slot('standby')")

    assert done.returncode == 0, done.stderr
    assert any(path.stat().st_size == 1 << 24 for path in folder.iterdir())


def test_a_stream_is_cut_at_the_budget(
    vigie: StartVigie, site: Path, run: RunProgram, tmp_path: Path
) -> None:
    """Its bytes are charged: a role that may replicate is not thereby without a budget."""
    process = vigie(site=site)
    done = run(
        *("pg_basebackup", "-D", str(tmp_path / "copy"), "-X", "none", "-c", "fast"),
        role=SUPERUSER,
        port=process.port,
    )

    assert done.returncode == 1
    assert "result cut: " in done.stderr


def test_sql_of_a_replication_connection_is_judged_as_any_other(
    lab: Lab, vigie: StartVigie, unlimited: Path
) -> None:
    """A logical one runs SQL; what would be refused elsewhere is refused there."""
    process = vigie(site=unlimited)
    where = lab.dsn(SUPERUSER, process.port)
    with psycopg.Connection.connect(where, replication="database", autocommit=True) as connection:
        cursor = psycopg.ClientCursor(connection)
        assert cursor.execute("select pg_catalog.set_config('search_path', '', false)").fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            cursor.execute("copy (select 1) to program 'cat'")
        assert cursor.execute("IDENTIFY_SYSTEM").fetchone()
