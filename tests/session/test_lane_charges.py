"""LaneCharges: what the lane lets pass costs what it costs in the session, and is cut as there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import accel
from proxy.meter.book import Book
from proxy.meter.ledger import Ledger
from proxy.session import commands as c
from proxy.session import events as e
from proxy.terms.behalf import Source, SourceKind, Trust
from proxy.terms.budget import Grouping, Measure
from proxy.terms.finding import Action
from tests.conversation import Conversation, context_of, policy_of, subjects
from tests.kernels import KERNELS
from tests.messages import backend_message, bind, frontend_message
from tests.strategies import chunk_sizes, chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from proxy.session import Context

KEYED: Final = "RowDescription id:16406.1:20 last_name:16406.3:25"
NAMES: Final = "RowDescription last_name:16406.3:25"
VALUES: Final = "RowDescription value:16472.5:1700"
SYNCED: Final = frontend_message("Execute ''") + frontend_message("Sync")


@dataclass(frozen=True)
class Form:
    """A query by its key, and what the backend answers: with the key of each row, or a value."""

    text: str
    columns: str
    done: str = "SELECT"
    prepares: bool = False

    def asked(self, key: int) -> bytes:
        """Return what the frontend sends."""
        if not self.prepares:
            return frontend_message(f'Query "{self.text.replace("$1", str(key))}"')
        parse = frontend_message(f'Parse "" "{self.text}"')
        return parse + bind("", "", str(key)) + frontend_message("Describe P ''") + SYNCED

    def answer(self, keys: Sequence[int]) -> bytes:
        """Return the rows of these patients."""
        said = ["ParseComplete", "BindComplete"] if self.prepares else []
        said.append(self.columns or "NoData") if self.columns or self.prepares else None
        width = self.columns.count(":") // 2
        said += [f"DataRow {' '.join([str(key), 'Martin'][-width:])}" for key in keys]
        said += [f"CommandComplete '{self.done} {len(keys)}'", "ReadyForQuery I"]
        return b"".join(map(backend_message, said))


BY_KEY: Final = Form("select id, last_name from lab.patient where id = $1", KEYED)
UNBOUNDED: Final = (
    Form("select id, last_name from lab.patient where id > $1 limit 2", KEYED),
    Form("select value from lab.resultat where id = $1", VALUES),
    Form("update lab.resultat set value = 1 where id = $1", "", "UPDATE"),
)
FORMS: Final = (
    *UNBOUNDED,
    BY_KEY,
    replace(BY_KEY, prepares=True),
    Form("select last_name from lab.patient where id = $1", NAMES),
    Form("select last_name from lab.patient where id = $1", NAMES, prepares=True),
    Form("select id, last_name from lab.patient where id = $1 limit 2", KEYED),
    Form("select value from lab.resultat where patient_id = $1", VALUES, prepares=True),
    Form("update lab.resultat set value = 1 where id = $1", "", "UPDATE", prepares=True),
    Form("select 1 + $1", "RowDescription a:0.0:23"),
)
asked_for: Final = st.tuples(
    st.sampled_from(FORMS),
    st.integers(1, 20),
    st.lists(st.integers(1, 20), max_size=3),
    st.none() | chunk_sizes,
)


@pytest.fixture(autouse=True, params=KERNELS.values(), ids=list(KERNELS), scope="module")
def _kernel(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every conversation is held with each kernel's lanes."""
    kernel = request.param
    names = ("Known", "LaneCounts", "LaneState", "RunCharger")
    with mock.patch.multiple(accel, **{name: getattr(kernel, name) for name in names}):
        yield


def everything(limit: int = 1000) -> Context:
    """Return a context with a budget of each kind that a lane can spend."""
    measures = (Measure.SUBJECTS, Measure.ROWS, Measure.STATEMENTS, Measure.QUESTIONS)
    return context_of(policy_of(*(subjects(limit, measure=one) for one in measures)))


def go_on(
    talk: Conversation, asked: bytes, answered: Sequence[bytes], *, by_lane: bool
) -> list[c.Command]:
    """Ask and answer; return what went to whom, that which passed as if it had been told."""
    done: list[c.Command] = []
    if by_lane and talk.session.passes_frontend(asked, talk.now):
        done.append(c.SendBackend(asked))
    else:
        done += talk.send(e.FrontendBytes(asked))
    for chunk in answered:
        if by_lane and talk.session.passes_backend(chunk, talk.now):
            done.append(c.SendFrontend(chunk))
        else:
            done += talk.send(e.BackendBytes(chunk))
    return done


def sent(commands: Sequence[c.Command]) -> tuple[bytes, bytes]:
    """Return the bytes for the frontend and those for the backend."""
    ours = (c.SendFrontend, c.SendBackend)
    frontend, backend = (
        b"".join(one.data for one in commands if isinstance(one, kind)) for kind in ours
    )
    return frontend, backend


def noticed(talk: Conversation) -> tuple[int, int, int]:
    """Return how many statements, rows and templates are habits of the session's principal."""
    key = talk.session._state.decisions.principal.key
    habits = talk.context.habits_of(key, 0.0)
    return habits.statements._count, habits.rows._count, len(habits.templates)


@settings(deadline=None)
@given(st.lists(asked_for, max_size=12))
def test_the_lane_charges_what_the_session_charges(
    asked: list[tuple[Form, int, list[int], list[int] | None]],
) -> None:
    """Whatever is asked, however the answer is cut into chunks: same bytes, same usage."""
    with_lane, without = Conversation(everything()).login(), Conversation(everything()).login()
    for form, key, keys, sizes in asked:
        answer = form.answer(keys if form.columns else [])
        answered = [answer] if sizes is None else list(chunks(answer, sizes))
        one = go_on(with_lane, form.asked(key), answered, by_lane=True)
        other = go_on(without, form.asked(key), answered, by_lane=False)
        assert sent(one) == sent(other)

    assert noticed(with_lane) == noticed(without)
    ledgers = [talk.context.ledger for talk in (with_lane, without)]
    assert ledgers[0].charged == ledgers[1].charged
    assert ledgers[0].usage(0.0) == ledgers[1].usage(0.0)


def learnt(context: Context, form: Form = BY_KEY) -> Conversation:
    """Return a session whose lane knows the query, asked for patient 1."""
    talk = Conversation(context).login()
    go_on(talk, form.asked(1), [form.answer([1])], by_lane=True)
    return talk


def of(command: type[c.Command], commands: Sequence[c.Command]) -> list[c.Command]:
    """Return the commands of a kind."""
    return [one for one in commands if isinstance(one, command)]


@pytest.mark.parametrize("form", [form for form in FORMS if form.columns])
def test_a_query_that_is_charged_passes(form: Form) -> None:
    """With other constants, and so does its answer; not where the planner is asked about each."""
    talk = learnt(everything(), form)
    is_planned = form in UNBOUNDED

    assert talk.session.passes_frontend(form.asked(7), 0.0) is not is_planned
    assert talk.session.passes_backend(form.answer([7]), 0.0) is not is_planned


def test_the_row_that_would_exceed_is_cut_as_in_the_session() -> None:
    """Two patients may be had: the third is adopted by the session, with a query behind it."""
    told = []
    for by_lane in (True, False):
        talk = learnt(context_of(policy_of(subjects(2))))
        go_on(talk, BY_KEY.asked(5), [BY_KEY.answer([5])], by_lane=by_lane)
        told.append(go_on(talk, BY_KEY.asked(9), [BY_KEY.answer([9])], by_lane=by_lane))
        assert b"Martin" not in sent(told[-1])[0]
        assert of(c.WasCut, told[-1])
    assert sent(told[0])[1] == sent(told[1])[1]


def test_a_budget_of_statements_is_spent_in_the_session() -> None:
    """The lane charges what fits; the statement that does not is refused there."""
    talk = learnt(context_of(policy_of(subjects(2, measure=Measure.STATEMENTS))))
    assert talk.session.passes_frontend(BY_KEY.asked(5), 0.0)
    assert talk.session.passes_backend(BY_KEY.answer([5]), 0.0)

    assert not talk.session.passes_frontend(BY_KEY.asked(5), 0.0)
    assert of(c.WasCut, talk.send(e.FrontendBytes(BY_KEY.asked(5))))


def test_what_the_lane_does_not_pass_is_noticed_once() -> None:
    """The session goes on with what was found of it, however often the lane is asked."""
    counts = []
    for by_lane in (True, False):
        talk = learnt(context_of(policy_of(subjects(2, measure=Measure.STATEMENTS))))
        go_on(talk, BY_KEY.asked(5), [BY_KEY.answer([5])], by_lane=by_lane)
        asked = BY_KEY.asked(6)
        if by_lane:  # as the kernel, the relay and the session do, one after the other
            assert [talk.session.passes_frontend(asked, 0.0) for _ in range(2)] == [False, False]
        assert of(c.WasCut, talk.send(e.FrontendBytes(asked)))
        counts.append(noticed(talk))

    assert counts[0] == counts[1]


def test_a_budget_that_only_flags_is_told_by_the_session() -> None:
    """At once, and not with what is asked next."""
    budget = subjects(1, action=Action.FLAG)
    talk = learnt(context_of(policy_of(budget)))
    talk.session.passes_frontend(BY_KEY.asked(5), 0.0)
    assert not talk.session.passes_backend(BY_KEY.answer([5]), 0.0)

    done = talk.send(e.BackendBytes(BY_KEY.answer([5])))
    assert of(c.Emit, done)
    assert b"Martin" in sent(done)[0]


def test_what_is_charged_waits_until_it_is_kept() -> None:
    """The answer is charged once, and released by the session behind the state."""
    context = context_of(policy_of(subjects(100)))
    context.ledger = Ledger(Book(is_kept=True))
    talk = learnt(context)
    context.ledger.take_batch(0.0)
    context.ledger.book.saved()
    waited = 0
    for key in range(5, 50):
        assert talk.session.passes_frontend(BY_KEY.asked(key), 0.0)
        if not talk.session.passes_backend(answer := BY_KEY.answer([key]), 0.0):
            done = talk.send(e.BackendBytes(answer))
            assert sent(done)[0] == answer
            waited += isinstance(done[0], c.AwaitState)
        assert context.ledger.is_covered or waited

    assert waited
    assert context.ledger.charged["EX201"] == 46


def test_statements_of_their_own_budgets_are_left_to_the_session() -> None:
    """Each begins anew, which the lane does not."""
    budget = replace(subjects(5), per=(Grouping.ROLE, Grouping.STATEMENT))
    talk = learnt(context_of(policy_of(budget)))

    assert not talk.session.passes_frontend(BY_KEY.asked(5), 0.0)


def test_for_whom_it_is_said_to_be_is_left_to_the_session() -> None:
    """Where the policy believes a name: another statement may be charged to another."""
    trust = Trust(frozenset({"app"}), end_user=Source(SourceKind.COMMENT, "user"))
    talk = learnt(context_of(replace(policy_of(subjects(5)), trusts=(trust,))))

    assert not talk.session.passes_frontend(BY_KEY.asked(5), 0.0)


@pytest.mark.parametrize(
    "change",
    [
        lambda context: context.orders.by_role.update(app=[]),
        lambda context: setattr(context.ledger.book, "is_failing", True),
        lambda context: context.catalogs.changed("lab"),
    ],
)
def test_what_has_to_be_decided_is_left_to_the_session(change: Callable[[Context], None]) -> None:
    """A work order, a state that cannot be kept, another catalog."""
    context = context_of(policy_of(subjects(9, measure=Measure.STATEMENTS)))
    context.ledger = Ledger(Book(is_kept=True))
    talk = learnt(context)
    assert talk.session.passes_frontend(BY_KEY.asked(5), 0.0)
    talk.send(e.BackendBytes(BY_KEY.answer([5])))
    change(context)

    assert not talk.session.passes_frontend(BY_KEY.asked(6), 0.0)


def test_an_error_of_ours_is_told_and_the_session_decides() -> None:
    """In the lane nothing is released that could not be charged."""
    talk = learnt(everything())
    talk.session.passes_frontend(BY_KEY.asked(5), 0.0)
    with mock.patch("proxy.session.lane_charges.Charge", side_effect=ZeroDivisionError):
        assert not talk.session.passes_backend(BY_KEY.answer([5]), 0.0)

    done = talk.send(e.BackendBytes(BY_KEY.answer([5])))
    assert [one.error for one in done if isinstance(one, c.InternalFault)] == ["ZeroDivisionError"]
    assert sent(done)[0] == BY_KEY.answer([5])
