"""Mode observe: nothing is refused, cut or delayed, and everything is written down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from proxy.demo.attacks import ATTACKS, Attack, carry_out
from proxy.demo.postgres import SUPERUSER
from proxy.demo.tap import Tap
from proxy.wire.encode import SYNC, query
from tests.fix_vigie import samples
from tests.integration import bare
from tests.integration.conftest import marked

if TYPE_CHECKING:
    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

ROLE = "lims_app"
EVERYBODY = "select nir, last_name from lab.patient"
INSERT = "insert into lab.audit (action) values (%s)"


@pytest.fixture(scope="module")
def observing(module_vigie: StartVigie) -> VigieProcess:
    return module_vigie(mode="observe")


def records(process: VigieProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.audit.read_text().splitlines()]


@pytest.mark.parametrize(
    "attack", [one for one in ATTACKS if one.name != "walk"], ids=lambda one: one.name
)
def test_an_attack_gets_what_it_gets_without_vigie(
    lab: Lab, observing: VigieProcess, attack: Attack
) -> None:
    """Patient for patient the same as direct, and no error that names a rule."""
    known = lab.keys()
    outcome = carry_out(attack, lab, observing.port, known)

    direct = carry_out(attack, lab, lab.port, known)
    assert outcome.subjects == direct.subjects
    assert outcome.stop is None or not outcome.stop.by_vigie


def test_a_spent_budget_cuts_nothing(lab: Lab, observing: VigieProcess) -> None:
    """A superuser that no budget names reads three times what it may."""
    text = f"{EVERYBODY} where id between 1 and 300"
    with lab.connect(SUPERUSER, observing.port) as connection:
        rows = [len(connection.execute(text.encode()).fetchall()) for _ in range(3)]
    found = [one for one in records(observing) if one["kind"] == "cut"]
    mine = [one for one in found if one["principal"]["role"] == SUPERUSER]

    assert rows == [lab.patients] * 3
    assert mine
    assert {one["charge"]["budget"] for one in mine} <= {"EX201", "EX202"}
    assert {one["carried_out"] for one in found} == {False}


@pytest.mark.parametrize(
    "text",
    [
        EVERYBODY,
        f"copy ({EVERYBODY}) to stdout",
        "select json_agg(p) from lab.patient p",
        "do $$ begin perform count(*) from lab.patient; end $$",
        f"select query_to_xml('{EVERYBODY}', true, true, '')",
    ],
)
def test_what_would_be_refused_passes_and_is_recorded(
    lab: Lab, observing: VigieProcess, text: str
) -> None:
    """Verdict block, mode observe, carried_out false; the answer is the database's."""
    answers = []
    before = len(records(observing))
    for port in (None, observing.port):
        with bare.logged_in(lab, ROLE, port) as wire:
            wire.send(query(text.encode()))
            answers.append(wire.receive_to())
    found = records(observing)[before:]

    assert answers[1] == answers[0]
    assert "block" in {one["verdict"] for one in found}
    assert {(one["mode"], one["carried_out"]) for one in found} == {("observe", False)}


def test_a_transaction_commits(lab: Lab, observing: VigieProcess, mark: str) -> None:
    """What enforce would have aborted goes on to its COMMIT, in a pipeline too."""
    with lab.connect(ROLE, observing.port) as connection:
        with connection.transaction():
            connection.execute(INSERT, [mark])
            connection.execute(EVERYBODY)
            status = connection.info.transaction_status
        with connection.pipeline():
            connection.execute(INSERT, [mark])
            connection.execute(EVERYBODY)
            connection.execute(INSERT, [mark])

    assert status == TransactionStatus.INTRANS
    assert marked(lab, mark) == 3


def test_function_call_passes(lab: Lab, observing: VigieProcess) -> None:
    """The message itself and its answer, as direct."""
    found = []
    for port in (None, observing.port):
        with bare.logged_in(lab, ROLE, port) as wire:
            wire.send(bare.call(1397, b"-5"))  # abs(integer)
            found.append(wire.receive_to())

    assert found[1] == found[0]
    assert bare.tags(found[1]) == "VZ"


def test_messages_sent_ahead_are_not_held_back(lab: Lab, observing: VigieProcess) -> None:
    """A whole script in one write, refusals among it, answered as direct."""
    script = [
        query(b"begin"),
        query(EVERYBODY.encode()),
        *(bare.parse("s", f"{EVERYBODY} where id > $1"), bare.bind("", "s", "0")),
        *(bare.execute("", 10), bare.execute(""), SYNC),
        query(b"set local search_path = lab"),
        query(b"select nir from patient order by id; select 1 / 0; select 2"),
        query(b"rollback"),
    ]
    found = []
    for port in (None, observing.port):
        with bare.logged_in(lab, ROLE, port) as wire:
            wire.send(*script)
            found.append([wire.receive_to() for _ in range(6)])

    assert found[1] == found[0]


def test_replication_goes_on_to_the_database(lab: Lab, observing: VigieProcess) -> None:
    """The start-up is forwarded: what comes back asks for the password."""
    with bare.dialled(observing.port) as wire:
        wire.send(bare.startup(user="backup", database=lab.database, replication="database"))
        answer = wire.receive()

    assert answer is not None
    assert answer[0] == "R"


def test_the_metrics_show_what_would_have_been(lab: Lab, observing: VigieProcess) -> None:
    """Blocked in verdict, mode observe, no error of our own."""
    with lab.connect(ROLE, observing.port) as connection:
        connection.execute(EVERYBODY)
    found = samples(observing)

    assert found['vigie_statements_total{kind="select",verdict="block"}'] >= 1
    assert found['vigie_mode{mode="observe"}'] == 1
    errors = {name: n for name, n in found.items() if name.startswith("vigie_internal_errors")}
    assert set(errors.values()) == {0}, errors


def test_rights_remain_the_databases(lab: Lab, observing: VigieProcess) -> None:
    """Who may read reads everybody; who may not gets the database's own 42501."""
    with Tap(observing.port) as tap:
        with lab.connect("secretary", tap.port) as connection:
            connection.execute(EVERYBODY).fetchall()
        assert len(tap.subjects(lab.keys())) == lab.patients
        with (
            lab.connect("dashboard", tap.port) as connection,
            pytest.raises(psycopg.Error) as caught,
        ):
            connection.execute(EVERYBODY)

    assert caught.value.diag.message_primary == "permission denied for table patient"
