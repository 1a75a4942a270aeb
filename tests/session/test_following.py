"""Following: a walk is known over all sessions of a principal, by text and by Bind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.session import commands as c
from proxy.session import events as e
from tests.conversation import SHIPPED, Conversation, context_of
from tests.messages import backend_message, frontend_message

if TYPE_CHECKING:
    from proxy.session import Context

DONE = backend_message("CommandComplete 'SELECT 0'")
READY = backend_message("ReadyForQuery I")
BOUND = backend_message("ParseComplete") + backend_message("BindComplete")


def rules_of(conversation: Conversation) -> set[str]:
    """Return the rules that held on the last message."""
    judged = [one for one in conversation.commands if isinstance(one, c.Judged)]
    return {finding.rule for one in judged for finding in one.judgement.findings}


def query(conversation: Conversation, sql: str) -> set[str]:
    """Say a Query, let the backend answer; return the rules that held."""
    conversation.send(e.FrontendBytes(frontend_message(f'Query "{sql}"')))
    found = rules_of(conversation)
    if not found:
        conversation.send(e.BackendBytes(DONE + READY))
    return found


def bind(conversation: Conversation, sql: str, value: str) -> set[str]:
    """Say it by Parse and Bind, with the value in binary or text; return the rules that held."""
    for line in (f'Parse "" "{sql}"', f'Bind "" "" {value}'):
        conversation.send(e.FrontendBytes(frontend_message(line)))
        if found := rules_of(conversation):
            return found
    conversation.send(e.FrontendBytes(frontend_message("Sync")))
    conversation.send(e.BackendBytes(BOUND + READY))
    return set()


@pytest.fixture
def context() -> Context:
    """Return what all sessions share, with the shipped rules."""
    return context_of(SHIPPED)


def test_key_after_key_over_many_sessions_is_a_walk(context: Context) -> None:
    """A new session for every fifty: the principal is the same."""
    found: set[str] = set()
    told = 0
    for start in range(1, 1001, 50):
        conversation = Conversation(context).login()
        for key in range(start, start + 50):
            found = query(conversation, f"select nir from patient where id = {key}")
            told += 1
            if found:
                break
        if found:
            break

    assert (found, told) == ({"EX301"}, 201)


def test_values_that_are_bound_are_a_walk_as_well(context: Context) -> None:
    """The text never changes; the parameter does."""
    conversation = Conversation(context).login()
    sql = "select nir from patient where id = $1"
    told = next((key for key in range(1, 999) if bind(conversation, sql, str(key)) == {"EX301"}), 0)

    assert told == 201


def test_pages_are_a_walk_by_what_they_hold(context: Context) -> None:
    """Nine pages of thirty are too many subjects; eight small ones are a person who scrolls."""
    conversation = Conversation(context).login()
    text = "select id, last_name from patient where id > {} order by id limit 30"
    found = [query(conversation, text.format(page)) for page in range(0, 270, 30)]

    assert found == [set()] * 8 + [{"EX301"}]


def test_patients_as_they_come_are_none(context: Context) -> None:
    """Hundreds of keys without any order."""
    conversation = Conversation(context).login()
    keys = [(key * key * 7919) % 100_003 for key in range(300)]

    assert all(not query(conversation, f"select nir from patient where id = {key}") for key in keys)


def test_what_names_nobody_is_not_followed(context: Context) -> None:
    """Counts by month, articles by number: a walk through them takes no one along."""
    conversation = Conversation(context).login()

    for key in range(300):
        assert not query(conversation, f"select libelle from lab.analyse where code = '{key}'")
