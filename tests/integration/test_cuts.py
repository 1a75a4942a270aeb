"""A result over the budget is cut: never one patient more, and nothing is half done."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus

from proxy.demo.postgres import SUPERUSER
from proxy.demo.tap import Tap
from proxy.wire.encode import FLUSH, SYNC, query
from tests.integration import bare
from tests.integration.conftest import marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.integration.conftest import RunProgram

pytestmark = pytest.mark.integration

Connection = psycopg.Connection[Any]
SPENT = "53400"
BUDGET = 100  # of a role that no budget names: EX201
SOME = "select nir, last_name from lab.patient where id between 1 and 300"
WIDE = SOME.replace("last_name", "repeat(last_name, 2000)")
INSERT = "insert into lab.audit (action) values (%s)"
DETAIL = re.compile(r"^Budget EX201, finding ([0-9a-f]{12})\.$")


@dataclass(frozen=True, slots=True)
class Taker:
    """A role with a budget of its own, and a tap between it and the proxy."""

    lab: Lab
    role: str
    tap: Tap
    known: frozenset[bytes]

    def connect(self) -> Connection:
        """Open a session through the tap."""
        return self.lab.connect(self.role, self.tap.port)

    def subjects(self) -> int:
        """Return how many patients have reached it, by the bytes."""
        return len(self.tap.subjects(self.known))


@pytest.fixture(scope="module")
def known(lab: Lab) -> frozenset[bytes]:
    return lab.keys()


@pytest.fixture
def taker(lab: Lab, enforcing: VigieProcess, known: frozenset[bytes]) -> Iterator[Taker]:
    """A new role: its budget is untouched."""
    role, password = f"taker_{secrets.token_hex(4)}", secrets.token_hex(8)
    with lab.connect(SUPERUSER) as connection:
        connection.execute(f"create role {role} login password '{password}' in role biologist")
    own = replace(lab, passwords={**lab.passwords, role: password})
    try:
        with Tap(enforcing.port) as tap:
            yield Taker(own, role, tap, known)
    finally:
        with lab.connect(SUPERUSER) as connection:
            connection.execute(f"drop role {role}")


def by_query(connection: Connection) -> None:
    result = connection.pgconn.exec_(SOME.encode())
    if result.status == ExecStatus.FATAL_ERROR:
        raise error_from_result(result)


def by_rows(text: str = SOME, *, binary: bool = False) -> Callable[[Connection], None]:
    def act(connection: Connection) -> None:
        connection.execute(text.encode(), [], binary=binary).fetchall()

    return act


def by_stream(connection: Connection) -> None:
    with connection.cursor() as cursor:
        for _row in cursor.stream(SOME):
            pass


def by_copy(form: str) -> Callable[[Connection], None]:
    def act(connection: Connection) -> None:
        text = f"copy ({SOME}) to stdout (format {form})"
        with connection.cursor() as cursor, cursor.copy(text.encode()) as copy:
            for _block in copy:
                pass

    return act


def by_cursor(connection: Connection) -> None:
    with connection.transaction():
        connection.execute(f"declare taking cursor for {SOME}".encode())
        while connection.execute("fetch 7 from taking").fetchall():
            pass


def by_held_cursor(connection: Connection) -> None:
    connection.execute(f"declare taking cursor with hold for {SOME}".encode())
    while connection.execute("fetch 7 from taking").fetchall():
        pass


def by_prepare(connection: Connection) -> None:
    connection.execute(f"prepare taking as {SOME}".encode())
    connection.execute("execute taking").fetchall()


def by_one_after_the_other(connection: Connection) -> None:
    for number in range(1, 301):
        text = b"select nir, last_name from lab.patient where id = %s"
        connection.execute(text, [number]).fetchall()


def by_pages(connection: Connection) -> None:
    for page in range(30):
        text = f"select nir from lab.patient order by id limit 10 offset {page * 10}"
        connection.execute(text.encode()).fetchall()


def by_pipeline(connection: Connection) -> None:
    with connection.pipeline():
        for number in range(0, 300, 10):
            text = b"select nir from lab.patient where id between %s and %s"
            connection.execute(text, [number + 1, number + 10])


WAYS: dict[str, Callable[[Connection], None]] = {
    "Query": by_query,
    "rows": by_rows(),
    "rows in binary": by_rows(binary=True),
    "wide rows": by_rows(WIDE),
    "a join": by_rows(
        "select p.nir, r.value from lab.patient p join lab.resultat r on r.patient_id = p.id"
        " where p.id between 1 and 300"
    ),
    "returned by a change": by_rows(
        "update lab.resultat set status = status where patient_id between 1 and 300"
        " and id in (select min(id) from lab.resultat group by patient_id)"
        " returning (select nir from lab.patient p where p.id = patient_id)"
    ),
    "stream": by_stream,
    "COPY": by_copy("text"),
    "COPY as CSV": by_copy("csv"),
    "COPY in binary": by_copy("binary"),
    "cursor": by_cursor,
    "held cursor": by_held_cursor,
    "PREPARE and EXECUTE": by_prepare,
    "one after the other": by_one_after_the_other,
    "pages": by_pages,
    "pipeline": by_pipeline,
}
EXACT = frozenset(WAYS) - {"returned by a change"}  # there the row's own charge decides


@pytest.mark.parametrize("way", WAYS)
def test_never_a_patient_over_the_budget(taker: Taker, enforcing: VigieProcess, way: str) -> None:
    """Exactly the budget reaches the frontend, then SQLSTATE 53400; the next statement works."""
    with taker.connect() as connection:
        with pytest.raises(psycopg.Error) as caught:
            WAYS[way](connection)
        status = connection.info.transaction_status
        after = connection.execute("select 1").fetchone()
        with pytest.raises(psycopg.Error):
            connection.execute("select nir from lab.patient where id between 1 and 300").fetchall()

    error = caught.value
    found = DETAIL.match(error.diag.message_detail or "")
    assert error.sqlstate == SPENT, str(error)
    assert found is not None, error.diag.message_detail
    assert str(BUDGET) not in str(error)
    assert found[1] in enforcing.audit.read_text()
    assert (status, after) == (TransactionStatus.IDLE, (1,))
    assert taker.subjects() == BUDGET if way in EXACT else taker.subjects() <= BUDGET


@pytest.mark.parametrize("way", ["Query", "rows", "wide rows", "COPY", "PREPARE and EXECUTE"])
def test_a_transaction_aborts(taker: Taker, lab: Lab, way: str, mark: str) -> None:
    """What was inserted before the cut is rolled back, as after any other error."""
    with taker.connect() as connection:
        connection.execute("begin")
        connection.execute(INSERT, [mark])
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            WAYS[way](connection)
        status = connection.info.transaction_status
        end = connection.execute("commit").statusmessage
        after = connection.execute("select 1").fetchone()

    assert (status, end, after) == (TransactionStatus.INERROR, "ROLLBACK", (1,))
    assert marked(lab, mark) == 0
    assert taker.subjects() == BUDGET


@pytest.mark.parametrize("text", [SOME, WIDE])
def test_in_a_pipeline_all_up_to_the_sync_is_undone(
    taker: Taker, lab: Lab, text: str, mark: str
) -> None:
    """Insert, a result that is cut, insert: no insert is kept; what follows the Sync runs."""
    with taker.connect() as connection:
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            insert_around(connection, text, mark)
        after = connection.execute("select 1").fetchone()

    assert after == (1,)
    assert marked(lab, mark) == 0
    assert taker.subjects() == BUDGET


def insert_around(connection: Connection, text: str, mark: str) -> None:
    """Send insert, statement, insert before one Sync."""
    with connection.pipeline():
        connection.execute(INSERT, [mark])
        connection.execute(text.encode())
        connection.execute(INSERT, [mark])


def test_a_portal_in_slices_is_one_result(taker: Taker) -> None:
    """Execute with a row limit, again and again: the budget runs over all slices."""
    rows, last = 0, "s"
    answers: list[bare.Message] = []
    with bare.logged_in(taker.lab, taker.role, taker.tap.port) as wire:
        wire.send(bare.parse("", SOME), bare.bind("taking", ""))
        while last == "s":
            wire.send(bare.execute("taking", 7), FLUSH)
            answers.clear()
            while not answers or answers[-1][0] not in "sCE":
                message = wire.receive()
                assert message is not None
                answers.append(message)
            rows += bare.tags(answers).count("D")
            last = answers[-1][0]
        wire.send(SYNC)
        end = wire.receive_to()
        wire.send(query(b"select 1"))
        after = wire.receive_to()

    assert (rows, last) == (BUDGET, "E")
    assert bare.error(answers)["C"] == SPENT
    assert (bare.tags(end), bare.tags(after)) == ("Z", "TDCZ")
    assert taker.subjects() == BUDGET


def test_many_queries_sent_at_once(taker: Taker) -> None:
    """Thirty Query messages in one write: answered in order until the budget is spent."""
    texts = [
        f"select nir from lab.patient where id between {n} and {n + 9}" for n in range(1, 300, 10)
    ]
    with bare.logged_in(taker.lab, taker.role, taker.tap.port) as wire:
        wire.send(*(query(text.encode()) for text in texts))
        answers = [wire.receive_to() for _ in texts]

    rows = [bare.tags(one).count("D") for one in answers]
    assert rows == [10] * 10 + [0] * 20
    assert {bare.error(one)["C"] for one in answers[10:]} == {SPENT}
    assert all(bare.tags(one).endswith("EZ") for one in answers[10:])
    assert taker.subjects() == BUDGET


@pytest.mark.parametrize("behind", ["select 1", INSERT.replace("%s", "'mark-none'")])
def test_what_was_sent_behind_a_query_that_is_cut_is_answered(taker: Taker, behind: str) -> None:
    """The cancel of a cut hits the result alone, not the next statement."""
    with bare.logged_in(taker.lab, taker.role, taker.tap.port) as wire:
        wire.send(query(b"begin"), query(WIDE.encode()), query(b"rollback"), query(b"begin"))
        wire.send(query(behind.encode()), query(b"rollback"))
        answers = [wire.receive_to() for _ in range(6)]

    assert bare.error(answers[1])["C"] == SPENT
    assert [one[-1][1] for one in answers] == [b"T", b"E", b"I", b"T", b"T", b"I"]
    assert not [one for one in answers[2:] if "E" in bare.tags(one)]


def test_many_sessions_share_one_budget(taker: Taker) -> None:
    """Eight sessions at once take what one may."""

    def take(number: int) -> list[str | None]:
        states: list[str | None] = []
        with taker.connect() as connection:
            for first in range(1 + number, 301, 8):
                text = b"select nir, last_name from lab.patient where id = %s"
                try:
                    connection.execute(text, [first]).fetchall()
                    states.append(None)
                except psycopg.Error as error:
                    states.append(error.sqlstate)
        return states

    with ThreadPoolExecutor(8) as pool:
        states = [state for found in pool.map(take, range(8)) for state in found]

    assert states.count(None) == BUDGET
    assert set(states) == {None, SPENT}
    assert taker.subjects() == BUDGET


def test_a_new_session_or_name_forgives_nothing(taker: Taker) -> None:
    """Reconnecting, DISCARD ALL, RESET and another application_name leave the budget spent."""
    with taker.connect() as connection:
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            by_query(connection)
        connection.execute("discard all")
        connection.execute("set application_name = 'someone else'")
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            by_query(connection)
    with taker.connect() as connection, pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
        connection.execute("select nir from lab.patient where id between 200 and 300")

    assert taker.subjects() == BUDGET


def test_the_same_patients_again_cost_nothing(taker: Taker) -> None:
    """A budget counts patients: reading ten of them a hundred times is ten."""
    text = "select nir, last_name from lab.patient where id between 1 and 10"
    with taker.connect() as connection:
        rows = [len(connection.execute(text.encode()).fetchall()) for _ in range(100)]

    assert rows == [10] * 100
    assert taker.subjects() == 10


def test_psql_in_slices_is_cut(taker: Taker, run: RunProgram) -> None:
    """FETCH_COUNT makes psql use a cursor; it says so and goes on."""
    script = f"\\set FETCH_COUNT 30\n{SOME};\nselect 'after';\n"
    done = run(
        *("psql", "-X", "-At"),
        role=taker.role,
        password=taker.lab.passwords[taker.role],
        port=taker.tap.port,
        stdin=script,
    )

    assert "Budget EX201" in done.stderr
    assert done.stdout.endswith("after\n")
    assert taker.subjects() == BUDGET


def test_asyncpg_is_cut(taker: Taker) -> None:
    """fetch, a cursor with prefetch, COPY: its class for 53400, and its pool goes on."""
    lab = taker.lab

    async def keep(_chunk: bytes) -> None:
        """Take a block."""

    async def act() -> tuple[list[str], object]:
        states = []
        async with asyncpg.create_pool(
            host=lab.host,
            port=taker.tap.port,
            user=taker.role,
            password=lab.passwords[taker.role],
            database=lab.database,
            ssl=False,
            timeout=20,
            min_size=1,
            max_size=1,
        ) as pool:

            async def by_cursor_() -> None:
                async with pool.acquire() as connection, connection.transaction():
                    async for _row in connection.cursor(SOME, prefetch=7):
                        pass

            async def by_copy_() -> None:
                async with pool.acquire() as connection:
                    await connection.copy_from_query(SOME, output=keep)

            for way in (by_cursor_, lambda: pool.fetch(SOME), by_copy_, by_cursor_):
                try:
                    await way()
                except asyncpg.PostgresError as error:
                    states.append(error.sqlstate)
            return states, await pool.fetchval("select 1")

    states, after = asyncio.run(act())

    assert (states, after) == ([SPENT] * 4, 1)
    assert taker.subjects() == BUDGET


def test_a_change_that_returns_rows_is_undone(taker: Taker, lab: Lab) -> None:
    """UPDATE ... RETURNING in autocommit, by the extended protocol: cut, and nothing changed."""
    text = "update lab.resultat set flag = 'Z' where patient_id between 1 and 300 returning"
    with taker.connect() as connection, pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
        connection.execute(f"{text} patient_id, value, %s".encode(), ["x"]).fetchall()
    with lab.connect(SUPERUSER) as connection:
        changed = connection.execute(
            "select count(*) from lab.resultat where flag = 'Z'"
        ).fetchone()

    assert changed == (0,)


def test_a_cut_is_recorded_once(taker: Taker, enforcing: VigieProcess) -> None:
    """One record with budget, method and no value, and it was carried out."""
    with taker.connect() as connection, pytest.raises(psycopg.Error):
        by_query(connection)
    lines = [json.loads(line) for line in enforcing.audit.read_text().splitlines()]
    mine = [one for one in lines if one["principal"]["role"] == taker.role]

    (record,) = [one for one in mine if one["kind"] == "cut"]
    assert record["charge"]["budget"] == "EX201"
    assert (record["verdict"], record["carried_out"]) == ("block", True)
