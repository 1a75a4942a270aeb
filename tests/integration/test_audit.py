"""The audit log: one JSON line for each finding, and no value of a statement in any sink."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

from proxy.wire.encode import SYNC, query
from tests.fix_vigie import samples
from tests.integration import bare

if TYPE_CHECKING:
    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

ROLE = "lims_app"
WORD = "Zyxwvut"  # planted wherever a value may stand
NUMBER = "271828182845904"  # as long as a NIR
MARKS = (WORD, WORD.lower(), WORD.upper(), NUMBER, NUMBER[:8], WORD.encode().hex())
STATEMENTS = (
    f"select nir from lab.patient where last_name <> '{WORD}'",
    f"select nir from lab.patient where id > {NUMBER}",
    f"select nir, '{WORD}' from lab.patient",
    f"select nir from lab.patient where last_name <> $${WORD}$$",
    f"select nir from lab.patient where last_name <> $x${WORD} ' ${NUMBER}$x$",
    f"select nir from lab.patient where last_name <> E'\\'{WORD}'",
    f"select nir from lab.patient where last_name <> U&'{WORD}'",
    f"select nir from lab.patient where address <> 'it''s {WORD}' -- {WORD}",
    f"select nir from lab.patient /* {WORD} /* {NUMBER} */ */ limit 100000",
    f"select nir from lab.patient where nir in ('{NUMBER}') or true",
    f"select nir from lab.patient where id > -{NUMBER}.5e1 offset {NUMBER[:8]}",
    f"select string_agg(nir, '{WORD}') from lab.patient",
    f"copy (select nir from lab.patient where city <> '{WORD}') to stdout (delimiter '{WORD[0]}')",
    f"copy lab.patient to '/{WORD}/{NUMBER}'",
    f"do $$ begin perform '{WORD}', {NUMBER}; end $$",
    f"do '{WORD}'",
    f"selec '{WORD}' {NUMBER}",
    f"select '{WORD}",
    f"select nir from lab.patient where last_name <> '{WORD}' ; selec {NUMBER}",
    f"prepare p as select nir from lab.patient where last_name <> '{WORD}'",
    f"declare c cursor for select nir from lab.patient where last_name <> '{WORD}'",
    f"select query_to_xml('select ''{WORD}''', true, true, '{NUMBER}')",
    f"select dblink('password={WORD}', 'select {NUMBER}')",
    f"set application_name = '{WORD}'",
    f"select set_config('application_name', '{WORD}', false) from lab.patient",
    f"set standard_conforming_strings = '{WORD}'",
    f"create role someone password '{WORD}'",
    f"alter role lims_app password '{NUMBER}'",
    f"select lab.lab_json({NUMBER[:9]})",
    f"select pg_read_file('{WORD}')",
    f"notify news, '{WORD}'",
    f"select pg_notify('news', nir || '{WORD}') from lab.patient",
    f"insert into lab.analyse (code, libelle) select '{WORD}', nir from lab.patient",
    f"create temp table t as select '{WORD}' as x, nir from lab.patient",
    f"select nir from lab.patient where birth_date > date '2000-01-01' + interval '{WORD}'",
    f"select nir from lab.patient where last_name like '%{WORD}%' or first_name ~ '{NUMBER}'",
    f"select nir from lab.patient where created_at > timestamptz '{WORD}'",
    f"select x'{WORD.encode().hex()}', nir from lab.patient",
    f"select nir from lab.patient where nir = any('{{{NUMBER},{WORD}}}') or 1 = 1",
    f"select '{WORD}'::int",
)


@pytest.fixture(scope="module")
def planted(lab: Lab, enforcing: VigieProcess) -> VigieProcess:
    """A proxy through which all of these have gone, by Query, by Parse, and as parameters."""
    for statement in STATEMENTS:
        with bare.logged_in(lab, ROLE, enforcing.port) as wire:
            wire.send(query(statement.encode()))
            wire.receive_to()
            wire.send(bare.parse("", statement), bare.bind("", ""), bare.execute(""), SYNC)
            wire.receive_to()
    asyncio.run(with_parameters(lab, enforcing.port))
    spend(lab, enforcing.port)
    return enforcing


async def with_parameters(lab: Lab, port: int) -> None:
    """Bind the marks, log in under one of them, and use one as a password."""
    connection = await asyncpg.connect(
        host=lab.host,
        port=port,
        user=ROLE,
        password=lab.passwords[ROLE],
        database=lab.database,
        ssl=False,
        timeout=20,
        server_settings={"application_name": f"{NUMBER} 'x'"},
    )
    try:
        for text in ("last_name <> $1", "$1 <> ''", "nir <> $1 or city <> $1"):
            for value in (WORD, NUMBER):
                try:
                    await connection.fetch(f"select nir from lab.patient where {text}", value)
                except asyncpg.PostgresError:
                    continue
    finally:
        await connection.close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(lab.dsn(ROLE, port).replace(lab.passwords[ROLE], WORD))


def spend(lab: Lab, port: int) -> None:
    """Read until the budget is spent, a mark in each text."""
    text = f"select nir, '{WORD}' from lab.patient where id between 1 and 300 and city <> '{WORD}'"
    with lab.connect("dba", port) as connection:
        for _ in range(3):
            try:
                connection.execute(text.encode())
            except psycopg.Error:
                continue


def records(process: VigieProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.audit.read_text("ascii").splitlines()]


def test_no_value_of_a_statement_is_in_any_sink(planted: VigieProcess) -> None:
    """Literals, comments, parameters, passwords: not in the audit log, the log or the metrics."""
    sinks = {
        "audit": planted.audit.read_text(),
        "log": planted.log,
        "metrics": planted.metrics(),
    }
    leaks = {
        f"{name}: {line[:400]}"
        for name, text in sinks.items()
        for line in text.splitlines()
        if any(mark in line for mark in MARKS)
    }

    assert leaks == set()
    assert all(sinks.values())


def test_no_patient_is_in_any_sink(lab: Lab, planted: VigieProcess) -> None:
    """Although patients were read and cut: not one NIR."""
    text = planted.audit.read_text() + planted.log + planted.metrics()
    known = lab.keys()

    assert [key for key in known if key.decode() in text] == []


def test_each_finding_is_one_line_of_json(planted: VigieProcess) -> None:
    """Every line is whole, in order of time, with an id of its own and what decided."""
    found = records(planted)
    ids = [one["finding_id"] for one in found]

    assert len(found) > len(STATEMENTS)
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{12}", one) for one in ids)
    assert [one["at"] for one in found] == sorted(one["at"] for one in found)
    assert {one["schema_version"] for one in found} == {1}
    assert all(one["findings"] for one in found)
    assert {one["policy"] for one in found} == {found[0]["policy"]}
    assert {one["kind"] for one in found} >= {"statement", "cut"}
    assert {one["principal"]["address"] for one in found} == {"127.0.0.1"}
    assert samples(planted)["vigie_audit_records_total"] == len(found)
    assert samples(planted)["vigie_audit_write_errors_total"] == 0


def test_what_passes_without_a_finding_is_not_recorded(lab: Lab, planted: VigieProcess) -> None:
    """Ordinary work leaves no line: the log is of findings."""
    before = len(records(planted))
    with lab.connect("biologist", planted.port) as connection:
        connection.execute("select nir from lab.patient where id = 7").fetchall()
        connection.execute("select count(*) from lab.resultat").fetchall()

    assert len(records(planted)) == before


def test_a_statement_is_one_record_for_all_its_findings(lab: Lab, planted: VigieProcess) -> None:
    """Two rules that hold for one statement are two findings of one record."""
    before = len(records(planted))
    with lab.connect(ROLE, planted.port) as connection, pytest.raises(psycopg.Error):
        connection.execute("create temp table t as select nir from lab.patient")
    (record,) = records(planted)[before:]

    assert {"EX110"} <= {one["rule"] for one in record["findings"]}
    assert record["relations"] == ["lab.patient"]


def test_a_log_that_cannot_be_written_is_seen(lab: Lab, vigie: StartVigie) -> None:
    """A full disk: still refused, counted, logged, and no longer ready."""
    process = vigie(environment={"VIGIE_AUDIT__PATH": "/dev/full"})
    with lab.connect(ROLE, process.port) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute("select nir from lab.patient")

    assert caught.value.sqlstate == "42501"
    assert samples(process)["vigie_audit_write_errors_total"] == 1
    assert "could not be written" in process.log


def test_a_log_that_cannot_be_opened_ends_the_start(vigie: StartVigie) -> None:
    """One line that names the setting."""
    with pytest.raises(Exception, match=r"audit\.path: /nowhere/audit\.jsonl cannot be opened"):
        vigie(environment={"VIGIE_AUDIT__PATH": "/nowhere/audit.jsonl"})
