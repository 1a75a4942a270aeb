"""Result: a row is charged before it is released, whatever carries it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.session import commands as c
from proxy.session import events as e
from proxy.wire.backend import decode_data_row
from proxy.wire.frames import frames_in
from tests.conversation import Conversation, context_of, policy_of, subjects
from tests.messages import backend_message, frontend_message
from tests.strategies import chunk_sizes, chunks

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
