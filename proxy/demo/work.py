"""A morning's legitimate work in the laboratory, about 300 statements.

Every role does what its program does: psycopg with the simple and the extended protocol,
pipelines, a server-side cursor, COPY; asyncpg with a pool, prepared statements, transactions.
All of it stays within the budgets of ``rules/sites/lab-demo``.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import psycopg

from proxy.demo.desk import Desk, Papers, Timing

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.demo.lab import Lab

BY_NIR: Final = (
    "select id, last_name, first_name, birth_date, phone from lab.patient where nir = %s"
)
BY_NAME: Final = (
    "select id, last_name, first_name, birth_date from lab.patient "
    "where lower(last_name) = lower(%s) order by first_name limit {}"
)
HISTORY: Final = (
    "select r.validated_at, a.libelle, r.value, r.value_text, r.unit, r.flag from lab.resultat r "
    "join lab.analyse a on a.code = r.analyse_code where r.patient_id = {} order by 1 desc"
)
WORKLIST: Final = (
    "select e.id, e.barcode, e.collected_at, p.id as patient, p.last_name, p.first_name "
    "from lab.echantillon e join lab.patient p on p.id = e.patient_id "
    "where e.status = 'received' order by e.collected_at limit 50"
)
NEW_RESULT: Final = (
    "insert into lab.resultat (id, patient_id, analyse_code, value, unit, ref_low, ref_high, flag, "
    "status, entered_by) values ({}, '718-7', {}, 'g/dL', 12, 16, 'N', 'to_validate', 3)"
)
WRITTEN_FROM: Final = 8_000_000_000  # the numbers of the results that the morning writes
PER_ROUND: Final = 1_000_000
PER_SCENE: Final = 10_000
Scene = tuple[str, "Callable[[Desk], None]"]


def reception(desk: Desk) -> None:
    """The application of the front desk, simple protocol: literals in the text."""
    with desk.session(psycopg.ClientCursor) as connection:
        for _, nir, _ in desk.papers.patients[:15]:
            desk.run(connection, "patient by NIR, simple", BY_NIR, [nir])
        for _, _, name in desk.papers.patients[:2]:
            desk.run(connection, "search by name, simple", BY_NAME.format(50), [name])
        desk.run(connection, "worklist of the day, simple", WORKLIST)
        for number, _, _ in desk.papers.patients[:10]:
            desk.run(connection, "one patient's results, simple", HISTORY.format("%s"), [number])


def bench_work(desk: Desk) -> None:
    """The same application, extended protocol: parameters, a transaction, a pipeline."""
    with desk.session() as connection:
        for _, nir, _ in desk.papers.patients[15:]:
            desk.run(connection, "patient by NIR, extended", BY_NIR, [nir])
        desk.run(connection, "search by name, extended", BY_NAME.format("50"), ["LE GALL"])
        desk.run(connection, "worklist of the day, extended", WORKLIST)
        for number, _, _ in desk.papers.patients[:15]:
            _write_result(desk, connection, number)
        desk.run(connection, "one patient as JSON", "select lab.patient_json(%s)", [1])
        with desk.timed("pipeline of ten lookups", 10), connection.pipeline():
            sent = [
                connection.execute("select last_name from lab.patient where id = %s", [number])
                for number, _, _ in desk.papers.patients[:10]
            ]
            for cursor in sent:
                cursor.fetchall()


def _write_result(desk: Desk, connection: psycopg.Connection, patient: int) -> None:
    desk.run(connection, "begin", "begin")
    insert = NEW_RESULT.format("%s, %s", "%s")
    desk.run(connection, "insert of a result", insert, [desk.new_number(), patient, 13.4])
    update = "update lab.echantillon set status = 'closed' where id = %s"
    desk.run(connection, "sample closed", update, [patient])
    desk.run(connection, "commit", "commit")


def analyser(desk: Desk) -> None:
    """An analyser's results of the night, by COPY FROM STDIN."""
    columns = "id, patient_id, analyse_code, value, unit, flag, status, entered_by"
    statement = f"copy lab.resultat ({columns}) from stdin".encode()
    with desk.session() as connection:
        for _ in range(3):
            with (
                desk.timed("COPY of analyser results"),
                connection.cursor() as cursor,
                cursor.copy(statement) as copy,
            ):
                for number, _, _ in desk.papers.patients:
                    row = (desk.new_number(), number, "777-3", 240, "10*9/L", "N", "to_validate", 3)
                    copy.write_row(row)


def portal(desk: Desk) -> None:
    """The results portal: asyncpg, pool, prepared statements, transactions."""
    asyncio.run(_portal(desk))


async def _portal(desk: Desk) -> None:
    pool = await desk.pool()
    try:
        async with pool.acquire() as connection:
            await connection.fetchval("select 1")
            identity = await connection.prepare(
                "select last_name, first_name, email from lab.patient where id = $1"
            )
            history = await connection.prepare(HISTORY.format("$1"))
            for number, _, _ in desk.papers.patients:
                with desk.timed("patient by id, asyncpg"):
                    await identity.fetchrow(number)
                with desk.timed("one patient's results, asyncpg"):
                    await history.fetch(number)
        for number, _, _ in desk.papers.patients[:10]:
            async with pool.acquire() as connection, connection.transaction():
                with desk.timed("insert of a result, asyncpg"):
                    await connection.execute(
                        NEW_RESULT.format("$1, $2", "$3"), desk.new_number(), number, 14
                    )
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(pool.close(), 10)


def secretary(desk: Desk) -> None:
    """Finds patients by name, corrects a phone number, looks at the day's samples."""
    with desk.session() as connection:
        for number, _, name in desk.papers.patients[:3]:
            desk.run(connection, "search by name", BY_NAME.format(20), [name])
            update = "update lab.patient set phone = %s where id = %s"
            desk.run(connection, "phone number corrected", update, ["0639980000", number])
        for number, _, _ in desk.papers.patients[:15]:
            sql = "select * from lab.patient where id = %s"
            desk.run(connection, "patient's file", sql, [number])
        worklist = (
            "select id, barcode, status from lab.v_worklist where status = 'received' limit 30"
        )
        desk.run(connection, "samples of the day", worklist)


def biologist(desk: Desk) -> None:
    """Reads the history of those to validate, validates, comments."""
    listed = (
        "select r.id, r.analyse_code, r.value, r.flag, p.id as patient, p.last_name, p.birth_date "
        "from lab.resultat r join lab.patient p on p.id = r.patient_id "
        "where r.status = 'to_validate' order by r.id limit 40"
    )
    with desk.session() as connection:
        desk.run(connection, "results to validate", listed)
        for number, _, _ in desk.papers.patients[:20]:
            view = "select libelle, value, unit, flag, validated_at from lab.v_patient_resultat"
            desk.run(connection, "history", f"{view} where patient_id = %s", [number])
        for number in desk.papers.to_validate:
            sql = (
                "update lab.resultat set status = 'validated', validated_by = 1, "
                "validated_at = now() where id = %s returning id"
            )
            desk.run(connection, "validation", sql, [number])


def billing(desk: Desk) -> None:
    """The invoices of a month: totals, the list, the ones sent."""
    listed = (
        "select f.id, p.nir, p.last_name, p.first_name, f.montant, f.payeur from lab.facture f "
        "join lab.patient p on p.id = f.patient_id "
        "where f.mois = %s and f.payeur = %s and f.status = 'a_emettre' order by f.id limit 150"
    )
    totals = "select payeur, count(*), sum(montant) from lab.facture where mois = %s group by 1"
    with desk.session() as connection:
        desk.run(connection, "totals of the month", totals, [desk.papers.month])
        desk.run(connection, "invoices of the month", listed, [desk.papers.month, "CPAM56"])
        for number in desk.papers.invoices:
            update = "update lab.facture set status = 'emise' where id = %s"
            desk.run(connection, "invoice sent", update, [number])


def dashboard(desk: Desk) -> None:
    """Figures on the wall: counts and averages, nobody in particular."""
    statements = (
        "select count(*) from lab.resultat",
        "select status, count(*) from lab.echantillon group by status",
        "select mois, sum(n) from lab.mv_stats_mois group by mois order by mois",
        "select analyse_code, avg(value) from lab.resultat where flag = 'H' group by 1 order by 1",
        "select automate, niveau, avg(value), stddev(value) from lab.qc_mesure group by 1, 2",
        "select payeur, sum(montant) from lab.facture group by payeur",
    )
    with desk.session() as connection:
        for sql in statements * 2:
            desk.run(connection, "figures", sql)


def administrator(desk: Desk) -> None:
    """The database administrator: catalogs, sizes, activity, plans."""
    statements = (
        "select version()",
        "show work_mem",
        "select relname, n_live_tup from pg_stat_user_tables order by 2 desc limit 10",
        "select pg_size_pretty(pg_database_size(current_database()))",
        "select pid, state, wait_event from pg_stat_activity where datname = current_database()",
        "select attname, attnum from pg_attribute where attrelid = 'lab.patient'::regclass",
        "select indexrelname, idx_scan from pg_stat_user_indexes where schemaname = 'lab'",
        "explain select * from lab.patient where lower(last_name) = 'martin'",
        "select name, setting from pg_settings where name like 'autovacuum%'",
        "set statement_timeout = '30s'",
        "reset statement_timeout",
    )
    with desk.session(psycopg.ClientCursor) as connection:
        for sql in statements:
            desk.run(connection, "administration", sql)


def declaration(desk: Desk) -> None:
    """The day's declaration to SI-DEP: those tested for SARS-CoV-2, by a server-side cursor."""
    sql = (
        "select p.nir, p.last_name, p.first_name, p.birth_date, p.postcode, r.value_text, "
        "r.validated_at from lab.resultat r join lab.patient p on p.id = r.patient_id "
        "where r.analyse_code = '94500-6' and r.validated_at >= current_date - 30 "
        "order by r.validated_at limit 300"
    )
    with desk.session(autocommit=False) as connection, desk.timed("SI-DEP declaration", 3):
        with connection.cursor(name="sidep") as cursor:
            cursor.itersize = 100
            cursor.execute(sql.encode())
            for _row in cursor:
                pass
        connection.commit()


SCENES: Final[tuple[Scene, ...]] = (
    ("lims_app", reception),
    ("lims_app", bench_work),
    ("lims_app", analyser),
    ("lims_app", portal),
    ("secretary", secretary),
    ("biologist", biologist),
    ("billing", billing),
    ("dashboard", dashboard),
    ("dba", administrator),
    ("export_job", declaration),
)


def play(scene: Scene, lab: Lab, port: int, papers: Papers, round_number: int) -> list[Timing]:
    """Do one scene's work against ``port``; an error outside a statement counts as a refusal.

    Rounds on the same laboratory need different numbers: they write rows.
    """
    role, act = scene
    first_number = WRITTEN_FROM + round_number * PER_ROUND + SCENES.index(scene) * PER_SCENE
    desk = Desk(lab, port, role, papers, first_number)
    title = (act.__doc__ or act.__name__).split(":")[0]
    finished = False
    with desk.timed(title):
        act(desk)
        finished = True
    if finished:
        desk.timings.pop()  # the whole scene is no statement
    return desk.timings


def morning(lab: Lab, port: int, *, round_number: int = 0) -> list[Timing]:
    """Do all the work against ``port`` and return its statements in order."""
    papers = Papers.of(lab)
    return [t for scene in SCENES for t in play(scene, lab, port, papers, round_number)]
