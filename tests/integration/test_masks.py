"""Masks on a real database: who is masked gets rows in every format, and no identity by any way."""

from __future__ import annotations

import asyncio
import re
import shutil
from datetime import date
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import pytest
from psycopg import pq

from proxy.demo.postgres import SUPERUSER
from proxy.demo.tap import Tap
from proxy.demo.vigie_process import SITE
from tests.fix_vigie import samples

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

MASKS = """\
format: 1
rules:
  - id: EX510
    title: Nothing of identities for the software
    severity: info
    when: {role: {is: lims_app}}
    mask:
      - {classes: [identity], how: whole}
      - {classes: [quasi], how: whole}
    explain: shows no identities
    why: It counts tubes.
  - id: EX511
    title: Initials and years for biologists
    severity: info
    when: {role: {is: biologist}}
    mask: {classes: [identity, quasi], how: partial}
    explain: shows initials and years
    why: A name in full is on the sheet of paper.
  - id: EX512
    title: Pseudonyms for billing
    severity: info
    when: {role: {is: billing}}
    mask: {classes: [identity], how: hash}
    explain: shows pseudonyms
    why: Bills are joined by them.
"""
WHOLE, PARTIAL, HASH = "lims_app", "biologist", "billing"
STARS = "***"
HASHED = re.compile(r"h:[a-z2-7]{13}")


@pytest.fixture(scope="module")
def masking_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the demonstration, with three roles that are masked."""
    site = tmp_path_factory.mktemp("masks") / "site"
    shutil.copytree(SITE, site)
    (site / "masks.yaml").write_text(MASKS)
    return site


@pytest.fixture(scope="module")
def masking(module_vigie: StartVigie, masking_site: Path) -> VigieProcess:
    """A proxy in front of the laboratory that masks."""
    return module_vigie(site=masking_site)


@pytest.fixture(scope="module")
def stored(lab: Lab) -> dict[int, tuple[str, str, date]]:
    """NIR, name and birth date of a few patients."""
    with lab.connect(SUPERUSER) as connection:
        found = connection.execute(
            "select id, nir, last_name, birth_date from lab.patient where id <= 9"
        ).fetchall()
    return {row[0]: (row[1], row[2], row[3]) for row in found}


QUERY = "select id, nir, last_name, birth_date from lab.patient where id in (1, 2, 3) order by id"


@pytest.mark.parametrize("binary", [False, True])
def test_whole(
    lab: Lab, masking: VigieProcess, stored: dict[int, tuple[str, str, date]], *, binary: bool
) -> None:
    """Keys are there, texts are stars of the column's width, dates NULL; in both formats."""
    assert stored
    with lab.connect(WHOLE, masking.port) as connection:
        rows = connection.cursor(binary=binary).execute(QUERY).fetchall()

    assert rows == [(number, f"{STARS:15}", STARS, None) for number in (1, 2, 3)]


@pytest.mark.parametrize("binary", [False, True])
def test_partial(
    lab: Lab, masking: VigieProcess, stored: dict[int, tuple[str, str, date]], *, binary: bool
) -> None:
    """The first character and the year are left."""
    with lab.connect(PARTIAL, masking.port) as connection:
        rows = connection.cursor(binary=binary).execute(QUERY).fetchall()

    assert rows == [
        (n, f"{nir[0]}***".ljust(15), f"{name[0]}***", date(born.year, 1, 1))
        for n, (nir, name, born) in stored.items()
        if n in {1, 2, 3}
    ]


@pytest.mark.parametrize("style", ["German", "SQL, DMY", "Postgres, MDY"])
def test_a_year_in_every_style_of_dates(
    lab: Lab, masking: VigieProcess, stored: dict[int, tuple[str, str, date]], style: str
) -> None:
    """As the session has set it."""
    with lab.connect(PARTIAL, masking.port) as connection:
        connection.execute("select set_config('datestyle', %s, false)", [style])
        (text,) = (
            connection.pgconn.exec_(b"select birth_date from lab.patient where id = 1").get_value(
                0, 0
            )
            or b"",
        )
    year = stored[1][2].year

    assert re.fullmatch(rf"01[-/.]01[-/.]{year}".encode(), text)


def test_a_hash_joins_results(
    lab: Lab, masking: VigieProcess, stored: dict[int, tuple[str, str, date]]
) -> None:
    """The same for the same patient in every statement, in both formats; no NIR."""
    with lab.connect(HASH, masking.port) as connection:
        text = connection.execute(QUERY).fetchall()
        binary = connection.cursor(binary=True).execute(QUERY).fetchall()
        joined = connection.execute(
            "select x.n from lab.prescription r join (select id, nir n from lab.patient) x"
            " on x.id = r.patient_id where r.patient_id = 1 limit 1"
        ).fetchall()

    assert text == binary
    assert all(HASHED.fullmatch(row[1].strip()) for row in text)
    assert len({row[1] for row in text}) == len(text)
    assert joined == [(text[0][1],)]
    assert [row[3] for row in text] == [stored[n][2] for n in (1, 2, 3)]  # of another class


COPIES = [
    "copy ({}) to stdout",
    "copy ({}) to stdout with (format csv)",
    "copy ({}) to stdout with (format csv, header)",
    "copy ({}) to stdout with (format binary)",
]


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("role", [WHOLE, PARTIAL, HASH])
def test_copy(
    lab: Lab,
    masking: VigieProcess,
    stored: dict[int, tuple[str, str, date]],
    copy: str,
    role: str,
) -> None:
    """Each format can be read, and holds no name and no NIR."""
    with (
        lab.connect(role, masking.port) as connection,
        connection.cursor().copy(copy.format(QUERY).encode()) as rows,
    ):
        if "binary" in copy:
            rows.set_types(["int8", "bpchar", "text", "date"])
            found = list(rows.rows())
            octets = repr(found).encode()
            assert len(found) == 3
        else:
            octets = b"".join(bytes(block) for block in rows)
            assert octets.count(b"\n") == 3 + ("header" in copy)

    for number in (1, 2, 3):
        nir, name, _ = stored[number]
        assert nir.encode() not in octets
        assert name.encode() not in octets


@pytest.mark.parametrize("options", ["", "(format csv)", "(format csv, header)"])
def test_names_of_ones_own_choice_are_no_guess(
    lab: Lab, masking: VigieProcess, stored: dict[int, tuple[str, str, date]], options: str
) -> None:
    """A column that is called as the value in it is masked as any other."""
    nir = stored[1][0]
    copy = f"""copy (select nir "{nir}" from lab.patient where id = 1) to stdout {options}"""
    with (
        lab.connect(WHOLE, masking.port) as connection,
        connection.cursor().copy(copy.encode()) as rows,
    ):
        found = b"".join(bytes(block) for block in rows)

    assert found.count(nir.encode()) == ("header" in options)
    assert b"***" in found


def test_cursors_and_portals_in_slices(lab: Lab, masking: VigieProcess) -> None:
    """FETCH from a cursor, a binary one, EXECUTE, and a portal some rows at a time."""
    with lab.connect(WHOLE, masking.port) as connection:
        connection.execute("begin")
        for kind in ("", "binary"):
            connection.execute(f"declare c{kind} {kind} cursor for {QUERY}")
            found = connection.execute(f"fetch 2 from c{kind}").fetchall()
            found += connection.execute(f"fetch all from c{kind}").fetchall()
            assert [row[2] for row in found] == [STARS] * 3 or kind == "binary"
            assert all(row[3] is None for row in found)
        connection.execute("commit")
        connection.execute(f"prepare q as {QUERY}")
        assert [row[2] for row in connection.execute("execute q")] == [STARS] * 3


async def slices(lab: Lab, port: int) -> list[asyncpg.Record]:
    """Return the rows of a portal by two, of a statement that was described before."""
    connection = await asyncpg.connect(
        host=lab.host,
        port=port,
        user=WHOLE,
        password=lab.passwords[WHOLE],
        database=lab.database,
        ssl=False,
    )
    try:
        async with connection.transaction():
            statement = await connection.prepare(QUERY)
            assert statement.get_attributes()[0].type.name == "int8"
            rows = [row async for row in statement.cursor(prefetch=2)]
        return [*rows, *await connection.fetch(QUERY)]
    finally:
        await connection.close()


def test_asyncpg(lab: Lab, masking: VigieProcess) -> None:
    """It describes first, binds in binary, and takes portals in slices."""
    rows = asyncio.run(slices(lab, masking.port))

    assert [tuple(row) for row in rows] == 2 * [
        (number, f"{STARS:15}", STARS, None) for number in (1, 2, 3)
    ]


def test_a_described_statement_is_masked_when_it_runs(lab: Lab, masking: VigieProcess) -> None:
    """Parse and Describe in one round, Bind and Execute without another Describe in the next."""
    with lab.connect(WHOLE, masking.port) as connection:
        wire = connection.pgconn
        assert wire.prepare(b"s", QUERY.encode()).status == pq.ExecStatus.COMMAND_OK
        assert wire.describe_prepared(b"s").ftype(2) == 25
        for form in (0, 1):
            found = wire.exec_prepared(b"s", None, result_format=form)
            assert [found.get_value(row, 2) for row in range(3)] == [b"***"] * 3


def test_returning_is_masked(lab: Lab, masking: VigieProcess) -> None:
    """What a change gives back is a result as any other."""
    with lab.connect(WHOLE, masking.port) as connection:
        connection.execute("begin")
        found = connection.execute(
            "update lab.patient set medecin_id = medecin_id where id = 1 returning id, last_name"
        ).fetchall()
        connection.execute("rollback")

    assert found == [(1, STARS)]


REFUSED = """
    select id from lab.patient where id = 1 and last_name = 'X'
    select id from lab.patient where id in (1, 2) order by last_name
    select id, last_name from lab.patient where id in (1, 2) order by 2
    select distinct last_name from lab.patient where id in (1, 2)
    select last_name, count(*) from lab.patient where id in (1, 2) group by 1
    select upper(last_name) from lab.patient where id = 1
    select last_name::int from lab.patient where id = 1
    select last_name || '' from lab.patient where id = 1
    select string_agg(last_name, ',') from lab.patient where id in (1, 2)
    select max(last_name) from lab.patient where id in (1, 2)
    select array(select last_name from lab.patient where id = 1)
    select (select last_name from lab.patient where id = 1)
    select row(last_name) from lab.patient where id = 1
    select p from lab.patient p where id = 1
    select to_jsonb(p) from lab.patient p where id = 1
    select json_agg(p) from lab.patient p where id = 1
    select lab.patient_json(1)
    select * from lab.search_patient('A')
    select * from lab.f_inline('2020-01-01') where id = 1
    select id from lab.patient where id = 1 union select length(last_name) from lab.patient
    select last_name from lab.patient where id = 1 union select 'X'
    select 1/(case when last_name > 'M' then 0 else 1 end) from lab.patient where id = 1
    select pg_sleep(length(last_name)) from lab.patient where id = 1
    select id, rank() over (order by last_name) from lab.patient where id in (1, 2)
    create temp table t as select last_name from lab.patient where id = 1
    select last_name into temp t from lab.patient where id = 1
    explain analyze select id from lab.patient where id = 1
    explain select id from lab.patient where last_name = 'X'
    update lab.patient set mutuelle = last_name where id = 1
    do $$ begin perform last_name from lab.patient where id = 1; end $$
    do $$ begin raise notice '%', (select last_name from lab.patient where id = 1); end $$
    alter table lab.patient rename column last_name to harmless
    create function pg_temp.f() returns text language sql as 'select last_name from lab.patient'
    with x as (select id, last_name n from lab.patient where id = 1) select id from x where n = 'X'
    select a.id from lab.patient a natural join lab.patient b where a.id = 1
    select most_common_vals from pg_stats where attname = 'last_name'
    copy (select last_name from lab.patient where id = 1) to stdout with (delimiter '|')
"""


def rows_of(connection: psycopg.Connection, sql: str) -> list[object]:
    """Return what a statement or COPY gives."""
    cursor = connection.cursor()
    if not sql.startswith("copy"):
        return [*cursor.execute(sql.encode())]
    with cursor.copy(sql.encode()) as rows:
        return [*rows]


@pytest.mark.parametrize("sql", [line.strip() for line in REFUSED.strip().splitlines()])
def test_whatever_else_is_refused(lab: Lab, masking: VigieProcess, sql: str) -> None:
    """By predicate, order, expression, aggregate, cast, row, function, staging, side door."""
    with (
        Tap(masking.port) as tap,
        lab.connect(WHOLE, tap.port) as connection,
        pytest.raises(psycopg.Error) as caught,
    ):
        rows_of(connection, sql)
    assert caught.value.sqlstate == "42501", str(caught.value)
    assert not tap.subjects(lab.keys())


ALLOWED = """
    select count(*) from lab.patient where id < 9
    select medecin_id, count(*) from lab.patient where id < 9 group by 1 order by 2
    select id, last_name from lab.patient where id in (1, 2) order by id desc limit 1
    select x.n from (select last_name n from lab.patient where id = 1) x
    with x as (select * from lab.patient where id = 1) select * from x
    select last_name, value from lab.patient p, lab.resultat r where r.patient_id = 1 and p.id = 1
    select last_name from lab.patient where id = 1 union all select 'X'
    explain select id, last_name from lab.patient where id = 1
    select 1
    show search_path
"""


@pytest.mark.parametrize("sql", [line.strip() for line in ALLOWED.strip().splitlines()])
def test_work_goes_on(
    lab: Lab, masking: VigieProcess, stored: dict[int, tuple[str, str, date]], sql: str
) -> None:
    """Columns as they are, through queries and joins; counts over what is not masked."""
    with lab.connect(WHOLE, masking.port) as connection:
        rows = connection.execute(sql.encode()).fetchall()

    assert rows
    assert stored[1][1] not in repr(rows)


def test_a_type_that_cannot_be_masked_so_is_refused(lab: Lab, masking: VigieProcess) -> None:
    """Nothing of lab.audit's JSON is left by its first character; the session goes on."""
    with lab.connect(SUPERUSER) as connection:
        (patient,) = connection.execute("select max(patient_id) from lab.audit").fetchone() or ()
    with lab.connect(PARTIAL, masking.port) as connection:
        with pytest.raises(psycopg.Error, match="cannot be masked by partial"):
            connection.execute(
                f"select id, detail from lab.audit where patient_id = {patient} limit 1"
            )
        assert connection.execute("select 1").fetchone() == (1,)


def test_errors_say_no_value(lab: Lab, masking: VigieProcess) -> None:
    """The row that fails a constraint would be in the detail; the code is left."""
    with lab.connect(WHOLE, masking.port) as connection:
        with pytest.raises(psycopg.errors.NotNullViolation) as caught:
            connection.execute("update lab.patient set last_name = null where id = 1")
        assert caught.value.diag.message_detail is None
        with pytest.raises(psycopg.errors.UndefinedColumn, match="nowhere"):
            connection.execute("select nowhere from lab.analyse")


def test_tables_of_ones_own_come_and_go(lab: Lab, masking: VigieProcess) -> None:
    """What is made of values of one's own is as it was."""
    with lab.connect(WHOLE, masking.port) as connection:
        connection.execute("drop table if exists pg_temp.own")
        connection.execute("create temp table own (name text)")
        connection.execute("insert into own values ('DUPONT')")
        assert connection.execute("select name from own").fetchall() == [("DUPONT",)]
        connection.execute("drop table own")


def test_the_record_and_the_metric_tell(lab: Lab, masking: VigieProcess) -> None:
    """Which columns, and how; how many values."""
    before = samples(masking)['vigie_masked_values_total{how="whole"}']
    with lab.connect(WHOLE, masking.port) as connection:
        connection.execute(QUERY).fetchall()

    assert samples(masking)['vigie_masked_values_total{how="whole"}'] == before + 9
    assert "nir whole, last_name whole, birth_date whole" in masking.audit.read_text()


@pytest.mark.parametrize(
    "sql",
    [
        "select nir from lab.patient where id = 1 union all select '184017512345678'",
        "with x as (select '1' n union all select nir from lab.patient where id = 1) table x",
        (
            "select nir from lab.patient where id = 1"
            " union all select last_name from lab.patient where id = 1"
        ),
        "update lab.patient set nir = '184017512345678' where id = 1 returning nir",
        "insert into lab.patient (id, nir) values (0, '184017512345678') returning nir",
    ],
)
def test_a_hash_cannot_be_tried_out(lab: Lab, masking: VigieProcess, sql: str) -> None:
    """Nobody gets the hash of a value that he has chosen."""
    with (
        lab.connect(HASH, masking.port) as connection,
        pytest.raises(psycopg.Error, match="a hash could be tried out"),
    ):
        connection.execute(sql.encode())


def test_writes_beside_hashes_go_on(lab: Lab, masking: VigieProcess) -> None:
    """A relation without such columns is written as ever."""
    with lab.connect(HASH, masking.port) as connection:
        connection.execute("begin")
        done = connection.execute("update lab.facture set montant = montant where patient_id = 1")
        connection.execute("rollback")

    assert done.statusmessage is not None
    assert done.statusmessage.startswith("UPDATE")


def test_others_are_not_masked(
    lab: Lab, masking: VigieProcess, stored: dict[int, tuple[str, str, date]]
) -> None:
    """A rule is for whom it names."""
    with lab.connect("secretary", masking.port) as connection:
        (row,) = connection.execute(
            "select nir, last_name, birth_date from lab.patient where id = 1"
        ).fetchall()

    assert row == stored[1]


def test_observing_masks_nothing(
    lab: Lab,
    vigie: StartVigie,
    masking_site: Path,
    stored: dict[int, tuple[str, str, date]],
) -> None:
    """It records what it would mask."""
    process = vigie(site=masking_site, mode="observe")
    with lab.connect(WHOLE, process.port) as connection:
        (row,) = connection.execute("select last_name from lab.patient where id = 1").fetchall()

    assert row == (stored[1][1],)
    assert "last_name whole" in process.audit.read_text()
