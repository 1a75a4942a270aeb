"""SHOW vigie.budget: the backend answers it, so that it stands where a statement stands."""

from __future__ import annotations

import pytest

from proxy.meter.ledger import Charge
from proxy.meter.lines import Usage
from proxy.session import commands as c
from proxy.session import events as e
from proxy.session.showing import _row
from proxy.terms.principal import Principal
from proxy.wire.encode import parse, query
from tests.conversation import Conversation, context_of, policy_of, subjects


def sent(talk: Conversation, message: bytes) -> bytes:
    told = talk.send(e.FrontendBytes(message))
    return b"".join(one.data for one in told if isinstance(one, c.SendBackend))


def talk_of(role: str = "app") -> Conversation:
    return Conversation(context_of(policy_of(subjects(7)))).login(f"user={role}", "database=lab")


@pytest.mark.parametrize(
    "text", ["SHOW vigie.budget", " show  Vigie . budgets ; ", "show\nvigie.budget"]
)
@pytest.mark.parametrize("extended", [False, True])
def test_it_becomes_a_select_of_ones_own_usage(text: str, extended: bool) -> None:
    """Of the own role alone, by the same message; nothing is charged for it."""
    talk = talk_of()
    context = talk.context
    for role in ("app", "other"):
        account = context.ledger.account(Principal(role, "lab"), context.policy.budgets)
        account.admit_run(_charge(3 if role == "app" else 5), 0.0)

    made = sent(talk, parse(b"s", text.encode()) if extended else query(text.encode()))

    assert made[:1] == (b"P" if extended else b"Q")
    assert b"SELECT budget, measure" in made
    assert b"('EX201', 'distinct_subjects', 'role=app@lab', 3, 7, 3600, 3, 3660)" in made
    assert b"other" not in made
    assert made.count(b"\0") >= 1


@pytest.mark.parametrize(
    "text",
    [
        "SHOW vigie.budget; SELECT 1",
        "SHOW vigie.budgetary",
        "SHOW vigie",
        "SELECT 'SHOW vigie.budget'",
        'SHOW "vigie.budget"',
    ],
)
def test_what_is_no_such_question_passes_as_it_came(text: str) -> None:
    """The backend says what it thinks of it."""
    assert sent(talk_of(), query(text.encode())) == query(text.encode())


def test_names_of_roles_are_no_sql() -> None:
    """Whoever chose them."""
    talk = talk_of()
    name = "x'); drop table lab.patient; \\ --"
    usage = Usage("EX201", name, 1, 2, group=(("role", name),))

    assert _row(usage) == (
        "('EX201', 'distinct_subjects', 'role=x_); drop table lab.patient; _ --', "
        "1, 2, 0, null, null)"
    )
    assert b"EX201" in sent(talk, query(b"show vigie.budget"))


def test_the_answer_is_not_learnt_as_that_of_the_text() -> None:
    """Asked again, it is replaced again: usage has changed since."""
    talk = talk_of()
    answer = "<< CommandComplete 'SELECT 0'\n<< ReadyForQuery I"
    for _ in range(3):
        assert not talk.session.passes_frontend(query(b"show vigie.budget"), 0.0)
        assert b"SELECT budget" in sent(talk, query(b"show vigie.budget"))
        talk.say(answer, loosely=True)


def _charge(count: int) -> Charge:
    return Charge(groups=tuple((b"%d" % number,) for number in range(count)))
