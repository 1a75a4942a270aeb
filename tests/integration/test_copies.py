"""A copy of subjects' data is subjects' data, whatever becomes of its name and of Vigie."""

from __future__ import annotations

import os
import secrets
import signal
from typing import TYPE_CHECKING

import psycopg
import pytest

from proxy.demo.postgres import SUPERUSER
from proxy.demo.vigie_process import VigieProcess

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.demo.lab import Lab

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("makes", ["statement", "function"])
def test_a_copy_is_known_after_a_kill_and_under_another_name(
    lab: Lab, tmp_path: Path, makes: str
) -> None:
    """By its OID, for everyone; and what takes its first name is nobody's."""
    name = f"copy_{secrets.token_hex(4)}"
    with lab.connect(SUPERUSER) as direct:
        direct.autocommit = True
        direct.execute(f"create table staging.{name}_f (nir text)")
        direct.execute(
            f"create function lab.{name}() returns void language plpgsql as $$ begin"
            f" insert into staging.{name}_f select nir from lab.patient where id > 0; end $$"
        )
    copied = f"staging.{name}" if makes == "statement" else f"staging.{name}_f"
    state = ["--state", str(tmp_path / "state.sqlite")]
    process = VigieProcess(lab.port, tmp_path, options=state)
    process.start()
    with lab.connect("dba", process.port) as connection:
        connection.autocommit = True
        if makes == "statement":
            connection.execute(f"create table {copied} as select nir from lab.patient")
        else:
            connection.execute(f"select lab.{name}()")
        connection.execute("select 1")
        os.kill(process.process_number, signal.SIGKILL)
    process.stop()
    with lab.connect(SUPERUSER) as direct:
        direct.autocommit = True
        direct.execute(f"alter table {copied} rename to {name}_renamed")
        direct.execute(f"create table {copied} as select 1 as nir")
        direct.execute(f"grant select on staging.{name}_renamed, {copied} to biologist")
        direct.execute("grant usage on schema staging to biologist")
    process = VigieProcess(lab.port, tmp_path, options=state)
    process.start()
    try:
        with lab.connect("biologist", process.port) as connection:
            connection.autocommit = True
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="reads every row of"):
                connection.execute(f"select nir from staging.{name}_renamed")
            assert connection.execute(f"select nir from {copied}").fetchall() == [(1,)]
    finally:
        process.stop()
        with lab.connect(SUPERUSER) as direct:
            direct.execute(f"drop function lab.{name}()")
            for table in {f"staging.{name}_renamed", copied, f"staging.{name}_f"}:
                direct.execute(f"drop table if exists {table}")


def test_a_log_that_a_trigger_writes_holds_subjects(lab: Lab, tmp_path: Path) -> None:
    """Nobody has to copy anything through Vigie for that."""
    name = f"log_{secrets.token_hex(4)}"
    with lab.connect(SUPERUSER) as direct:
        direct.execute(f"create table staging.{name} (what text)")
        direct.execute(
            f"create function lab.{name}() returns trigger language plpgsql as $$ begin"
            f" insert into staging.{name} values (old.last_name); return new; end $$"
        )
        direct.execute(
            f"create trigger {name} after update on lab.patient"
            f" for each row execute function lab.{name}()"
        )
        direct.execute("grant usage on schema staging to biologist")
        direct.execute(f"grant select on staging.{name} to biologist")
    process = VigieProcess(lab.port, tmp_path)
    process.start()
    try:
        with (
            lab.connect("biologist", process.port) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="reads every row of"),
        ):
            connection.execute(f"select what from staging.{name}")
    finally:
        process.stop()
        with lab.connect(SUPERUSER) as direct:
            direct.execute(f"drop function lab.{name}() cascade")
            direct.execute(f"drop table staging.{name}")
