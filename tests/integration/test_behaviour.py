"""Behaviour on a real server: who looks for definitions is told of, tools that show them not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie
    from tests.integration.conftest import RunProgram

pytestmark = pytest.mark.integration


def probing(process: VigieProcess) -> int:
    """Return how many statements were flagged as probing."""
    lines = process.audit.read_text("utf-8").splitlines() if process.audit.exists() else []
    records = [json.loads(line) for line in lines]
    return sum(one["rule"] == "EX302" for record in records for one in record["findings"])


def test_names_are_guessed_and_tables_counted(lab: Lab, vigie: StartVigie) -> None:
    """As sqlmap goes about it, over two sessions of an application's role; it is not refused."""
    process = vigie()
    for words in (("users", "clients", "people"), ("personnes", "malades", "dossiers")):
        with lab.connect("lims_app", process.port) as connection:
            for word in words:
                with pytest.raises(psycopg.Error):
                    connection.execute(f"select nom from lab.{word} where id = 1".encode())
    with lab.connect("lims_app", process.port) as connection:
        for what in ("schemaname", "tablename", "count(*)"):
            connection.execute(f"select {what} from pg_tables where true".encode())
        found = probing(process)
        assert found >= 1
        for number in range(30):
            text = f"select tablename from pg_tables order by 1 offset {number} limit 1"
            assert connection.execute(text.encode()).fetchall()

    assert probing(process) > found


def test_tools_that_show_definitions_are_not_noticed(
    lab: Lab, vigie: StartVigie, run: RunProgram
) -> None:
    """Psql's own commands, by an application's role."""
    process = vigie()
    commands = [r"\d", r"\dt lab.*", r"\d lab.patient", r"\dn", r"\df lab.*", r"\dv lab.*", r"\l"]
    asked = [part for command in commands for part in ("-c", command)]
    for _ in range(3):
        done = run("psql", "-X", *asked, role="lims_app", port=process.port)
        assert (done.returncode, done.stderr) == (0, "")

    assert probing(process) == 0
    del lab
