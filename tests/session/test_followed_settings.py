"""Followed settings: as PostgreSQL keeps them, in and out of transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from proxy.session.followed_settings import MAX_SAVEPOINTS, FollowedSettings
from proxy.sql import Analyser
from proxy.terms.schema_map import SchemaMap
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    import psycopg

    from proxy.demo.lab import Lab

ANALYSER = Analyser(SchemaMap())
USER = "vigie.user"


def run(followed: FollowedSettings, text: str, *parameters: str | None) -> None:
    """Let a statement complete."""
    for facts in ANALYSER.analyse(text.encode(), encoding="UTF8", catalog=None):
        followed.take(facts, lambda parameter: parameters[parameter.number - 1])


def ready(followed: FollowedSettings, status: str) -> None:
    followed.ready(idle=status == "I", aborted=status == "E")


def after(*steps: str, default: str = "") -> str:
    """Return the name after these statements; ``-`` is an error, I T E what ReadyForQuery says."""
    followed = FollowedSettings({USER}, {USER: default})
    for step in steps:
        if step == "-":
            followed.failed()
        elif step in {"I", "T", "E"}:
            ready(followed, step)
        else:
            run(followed, step)
    return followed.value(USER)


SET = "set vigie.\"user\" = 'alice'"
OTHER = "select set_config('vigie.user', 'bob', false)"
LOCAL = "set local vigie.\"user\" to 'carol'"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((SET, "I"), "alice"),
        ((OTHER, "I"), "bob"),
        (('set session Vigie."USER" to alice', "I"), "alice"),
        (('set vigie."user" to 12', "I"), "12"),
        (("select set_config('Vigie.User', 'x', 'f')", "I"), "x"),
        (("select pg_catalog.set_config('vigie.user', 'x', 'off') as a", "I"), "x"),
        ((SET, "I", 'reset vigie."user"', "I"), ""),
        ((SET, "I", 'set vigie."user" to default', "I"), ""),
        ((SET, "I", "select set_config('vigie.user', null, false)", "I"), ""),
        ((SET, "I", "reset all", "I"), ""),
        ((SET, "I", "discard all", "I"), ""),
        ((SET, "I", "discard plans", "I"), "alice"),
        ((SET, "I", "reset search_path", "I"), "alice"),
        ((SET, "I", "set vigie.other = 'x'", "I"), "alice"),
        ((LOCAL, "I"), ""),  # outside of a transaction it ends at once
        ((LOCAL,), "carol"),  # but not before
        (("begin", "T", LOCAL, "T"), "carol"),
        (("begin", "T", LOCAL, "T", "commit", "I"), ""),
        ((SET, "I", "begin", "T", LOCAL, "T", "commit", "I"), "alice"),
        (("begin", "T", LOCAL, SET, "T"), "alice"),
        (("begin", "T", LOCAL, SET, "T", "commit", "I"), "alice"),
        (("begin", "T", SET, LOCAL, "T", "commit", "I"), "alice"),
        (("begin", "T", SET, "T", "rollback", "I"), ""),
        (("begin", "T", SET, "T", "-", "E", "rollback", "I"), ""),
        (("begin", "T", SET, "T", "-", "E", "commit", "I"), ""),  # which rolls back
        (("begin", "T", SET, "T", "commit and chain", "T", OTHER, "T", "rollback", "I"), "alice"),
        (("begin", "T", SET, "T", "prepare transaction 'x'", "I"), "alice"),
        ((SET, "-", "I"), ""),  # a text of several, or a pipeline: all of it is undone
        ((SET, "begin", "-", "E", "rollback", "I"), ""),
        (("begin", SET, "commit", "-", "I"), "alice"),
        (("begin", "T", "savepoint a", SET, "rollback to a", "T"), ""),
        (("begin", "T", SET, "savepoint a", OTHER, "rollback to a", "T", "commit", "I"), "alice"),
        (("begin", "T", "savepoint a", SET, "release a", "T", "commit", "I"), "alice"),
        (("begin", "T", "savepoint a", LOCAL, "release a", "T"), "carol"),
        (("begin", "T", "savepoint a", LOCAL, "release a", "T", "commit", "I"), ""),
        (("begin", "T", SET, "savepoint a", "-", "E", "rollback to a", "commit", "I"), "alice"),
        (
            ("begin", "savepoint a", SET, "savepoint a", OTHER, "release a", "rollback to a", "T"),
            "",
        ),
        (("begin", SET, "savepoint a", OTHER, "rollback to a", LOCAL, "rollback to a"), "alice"),
        ((SET, 'set local vigie."user" to default', "reset all"), ""),
        ((SET, 'set local vigie."user" to default', "reset all", "I"), "alice"),  # so it is
        (("begin", "T", SET, LOCAL, "reset all", "T", "commit", "I"), ""),
    ],
)
def test_as_postgresql_keeps_it(steps: tuple[str, ...], expected: str) -> None:
    """Each of these was tried on a server by the test below, too."""
    assert after(*steps) == expected


@pytest.mark.parametrize("default", ["", "batch"])
def test_resets_go_back_to_what_the_session_began_with(default: str) -> None:
    """As given at the start-up."""
    for reset in ("reset all", "discard all", 'reset vigie."user"'):
        assert after(SET, "I", reset, "I", default=default) == default


def test_parameters_are_read_as_they_are_bound() -> None:
    """A name that is not in the text."""
    followed = FollowedSettings({USER}, {})
    run(followed, "select set_config('vigie.user', $1, false)", "dave")
    assert followed.value(USER) == "dave"
    run(followed, "select set_config('vigie.user', $1::text, false)", None)
    assert followed.value(USER) == ""


@pytest.mark.parametrize(
    "text",
    [
        "select set_config('vigie.user', 'x', false) where false",
        "select set_config('vigie.user', 'x', false) from generate_series(1, 3)",
        "select case when true then set_config('vigie.user', 'x', false) end",
        "select set_config('vigie.user', 'x' || 'y', false)",
        "select set_config('vigie.' || 'user', 'x', false)",
        "select set_config('vigie.user', 'x', random() > 2)",
        "with a as (select set_config('vigie.user', 'x', false)) select * from a",
        "values (set_config('vigie.user', 'x', false))",
        "insert into t select set_config('vigie.user', 'x', false)",
    ],
)
def test_what_cannot_be_read_is_asked(text: str) -> None:
    """Carried out or not, with whatever value: until then nobody is named."""
    followed = FollowedSettings({USER}, {})
    run(followed, SET)
    run(followed, text)

    assert (followed.value(USER), followed.is_unsure) == ("", True)
    ready(followed, "I")
    followed.told(USER, "x")
    assert (followed.value(USER), followed.is_unsure) == ("x", False)


@pytest.mark.parametrize("name", ["x" * 129, "x" * (1 << 20), "a\nb", " a", "a ", "\u202ea", "\0"])
def test_what_is_no_name_names_nobody(name: str) -> None:
    """Too long, or not to be shown as it is."""
    followed = FollowedSettings({USER}, {USER: name})
    assert followed.value(USER) == ""
    run(followed, "select set_config('vigie.user', $1, false)", name)
    assert (followed.value(USER), followed.is_unsure) == ("", False)


def test_what_the_backend_says_is_right() -> None:
    """It knows what a function has set, and how it writes what is not ASCII."""
    followed = FollowedSettings({USER, "application_name"}, {})
    followed.told("application_name", "lis", is_default=True)
    followed.told("search_path", "x")
    assert followed.value("application_name") == "lis"
    run(followed, "set application_name = 'Léa'")
    followed.told("application_name", "L?a")
    ready(followed, "I")
    assert followed.value("application_name") == "L?a"
    run(followed, "reset all")
    assert followed.value("application_name") == "lis"


def test_savepoints_are_bounded() -> None:
    """One that was forgotten leaves the name unknown, not wrong."""
    followed = FollowedSettings({USER}, {})
    run(followed, "begin; savepoint first")
    run(followed, SET)
    for _ in range(MAX_SAVEPOINTS):
        run(followed, "savepoint more")
    run(followed, "rollback to first")

    assert (followed.value(USER), followed.is_unsure) == ("", True)


def test_what_concerns_it() -> None:
    """Only what may change a name makes the next message wait."""
    followed = FollowedSettings({USER}, {})

    def concerns(text: str) -> bool:
        (facts,) = ANALYSER.analyse(text.encode(), encoding="UTF8", catalog=None)
        return followed.concerns(facts)

    assert not any(map(concerns, ["select 1", "begin", "commit", "rollback", "set work_mem = 1"]))
    assert all(map(concerns, [SET, OTHER, LOCAL, "reset all", "discard all", "rollback to a"]))
    run(followed, LOCAL)
    assert concerns("commit")
    assert concerns("rollback")


class OnAServer(RuleBasedStateMachine):
    """Random statements, on a server and followed: the name is the same after each."""

    connection: psycopg.Connection[Any]

    @initialize()
    def begin(self) -> None:
        """A session that has said nothing."""
        self.connection.execute("rollback")
        self.connection.execute("discard all")
        self.followed = FollowedSettings({USER}, {})

    @rule(
        texts=st.lists(
            st.sampled_from(
                [
                    *(SET, OTHER, LOCAL, "select set_config('vigie.user', 'dora', true)"),
                    *("begin", "commit", "rollback", "commit and chain", "rollback and chain"),
                    *("savepoint a", "savepoint b", "release a", "release b"),
                    *("rollback to a", "rollback to b", "select 1/0", "select 1"),
                    *('reset vigie."user"', "reset all", 'set local vigie."user" to default'),
                ]
            ),
            min_size=1,
            max_size=4,
        )
    )
    def say(self, texts: list[str]) -> None:
        """One text, by the simple protocol; then ask for the name."""
        pgconn = self.connection.pgconn
        pgconn.send_query("; ".join(texts).encode())
        done = 0
        while (result := pgconn.get_result()) is not None:
            if result.status in {1, 2}:  # a command, or rows
                run(self.followed, texts[done])
                done += 1
            else:
                self.followed.failed()
        status = pgconn.transaction_status
        ready(self.followed, {0: "I", 2: "T", 3: "E"}[status])
        if status != 3:  # nothing can be asked, nor read, in a transaction that is aborted
            row = self.connection.execute(
                "select coalesce(current_setting('vigie.user', true), '')"
            ).fetchone()
            assert row is not None
            assert self.followed.value(USER) == row[0]


@pytest.mark.integration
def test_as_a_server_keeps_it(lab: Lab) -> None:
    """A law: whatever is said, in whatever order."""
    with lab.connect("lims_app") as connection:
        connection.prepare_threshold = None
        machine: type[OnAServer] = type("M", (OnAServer,), {"connection": connection})
        machine.TestCase.settings = settings(
            max_examples=150, stateful_step_count=12, deadline=None
        )
        machine.TestCase().runTest()


def test_unknown_is_not_guessed() -> None:
    """A session that began before it was believed knows nothing of its names."""
    followed = FollowedSettings({USER}, None)

    assert followed.is_unsure
    assert followed.value(USER) == ""
    assert UNKNOWN is not None
