"""Result: a row is charged before it is released, whatever carries it."""

from __future__ import annotations

import struct
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import accel
from proxy.meter.book import Book
from proxy.meter.ledger import Account, Charge, Ledger
from proxy.meter.plan import BY_BYTES, FREE, ChargePlan, KeyColumn
from proxy.session import commands as c
from proxy.session import events as e
from proxy.session.results import Result
from proxy.terms.budget import Budget, Grouping, Measure, Method
from proxy.terms.facts import CopyFormat
from proxy.terms.finding import Action
from proxy.wire.backend import decode_data_row
from proxy.wire.encode import frame
from proxy.wire.frames import Run, frames_in
from tests.conversation import Conversation, context_of, policy_of, subjects
from tests.kernels import each_kernel
from tests.messages import backend_message, frontend_message
from tests.strategies import chunk_sizes, chunks, lengthened

READ = "select id, last_name from lab.patient limit 9"
COLUMNS = "RowDescription id:16406.1:20 last_name:16406.3:25"
keys = st.lists(st.integers(1, 8), max_size=6)
results = st.lists(st.tuples(st.sampled_from(["simple", "extended", "slices"]), keys), max_size=6)


def received(commands: list[c.Command]) -> list[bytes | None]:
    """Return the first value of each row that went to the frontend."""
    raw = b"".join(one.data for one in commands if isinstance(one, c.SendFrontend))
    rows = [(start, end) for start, end in frames_in(raw) if raw[start] == ord("D")]
    return [decode_data_row(raw, start, end)[0] for start, end in rows]


class Reader:
    """A frontend that reads, and its backend; both go on until ReadyForQuery."""

    def __init__(self, limit: int, sizes: list[int]) -> None:
        self.talk = Conversation(context_of(policy_of(subjects(limit)))).login()
        self.seen: list[bytes | None] = []
        self.errors = 0
        self._sizes = sizes

    def read(self, flow: str, rows: list[int]) -> None:
        """Receive one result in one of the flows."""
        head = [COLUMNS, *(f"DataRow {key} A" for key in rows)]
        if flow == "simple":
            self._ask(f'Query "{READ}"')
            self._answer([*head, "CommandComplete x", "ReadyForQuery I"])
            return
        self._ask(f'Parse "" "{READ}"', 'Bind p ""', "Execute p 2", "Sync")
        prefix = ["ParseComplete", "BindComplete"]
        if flow == "extended":
            self._answer([*prefix, *head, "CommandComplete x", "ReadyForQuery I"])
            return
        half = 1 + len(rows) // 2
        self._answer([*prefix, *head[:half], "PortalSuspended", "ReadyForQuery T"])
        if not self.errors:
            self._ask("Execute p", "Sync")
            self._answer([*head[half:], "CommandComplete x", "ReadyForQuery I"])

    def _ask(self, *told: str) -> None:
        raw = b"".join(frontend_message(one) for one in told)
        for chunk in chunks(raw, self._sizes):
            self._take(self.talk.send(e.FrontendBytes(chunk)))

    def _answer(self, told: list[str]) -> None:
        raw = b"".join(backend_message(one) for one in told)
        for chunk in chunks(raw, self._sizes):
            self._take(self.talk.send(e.BackendBytes(chunk)))
        self._take(self.talk.send(e.CancelDone()))
        if any(line.startswith(">> Execute NONCE") for line in self.talk.told()):
            self.errors += 1
            self.talk.say("<< ErrorResponse 34000 NONCE\n<< ReadyForQuery I", loosely=True)

    def _take(self, commands: list[c.Command]) -> None:
        self.seen += received(commands)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 6), results, chunk_sizes)
def test_no_more_subjects_leave_than_the_budget_has(
    limit: int, asked: list[tuple[str, list[int]]], sizes: list[int]
) -> None:
    """Over any results, Executes and slices; and all that it has leave before the first is cut."""
    reader = Reader(limit, sizes)
    for flow, rows in asked:
        reader.read(flow, rows)

    assert len(set(reader.seen)) <= limit
    wanted = [str(key).encode() for _, rows in asked for key in rows]
    if len(set(wanted)) <= limit:
        assert reader.seen == wanted


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 6), results, chunk_sizes)
def test_chunks_do_not_change_what_is_released(
    limit: int, asked: list[tuple[str, list[int]]], sizes: list[int]
) -> None:
    """However both streams are cut, the same rows leave and the same are cut."""
    cut, whole = Reader(limit, sizes), Reader(limit, [1 << 20])
    for flow, rows in asked:
        cut.read(flow, rows)
        whole.read(flow, rows)

    assert (cut.seen, cut.errors) == (whole.seen, whole.errors)


class OneByOne(Account):
    """An account that never takes a run at once."""

    def admit_run(self, charge: Charge, now: float) -> bool:
        """Every row has to ask."""
        del charge, now
        return False


ACTIONS = st.sampled_from([Action.BLOCK, Action.FLAG])
budgets = st.lists(
    st.tuples(st.sampled_from(Measure), st.none() | st.integers(0, 12), ACTIONS), max_size=3
)
PLANS = st.sampled_from(
    [
        ChargePlan(Method.KEYS, keys=(KeyColumn(0, "id", 20, 0),), linked=True, values=(1,)),
        ChargePlan(
            Method.KEYS, keys=(KeyColumn(0, "id", 20, 0), KeyColumn(1, "nir", 25, 0)), linked=True
        ),
        ChargePlan(Method.KEYS, keys=(KeyColumn(0, "id", 20, 0), KeyColumn(1, "nir", 25, 0))),
        ChargePlan(Method.ROWS, values=(0, 1)),
        ChargePlan(Method.BOUND, fixed=(("id", b"1"), ("id", b"2"))),
        ChargePlan(Method.FREE, counts_rows=True),
        BY_BYTES,
        FREE,
    ]
)
pairs = st.tuples(st.integers(1, 9), st.integers(1, 4))
runs = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 1800.0, 3600.0]), st.lists(pairs, min_size=1)), max_size=6
)


@each_kernel
@settings(max_examples=300)
@given(budgets, PLANS, runs, st.booleans())
def test_a_run_is_charged_as_its_rows_are(
    kernel: Any,
    told: list[tuple[Measure, int | None, Action]],
    plan: ChargePlan,
    runs: list[tuple[float, list[tuple[int, int]]]],
    copies: bool,
) -> None:
    """The same bytes leave, the same budget stops the rest, the same is charged and told."""
    all_of_them = [
        Budget(f"EX{number}", "Budget", measure, frozenset(), 3600, limit, action)
        for number, (measure, limit, action) in enumerate(told)
    ]
    context = context_of(policy_of())
    groups = {Grouping.ROLE: "app"}
    ledgers = Ledger(Book(new_subjects=kernel.Subjects)), Ledger()
    together = Account(ledgers[0], all_of_them, groups, "app")
    apart = OneByOne(ledgers[1], all_of_them, groups, "app")
    form, columns = (CopyFormat.TEXT, 2) if copies else (None, 0)
    with mock.patch.object(accel, "RunCharger", kernel.RunCharger):
        results = [
            Result(context, account, plan, copy_format=form, columns=columns)
            for account in (together, apart)
        ]
    now = 0.0
    for gap, rows in runs:
        now += gap
        raw = [frame(ord("d"), b"%d\t%d\n" % row) if copies else data_row(*row) for row in rows]
        run = Run(raw[0][0], b"".join(raw), len(raw))
        first, second = (one.admit_run(run, now) for one in results)
        assert first == second
        assert together.usage(now) == apart.usage(now)
        assert ledgers[0].charged == ledgers[1].charged
        assert list(together.overruns()) == list(apart.overruns())
        assert results[0].take_counts() == results[1].take_counts()


def data_row(*values: int) -> bytes:
    """Return a DataRow of numbers as text."""
    return frame(
        ord("D"),
        struct.pack(">h", len(values)) + b"".join(lengthened(b"%d" % one) for one in values),
    )
