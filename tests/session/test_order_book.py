"""Work orders in a session: the rules make room, and the order counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.policy.orders import read_order
from proxy.session import commands as c
from proxy.session import events as e
from tests.conversation import Conversation, context_of
from tests.messages import backend_message, frontend_message
from tests.policy.test_orders import DATA

READ = "select id, nir from lab.patient"
COLUMNS = "RowDescription id:16406.1:20 nir:16406.2:25"
JOIN = (
    "select p.nir, r.value from lab.patient p join lab.resultat r on r.patient_id = p.id"
    " where r.validated_at >= '2025-01-01' and r.validated_at < '2026-01-01'"
)
ORDER = "WO-20261125-0123abcd"


def talk_of(*, ends: float = 100.0, **changes: Any) -> Conversation:
    talk = Conversation(context_of())
    data = DATA | {"roles": ["app"], "dates": None, "subjects": 2} | changes
    talk.context.orders.put([(read_order(json.dumps(data)), ends)])
    return talk.login()


def ask(talk: Conversation, statement: str) -> list[c.Command]:
    return talk.send(e.FrontendBytes(frontend_message(f'Query "{statement}"')))


def findings(talk: Conversation, statement: str) -> list[str]:
    """Return the rules that held for a statement."""
    judged = [one.judgement for one in ask(talk, statement) if isinstance(one, c.Judged)]
    return [one.rule for judgement in judged for one in judgement.findings]


def used(talk: Conversation) -> dict[str, int]:
    return {usage.budget: usage.used for usage in talk.context.ledger.usage(0.0)}


def test_inside_the_order_no_rule_stands_in_the_way() -> None:
    """It passes, the record names the order, and the order alone is charged, to its limit."""
    talk = talk_of()
    (record,) = [one.record for one in ask(talk, READ) if isinstance(one, c.Emit)]
    rows = [COLUMNS, "DataRow 1 a", "DataRow 2 b", "DataRow 3 c"]
    told = talk.send(e.BackendBytes(b"".join(map(backend_message, rows))))

    assert record.findings[0].evidence[0] == ("order", ORDER)
    assert [one.budget for one in told if isinstance(one, c.WasCut)] == [ORDER]
    assert used(talk)[ORDER] == 2
    assert used(talk).get("EX201", 0) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "select id, nir, last_name from lab.patient",
        "copy lab.patient to stdout",
    ],
)
def test_outside_of_it_all_is_as_ever(statement: str) -> None:
    """A column too many is judged by the rules."""
    without = findings(Conversation(context_of()).login(), statement)

    assert findings(talk_of(), statement) == without
    assert without


@pytest.mark.parametrize("changes", [{"ends": -1.0}, {"roles": ["other"]}])
def test_it_is_for_its_roles_and_its_time(changes: dict[str, Any]) -> None:
    """Ended, or of somebody else: the rules hold."""
    assert "EX290" not in findings(talk_of(**changes), READ)


def test_a_year_too_many_is_outside() -> None:
    """The dates must be in the statement, and hold what it reads."""
    inside = findings(talk_of(dates=DATA["dates"]), JOIN)
    beyond = [
        JOIN.replace("2025", "2024"),
        JOIN.partition(" where ")[0],
        JOIN.replace(" on r.patient_id = p.id", " on true"),
        READ,
    ]

    assert inside == ["EX290"]
    for statement in beyond:
        assert "EX290" not in findings(talk_of(dates=DATA["dates"]), statement)


def test_what_the_backend_describes_otherwise_is_ones_own() -> None:
    """Another column on the wire than in the text: charged as without an order."""
    talk = talk_of()
    ask(talk, READ)
    described = COLUMNS.replace("nir:16406.2", "nir:16406.3")
    talk.send(e.BackendBytes(backend_message(described) + backend_message("DataRow 1 a")))

    assert used(talk).get(ORDER, 0) == 0
    assert used(talk)["EX201"] > 0
