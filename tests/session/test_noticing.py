"""Noticing: facts over time, told of the statements that they concern and of no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from proxy.session import commands as c
from proxy.session import events as e
from proxy.terms.behaviour import USUAL, Behaviour
from proxy.terms.working_hours import WorkingHours
from tests.conversation import SHIPPED, Conversation, context_of
from tests.messages import backend_message, frontend_message

if TYPE_CHECKING:
    from proxy.session import Context

DAY = 86_400.0
DONE = backend_message("CommandComplete 'SELECT 0'") + backend_message("ReadyForQuery I")
WRONG = backend_message("ErrorResponse 42P01 x") + backend_message("ReadyForQuery I")
READ = "select nir from lab.patient where id = 4"
TABLES = "select tablename from pg_tables where schemaname = 'lab'"


def ask(talk: Conversation, sql: str, answer: bytes = DONE) -> tuple[Behaviour, set[str]]:
    """Say a Query; return what is unusual about it, and the rules that held."""
    talk.send(e.FrontendBytes(frontend_message(f'Query "{sql}"')))
    judged = [one for one in talk.commands if isinstance(one, c.Judged)]
    if not judged:
        talk.answer_own()
        judged = [one for one in talk.commands if isinstance(one, c.Judged)]
    rules = {finding.rule for one in judged for finding in one.judgement.findings}
    if not talk.session.is_waiting:
        talk.send(e.BackendBytes(answer))
        talk.answer_own()
    return judged[-1].facts.behaviour, rules


@pytest.fixture
def context() -> Context:
    """Return what all sessions share, with the shipped rules, and catalogs believed for ever."""
    context = context_of(SHIPPED)
    context.catalog_refresh_seconds = 1e9
    return context


@pytest.fixture
def talk(context: Context) -> Conversation:
    return Conversation(context).login()


def test_a_walk_through_definitions_is_told(talk: Conversation) -> None:
    """Table after table; and flagged from twenty on."""
    text = "select tablename from pg_tables order by 1 limit 1 offset {}"
    found = [ask(talk, text.format(number)) for number in range(25)]

    assert [one.catalog_steps for one, _ in found] == [*[0] * 8, *range(8, 25)]
    assert [rules for _, rules in found] == [set()] * 20 + [{"EX302"}] * 5


def test_names_that_do_not_exist_are_told_of_who_asks_for_definitions(context: Context) -> None:
    """Over all sessions of the role; of the patient that is read beside it, nothing is told."""
    for number in range(6):
        ask(Conversation(context).login(), f"select * from lab.nope{number}", WRONG)
    talk = Conversation(context).login()

    assert ask(talk, READ) == (USUAL, set())
    told = [ask(talk, f"select {column} from pg_class") for column in ("relname", "relkind", "oid")]

    assert [one.wrong_statements for one, _ in told] == [5, 5, 5]
    assert [rules for _, rules in told] == [set(), set(), {"EX302"}]
    talk.now += 3600
    assert ask(talk, "select relname from pg_class") == (USUAL, set())


def test_what_was_refused_is_not_wrong(talk: Conversation) -> None:
    """The error is Vigie's own then."""
    for _ in range(30):
        talk.send(e.FrontendBytes(frontend_message('Query "select * from lab.patient"')))
        talk.say('<< ErrorResponse 42601 "NONCE"', loosely=True)
        talk.send(e.BackendBytes(backend_message("ReadyForQuery I")))

    assert ask(talk, TABLES)[0].wrong_statements == 0


def test_drivers_that_ask_for_types_and_settings_are_not_noticed(talk: Conversation) -> None:
    """Whatever they ask, as often as they like."""
    for number in range(50):
        told = ask(talk, f"select typname, {number} from pg_catalog.pg_type where oid = {number}")
        assert told == (USUAL, set())
        assert ask(talk, f"select name from pg_settings limit {number}") == (USUAL, set())


def test_a_form_that_was_never_seen_is_recorded_once(talk: Conversation) -> None:
    """Not in the first day, and by its form, not by its constants."""
    assert ask(talk, READ) == (USUAL, set())
    talk.now += DAY
    assert ask(talk, READ.replace("4", "5")) == (USUAL, set())
    assert ask(talk, READ.replace("nir", "nir, sex")) == (Behaviour(new_template=True), {"EX303"})
    assert ask(talk, READ.replace("nir", "nir, sex")) == (USUAL, set())


def test_a_burst_is_told_in_steps_that_double(talk: Conversation) -> None:
    """Five a minute for an hour; then five hundred in one."""
    for minute in range(62):
        for _ in range(5):
            talk.now = minute * 60.0
            assert ask(talk, "select birth_date from lab.patient where id = 4") == (USUAL, set())
    talk.now += 600
    text = "select birth_date from lab.patient where id = 4"
    found = [ask(talk, text) for _ in range(110)]

    assert sorted({one.burst for one, _ in found}) == [0, 5, 10, 20]
    assert {"EX304"} == {rule for _, rules in found for rule in rules}


def test_hours_are_those_of_the_site(context: Context) -> None:
    """A clock has to say it; and only who reads patients is told of."""
    hours = WorkingHours(frozenset({"app"}), frozenset(range(7)), 8 * 60, 18 * 60, UTC)
    context.policy = replace(context.policy, working_hours=(hours,))
    talk = Conversation(context).login()
    assert ask(talk, READ) == (USUAL, set())
    context.wall = lambda: 3 * 3600.0
    assert ask(talk, READ) == (Behaviour(off_hours=True), {"EX305"})
    assert ask(talk, "select 1") == (USUAL, set())
    context.wall = lambda: 9 * 3600.0
    assert ask(talk, READ) == (USUAL, set())


def test_memory_is_bounded(talk: Conversation) -> None:
    """Ten thousand forms, names and errors: what is kept of a principal has an end."""
    habits = talk.context.habits_of("x", 0.0)
    for number in range(10_000):
        habits.templates.is_new(f"{number:x}", 0.0)
        habits.catalog.add(str(number), 0.0)
        habits.wrong.add(0.0)

    assert len(habits.templates) <= 2048
    assert (habits.catalog.count(0.0), habits.wrong.count(0.0)) == (256, 256)
