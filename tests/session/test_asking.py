"""Questions: what names nobody is charged before it is sent, for each answer tells a bit."""

from __future__ import annotations

import pytest

from proxy.session.asking import names_nobody
from proxy.sql import Analyser
from proxy.terms.budget import Measure
from proxy.terms.finding import Action, Mode
from tests.conversation import Conversation, context_of, policy_of, subjects
from tests.data.lab_catalog import LAB, LAB_MAP

COUNT = "select count(*) from lab.patient where nir like '1%'"
ANALYSER = Analyser(LAB_MAP)


def talk_of(
    limit: int, *, mode: Mode = Mode.ENFORCE, action: Action = Action.BLOCK
) -> Conversation:
    budget = subjects(limit, action=action, measure=Measure.QUESTIONS)
    return Conversation(context_of(policy_of(budget), mode=mode)).login()


def used(talk: Conversation) -> int:
    return sum(usage.used for usage in talk.context.ledger.usage(talk.now))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (COUNT, True),
        ("select exists(select 1 from lab.patient where nir = '1')", True),
        ("select 1 from lab.patient where id = 5", True),
        ("select id from lab.patient where nir < '2' limit 1", True),
        ("select value from lab.resultat limit 1", True),
        ("select 1 / count(*) from lab.patient where nir like '2%'", True),
        ("update lab.patient set sex = sex where id = 5", True),
        ("select nir from lab.patient where id = 5", False),
        ("select value from lab.resultat where patient_id = 5", False),
        ("select patient_id, value from lab.resultat", False),
        ("select case when nir < '2' then 1 end from lab.patient where id = 5", False),
        ("do $$ begin execute 'a' || 1; end $$", False),
    ],
)
def test_what_names_nobody(statement: str, expected: bool) -> None:
    """A bit, a number or a bare key; what discloses a patient is charged as one instead."""
    (facts,) = ANALYSER.analyse(statement.encode(), encoding="UTF8", catalog=LAB)

    assert names_nobody(facts) is expected


def test_a_question_too_many_never_reaches_the_backend() -> None:
    """Its time, its error and its number of rows would answer it."""
    talk = talk_of(2)
    for _ in range(2):
        talk.say(f'>>> Query "{COUNT}"')
        talk.say("<<< CommandComplete 'SELECT 1'\n<<< ReadyForQuery I")

    talk.say(
        f"""
        > Query "{COUNT}"
        ! Emit block EX201
        ! WasCut EX201
        >> Query NONCE
        << ErrorResponse ERROR 42601 NONCE
        """,
        loosely=True,
    )
    assert "53400" in str(talk.told())
    assert used(talk) == 2


def test_each_bind_asks_once_and_parse_does_not() -> None:
    """A statement that is prepared once may be asked with a thousand constants."""
    talk = talk_of(3)
    text = "select count(*) from lab.patient where nir like $1"
    talk.say(f'>>> Parse s "{text}"')
    for _ in range(2):
        talk.say('>>> Bind "" s x')

    assert used(talk) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "select nir from lab.patient where id = 5",
        "select count(*) from lab.analyse",
        "begin",
        f"prepare p as {COUNT}",
        "insert into lab.resultat (patient_id, value) values (1, 2)",
    ],
)
def test_what_is_no_question(statement: str) -> None:
    """What names somebody is charged as that; what reads of nobody is free."""
    talk = talk_of(3)
    talk.say(f'>>> Query "{statement}"', loosely=True)

    assert used(talk) == 0


@pytest.mark.parametrize(
    ("mode", "action"), [(Mode.OBSERVE, Action.BLOCK), (Mode.ENFORCE, Action.FLAG)]
)
def test_told_and_not_stopped(mode: Mode, action: Action) -> None:
    """Observing, or by a budget that only flags: it is in the records, and passes."""
    talk = talk_of(0, mode=mode, action=action)
    talk.say(f'> Query "{COUNT}"', loosely=True)
    told = [line for line in talk.told() if not line.startswith(">>")]

    assert told[0] == f"! Emit {action.name.lower()} EX201"
    assert talk.told()[-1].startswith(">> Query")
    assert "NONCE" not in str(talk.told())


def test_a_budget_that_terminates_ends_the_session() -> None:
    """Who is not meant to ask at all is shown out."""
    talk = talk_of(0, action=Action.TERMINATE)
    talk.say(f'> Query "{COUNT}"', loosely=True)

    assert "! CloseFrontend" in talk.told()
