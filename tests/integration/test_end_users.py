"""End users behind one role: by comment, by setting, through real drivers, and who would cheat."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import urllib.parse
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from psycopg import errors
from psycopg.pq import TransactionStatus

from proxy.demo.vigie_process import SITE

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

TRUST: Final = """format: 1
end_users:
  - roles: [lims_app]
    end_user: {comment: user}
    application: {comment: app}
    why: its requests are signed in
  - roles: [secretary, billing]
    end_user: {setting: vigie.user}
    application: {setting: application_name}
    why: the desk's software says who sits there
overrides:
  EX214: {limit: 20, why: a test}
budgets:
  - id: EX511
    title: Patients for one person
    measure: distinct_subjects
    per: [end_user]
    bound: true
    roles: [lims_app, secretary, billing]
    limits: {1 h: 3}
    why: a test
  - id: EX512
    title: Patients for nobody named
    measure: distinct_subjects
    per: [role]
    bound: false
    roles: [lims_app, secretary, billing]
    limits: {1 h: 2}
    why: a test
  - id: EX513
    title: Patients for one role and person
    measure: distinct_subjects
    per: [role, end_user, application]
    roles: [lims_app, secretary, billing]
    limits: {1 h: 1000}
    why: a test
"""
SAID: Final = (
    "set vigie.\"user\" = 'alice'",
    "select set_config('vigie.user', 'bob', false)",
    "set local vigie.\"user\" to 'carol'",
    "select set_config('vigie.user', 'dora', true)",
    *("begin", "commit", "rollback", "commit and chain", "savepoint a", "savepoint b"),
    *("release a", "rollback to a", "rollback to b", "select 1/0", "select 1", "reset all"),
    *('reset vigie."user"', "select nir from lab.patient where id = 1"),
)
READ: Final = "select nir, last_name from lab.patient where id = {}"
FREE: Final = "select count(*) from lab.analyse"


@pytest.fixture
def trusting(vigie: StartVigie, tmp_path: Path) -> VigieProcess:
    """A proxy that believes what some roles say."""
    site = tmp_path / "site"
    shutil.copytree(SITE, site)
    (site / "end_users.yaml").write_text(TRUST, "utf-8")
    return vigie(site=site)


def comment(user: str) -> str:
    """Return what sqlcommenter appends."""
    return f" /*db_driver='psycopg',user='{urllib.parse.quote(user)}'*/"


def received(shown: list[tuple[Any, ...]], budget: str = "EX511") -> dict[str, int]:
    """Return what is used of a budget, by whose it is."""
    return {str(row[2]): int(row[3]) for row in shown if row[0] == budget}


SHOW: Final = b"show vigie.budget"


def test_each_person_has_a_budget_by_comment(lab: Lab, trusting: VigieProcess) -> None:
    """Three patients for each, two for nobody; through one connection, simple and extended."""
    with lab.connect("lims_app", trusting.port) as connection:
        for user, keys in (("alice", (1, 2, 3)), ("dr. Léa", (4, 5, 6))):
            for key in keys:
                connection.execute((READ.format(key) + comment(user)).encode())
            with pytest.raises(errors.ConfigurationLimitExceeded):
                connection.execute((READ.format(9) + comment(user)).encode())
            connection.execute((READ.format(keys[0]) + comment(user)).encode())  # known to her
        for key in (7, 8):
            connection.execute(READ.format(key).encode())
        with pytest.raises(errors.ConfigurationLimitExceeded):
            connection.execute(READ.format(9).encode())
        shown = connection.execute(SHOW + comment("alice").encode()).fetchall()
        unbound = connection.execute(SHOW).fetchall()
        # values that are bound are no comment
        rows = connection.execute(
            "select nir from lab.patient where id = 10 and last_name <> %s" + comment("bob"),
            ["/*user='alice'*/"],
        ).fetchall()

    assert received(shown) == {"end_user=alice": 3}
    assert received(unbound, "EX512") == {"role=lims_app@lab end_user=(unbound)": 2}
    assert len(rows) == 1


@pytest.mark.parametrize(
    "text",
    [
        "select nir, '/*user=''alice''*/' from lab.patient where id = {}",
        "/*user='alice'*/ select nir from lab.patient where id = {}",
        "select nir /*user='alice'*/ from lab.patient where id = {}",
        "select nir from lab.patient where id = {} /*user='alice'*/ /*user='bob'*/",
        "select nir from lab.patient where id = {} /* /*user='alice'*/ */",
        "select nir from lab.patient where id = {} /*user='alice'*/ -- ",
        "select nir from lab.patient where id = {} /*user='%FF'*/",
        "select nir from lab.patient where id = {} /*user='al%0Aice'*/",
        "select nir, $$ /*user='alice'*/ $$ from lab.patient where id = {}",
        "select nir from lab.patient where id = {} /*user='alice',%75ser='bob'*/",
    ],
)
def test_what_is_not_said_plainly_is_nobody(lab: Lab, trusting: VigieProcess, text: str) -> None:
    """Charged to nobody's two patients, not to a person's three."""
    with lab.connect("lims_app", trusting.port) as connection:
        for key in (11, 12):
            connection.execute(text.format(key).encode())
        with pytest.raises(errors.ConfigurationLimitExceeded):
            connection.execute(text.format(13).encode())
        assert received(connection.execute(SHOW).fetchall(), "EX512") == {
            "role=lims_app@lab end_user=(unbound)": 2
        }


def test_inventing_names_is_bounded_by_the_role(lab: Lab, trusting: VigieProcess) -> None:
    """A new name for each statement has a new budget each time: the role's own is no larger."""
    with lab.connect("billing", trusting.port) as connection:
        for key in range(1, 21):
            connection.execute("select set_config('vigie.user', %s, false)", [f"x{key}"])
            connection.execute(READ.format(key).encode())
        with pytest.raises(errors.ConfigurationLimitExceeded, match="as much as its budget"):
            connection.execute(READ.format(21).encode())


def name_of(connection: psycopg.Connection[Any]) -> set[str]:
    """Return whose usage SHOW tells: for whom the session acts now."""
    shown = connection.execute(SHOW, prepare=False).fetchall()
    return {str(row[2]).split("end_user=")[1].split(" ")[0] for row in shown if row[0] == "EX513"}


def test_a_setting_follows_the_transaction(lab: Lab, trusting: VigieProcess) -> None:
    """As PostgreSQL keeps it, so does the budget."""
    with lab.connect("secretary", trusting.port) as connection:
        run = connection.execute
        assert name_of(connection) == {"(unbound)"}
        run(b"SET vigie.user = 'alice'")
        assert name_of(connection) == {"alice"}
        assert run(b"SHOW vigie.user").fetchone() == ("alice",)
        run(b"begin")
        run(b"set local vigie.user to 'bob'")
        assert name_of(connection) == {"bob"}
        run(b"savepoint s")
        run("select set_config('vigie.user', %s, true)", ["carol"])
        assert name_of(connection) == {"carol"}
        with pytest.raises(errors.DivisionByZero):
            run(b"select 1/0")
        run(b"rollback to s")
        assert name_of(connection) == {"bob"}
        run(b"commit")
        assert name_of(connection) == {"alice"}
        with pytest.raises(errors.DivisionByZero):
            run(b"""set vigie."user" = 'mallory'; select 1/0""")
        assert name_of(connection) == {"alice"}
        run(b"begin")
        run(b"set vigie.user = 'mallory'")
        run(b"rollback")
        assert name_of(connection) == {"alice"}
        run(b"prepare p(text) as select set_config('vigie.user', $1, false)")
        assert name_of(connection) == {"alice"}
        run(b"execute p('dave')")
        assert name_of(connection) == {"dave"}
        for reset in (b"reset vigie.user", b"reset all", b"discard all"):
            run(b"set vigie.user = 'alice'")
            run(reset, prepare=False)
            assert name_of(connection) == {"(unbound)"}
        run(b"select set_config('vigie.user', 'frank', false) where true")
        assert name_of(connection) == {"frank"}  # asked of the server
        run("select set_config('vigie.user', %s, false)", ["x" * (1 << 20)])
        assert name_of(connection) == {"(unbound)"}


def test_a_pipeline_is_charged_to_who_was_named_in_it(lab: Lab, trusting: VigieProcess) -> None:
    """SET and SELECT sent together: the SELECT waits for what the SET did."""
    with lab.connect("billing", trusting.port) as connection:
        for user, keys in (("alice", (21, 22)), ("bob", (23,))):
            with connection.pipeline():
                connection.execute("select set_config('vigie.user', %s, false)", [user])
                for key in keys:
                    connection.execute(READ.format(key).encode())
        alone = connection.execute(SHOW).fetchall()
        # in one text
        connection.pgconn.exec_(
            b"""set vigie."user" = 'carol'; select nir from lab.patient where id = 24"""
        )
        carol = connection.execute(SHOW).fetchall()
        connection.execute(b"set vigie.user = 'alice'")
        alice = connection.execute(SHOW).fetchall()

    assert received(alone) == {"end_user=bob": 1}
    assert received(carol) == {"end_user=carol": 1}
    assert received(alice) == {"end_user=alice": 2}


def test_start_up_options_name_as_well(lab: Lab, trusting: VigieProcess) -> None:
    """``options=-c vigie.user=...`` and ``application_name``; RESET goes back to them."""
    dsn = lab.dsn("billing", trusting.port)
    options = "options='-c vigie.user=erin' application_name=desk7"
    with psycopg.connect(f"{dsn} {options}", autocommit=True) as connection:
        assert name_of(connection) == {"erin"}
        connection.execute(b"set vigie.user = 'x'")
        connection.execute(b"discard all", prepare=False)
        shown = connection.execute(SHOW).fetchall()

    assert {str(row[2]) for row in shown if row[0] == "EX513"} == {
        "role=billing@lab end_user=erin application=desk7"
    }


def test_asyncpg_names_by_setting_and_its_pool_resets(lab: Lab, trusting: VigieProcess) -> None:
    """Binary protocol, prepared statements, RESET ALL when a connection goes back."""

    async def talk() -> list[str]:
        async with asyncpg.create_pool(
            host=lab.host,
            port=trusting.port,
            user="secretary",
            password=lab.passwords["secretary"],
            database=lab.database,
            ssl=False,
            min_size=1,
            max_size=1,
            statement_cache_size=0,  # a prepared SHOW tells what it was prepared with
        ) as pool:
            found = []
            for user in ("alice", None):
                async with pool.acquire() as connection:
                    if user is not None:
                        await connection.fetchval(
                            "select set_config('vigie.user', $1, false)", user
                        )
                    async with connection.transaction():
                        await connection.fetch("select nir from lab.patient where id = $1", 31)
                    rows = await connection.fetch("show vigie.budget")
                    found += [row["whose"] for row in rows if row["budget"] == "EX513"]
            return found

    found = asyncio.run(talk())

    assert [re.findall(r"end_user=(\S+)", one)[0] for one in found] == ["alice", "(unbound)"]


def test_who_is_not_believed_gains_nothing(lab: Lab, trusting: VigieProcess) -> None:
    """It may say what it likes: its own budget holds, and no other is shown."""
    with lab.connect("biologist", trusting.port) as connection:
        connection.execute(b"set vigie.user = 'alice'")
        connection.execute((READ.format(41) + comment("alice")).encode())
        shown = connection.execute(SHOW).fetchall()

    assert received(shown, "EX213") == {"role=biologist@lab": 1}
    assert {str(row[0]) for row in shown} & {"EX511", "EX512", "EX513"} == set()


def test_a_name_is_in_the_records_and_is_no_label(lab: Lab, trusting: VigieProcess) -> None:
    """Who acted is the point of a record; metrics have closed sets of labels."""
    with lab.connect("lims_app", trusting.port) as connection:
        connection.execute((READ.format(51) + comment("zoe.q")).encode())
        connection.execute(READ.format(52).encode())
        with pytest.raises(psycopg.Error):
            connection.execute(("select * from lab.patient" + comment("zoe.q")).encode())
    records = [json.loads(line) for line in trusting.audit.read_text().splitlines()]
    metrics = trusting.metrics()

    refused = [one for one in records if one["verdict"] == "block"]
    assert [one["principal"]["end_user"] for one in refused] == ["zoe.q"]
    assert "zoe.q" not in metrics
    assert 'vigie_attributed_statements_total{naming="named"} 1.0' in metrics
    assert 'vigie_attributed_statements_total{naming="unnamed"} 1.0' in metrics


class ThroughVigie(RuleBasedStateMachine):
    """Random statements through the proxy: it acts for whom the server has in the setting."""

    connection: psycopg.Connection[Any]

    @initialize()
    def begin(self) -> None:
        """A session that has said nothing."""
        self.connection.execute("rollback", prepare=False)
        self.connection.execute("discard all", prepare=False)

    @rule(texts=st.lists(st.sampled_from(SAID), min_size=1, max_size=4), extended=st.booleans())
    def say(self, texts: list[str], extended: bool) -> None:
        """All in one text, or each by itself as a driver sends it; then compare."""
        if extended:
            for text in texts:
                with suppress(psycopg.Error):
                    self.connection.execute(text.encode(), prepare=False)
        else:
            self.connection.pgconn.exec_("; ".join(texts).encode())
        if self.connection.info.transaction_status is TransactionStatus.INERROR:
            return  # nothing can be asked, nor read
        row = self.connection.execute(
            "select coalesce(nullif(current_setting('vigie.user', true), ''), '(unbound)')",
            prepare=False,
        ).fetchone()
        assert row is not None
        assert name_of(self.connection) == {row[0]}


def test_whatever_is_said_it_acts_for_whom_the_server_has(lab: Lab, trusting: VigieProcess) -> None:
    """A law, over the fast lane, questions of Vigie's own, errors and savepoints."""
    with lab.connect("secretary", trusting.port) as connection:
        machine: type[ThroughVigie] = type("M", (ThroughVigie,), {"connection": connection})
        machine.TestCase.settings = settings(max_examples=40, stateful_step_count=10, deadline=None)
        machine.TestCase().runTest()
