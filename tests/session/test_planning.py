"""Planning: the planner is asked once, unseen by the frontend, and can only accuse."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.session import commands as c
from proxy.session import events as e
from proxy.terms.finding import Action, Mode
from proxy.wire.encode import SYNC, close
from tests.conversation import SHIPPED, Conversation, context_of
from tests.messages import backend_message, frontend_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.session import Context

NAMES = "select nir from patient where birth_date between '1900-01-01' and '2100-01-01'"
BY_KEY = "select nir from patient where id = {}"
PATIENT = {"Node Type": "Seq Scan", "Schema": "lab", "Relation Name": "patient"}


def talk(context: Context | None = None, **changes: object) -> Conversation:
    """Return a session that is logged in and may ask."""
    mode = changes.pop("mode", Mode.ENFORCE)
    assert isinstance(mode, Mode)
    made = context or replace(context_of(SHIPPED, mode=mode), plan_seconds=600.0)
    return Conversation(made).login()


def sent(commands: Sequence[c.Command]) -> bytes:
    """Return what went to the backend."""
    return b"".join(one.data for one in commands if isinstance(one, c.SendBackend))


def shown(commands: Sequence[c.Command]) -> bytes:
    """Return what went to the frontend."""
    return b"".join(one.data for one in commands if isinstance(one, c.SendFrontend))


def ask(conversation: Conversation, *lines: str) -> bytes:
    """Let the frontend say these; return what the backend gets."""
    chunk = b"".join(frontend_message(line) for line in lines)
    return sent(conversation.send(e.FrontendBytes(chunk)))


def plan(rows: int, *nodes: dict[str, str]) -> bytes:
    """Return the row of an answer."""
    text = json.dumps([{"Plan": {"Node Type": "X", "Plan Rows": rows, "Plans": list(nodes)}}])
    length = len(text).to_bytes(4, "big")
    body = b"\0\1" + length + text.encode()
    return b"D" + (len(body) + 4).to_bytes(4, "big") + body


def answer(conversation: Conversation, *parts: bytes, status: str = "I", syncs: int = 1) -> bytes:
    """Let the backend answer the question; return what it gets next."""
    ready = backend_message(f"ReadyForQuery {status}") * syncs
    commands = conversation.send(e.BackendBytes(b"".join(parts) + ready))
    assert shown(commands) == b"" or b"42501" in shown(commands)
    return sent(commands)


def judged(conversation: Conversation) -> Action:
    """Return the last verdict."""
    (one,) = [one for one in conversation.commands if isinstance(one, c.Judged)]
    return one.judgement.verdict


def test_a_new_text_waits_for_its_plan() -> None:
    """First the question, then, when it is answered, the frontend's own message as it came."""
    conversation = talk()
    query = frontend_message(f'Query "{BY_KEY.format(7)}"')
    asked = ask(conversation, f'Query "{BY_KEY.format(7)}"')

    assert b"EXPLAIN (VERBOSE, FORMAT JSON) select nir" in asked
    assert query not in asked
    assert answer(conversation, plan(1, PATIENT)) == query
    assert judged(conversation) is Action.ALLOW


def test_a_lookup_by_key_is_planned_once() -> None:
    """Another key of the same template goes through at once."""
    conversation = talk()
    ask(conversation, f'Query "{BY_KEY.format(7)}"')
    answer(conversation, plan(1, PATIENT))
    conversation.send(e.BackendBytes(backend_message("CommandComplete 'SELECT 0'")))
    conversation.send(e.BackendBytes(backend_message("ReadyForQuery I")))

    assert ask(conversation, f'Query "{BY_KEY.format(8)}"') == frontend_message(
        f'Query "{BY_KEY.format(8)}"'
    )


def test_a_large_estimate_accuses() -> None:
    """The range that holds everybody is refused."""
    conversation = talk()
    ask(conversation, f'Query "{NAMES}"')
    answer(conversation, plan(18654, PATIENT))

    assert judged(conversation) is Action.BLOCK


def test_other_constants_are_another_question() -> None:
    """Where the constants decide how many there are, a plan holds for its text alone."""
    conversation = talk()
    ask(conversation, f'Query "{NAMES.replace("2100", "1900")}"')
    answer(conversation, plan(3, PATIENT))
    conversation.send(e.BackendBytes(backend_message("CommandComplete 'SELECT 0'")))
    conversation.send(e.BackendBytes(backend_message("ReadyForQuery I")))

    assert b"EXPLAIN" in ask(conversation, f'Query "{NAMES}"')


def test_a_relation_that_only_the_planner_sees_is_a_disagreement() -> None:
    """The text says that it reads analyses; the plan reads patients."""
    conversation = talk()
    ask(conversation, "Query 'select libelle from lab.analyse where code = 7'")
    answer(conversation, plan(1, PATIENT))

    assert judged(conversation) is Action.BLOCK


@pytest.mark.parametrize(
    "said", [b"", backend_message("ErrorResponse 42P01 no"), b"D\0\0\0\x0b\0\1\0\0\0\1x"]
)
def test_without_a_plan_it_is_judged_without(said: bytes) -> None:
    """An error, no answer or one that is no plan clears nobody and stops nobody."""
    conversation = talk()
    ask(conversation, f'Query "{BY_KEY.format(7)}"')

    assert answer(conversation, said) == frontend_message(f'Query "{BY_KEY.format(7)}"')


def test_within_a_transaction_a_savepoint_undoes_an_error() -> None:
    """The transaction of the frontend goes on as if nobody had asked."""
    conversation = talk()
    ask(conversation, "Query begin")
    conversation.send(e.BackendBytes(backend_message("CommandComplete BEGIN")))
    conversation.send(e.BackendBytes(backend_message("ReadyForQuery T")))
    asked = ask(conversation, f'Query "{BY_KEY.format(7)}"')

    assert asked.index(b"SAVEPOINT vigie_plan") < asked.index(b"EXPLAIN")
    assert asked.index(b"EXPLAIN") < asked.index(b"ROLLBACK TO SAVEPOINT vigie_plan")
    failed = backend_message("ErrorResponse 42P01 no")
    query = frontend_message(f'Query "{BY_KEY.format(7)}"')
    assert answer(conversation, failed, status="T", syncs=2) == query


def test_observing_nothing_is_asked_within_a_transaction() -> None:
    """There a savepoint of ours would be interference."""
    conversation = talk(mode=Mode.OBSERVE)
    ask(conversation, "Query begin")
    conversation.send(e.BackendBytes(backend_message("CommandComplete BEGIN")))
    conversation.send(e.BackendBytes(backend_message("ReadyForQuery T")))

    assert b"EXPLAIN" not in ask(conversation, f'Query "{BY_KEY.format(7)}"')


def test_parameters_have_the_generic_plan() -> None:
    """Its relations count; its estimate, made without the values, does not."""
    conversation = talk()
    text = "select nir from patient where birth_date > $1"
    asked = ask(conversation, f'Parse "" "{text}"')

    assert b"force_generic_plan" in asked
    assert b"EXECUTE vigie_planned(NULL)" in asked
    answer(conversation, plan(18654, PATIENT), syncs=3)
    told = [one for one in conversation.commands if isinstance(one, c.Judged)]
    assert "EX113" not in {f.rule for one in told for f in one.judgement.findings}


@pytest.mark.parametrize(
    "line",
    [
        "Query 'select 1'",
        "Query 'select lab.nobody_knows(nir) from patient'",
        "Query 'copy lab.patient to stdout'",
        "Query 'set search_path to lab; select nir from patient where id = 1'",
        "Query 'select * from pg_catalog.pg_class'",
    ],
)
def test_what_is_not_asked(line: str) -> None:
    """What reads no relation of the database, or might run what nobody knows."""
    assert b"EXPLAIN" not in ask(talk(), line)


def test_a_copied_query_is_planned_as_a_query() -> None:
    """EXPLAIN takes no COPY; what is in its parentheses is asked for."""
    conversation = talk()
    asked = ask(conversation, f'Query "copy ({NAMES}) to stdout (format csv)"')

    assert f"EXPLAIN (VERBOSE, FORMAT JSON) {NAMES}\0".encode() in asked
    answer(conversation, plan(18654, PATIENT))
    assert judged(conversation) is Action.BLOCK


def test_each_statement_of_a_text_is_planned() -> None:
    """One after the other; a harmless one before it hides nothing."""
    conversation = talk()
    by_key = BY_KEY.format(7)
    asked = ask(conversation, f'Query "select 1; {by_key}; {NAMES}"')

    assert f"EXPLAIN (VERBOSE, FORMAT JSON) {by_key}\0".encode() in asked
    assert NAMES.encode() not in asked
    asked = answer(conversation, plan(1, PATIENT))
    assert f"EXPLAIN (VERBOSE, FORMAT JSON) {NAMES}\0".encode() in asked
    answer(conversation, plan(18654, PATIENT))
    told = [one for one in conversation.commands if isinstance(one, c.Judged)]
    assert "EX113" in {f.rule for one in told for f in one.judgement.findings}


def test_within_a_transaction_no_portal_is_left() -> None:
    """It would show in pg_cursors until the transaction ends."""
    conversation = talk()
    ask(conversation, "Query begin")
    conversation.send(e.BackendBytes(backend_message("CommandComplete BEGIN")))
    conversation.send(e.BackendBytes(backend_message("ReadyForQuery T")))

    groups = ask(conversation, f'Query "{BY_KEY.format(7)}"').split(SYNC)

    closes = close(b"P", b"vigie_plan") + close(b"S", b"vigie_plan")
    assert [one.endswith(closes) for one in groups] == [True, True, False]
