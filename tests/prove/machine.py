"""Random sessions of random principals; whatever they do, nobody receives more than a budget.

The machine keeps no model of Vigie: it looks at the bytes that arrived and at nothing else.
"""

from __future__ import annotations

import collections
import contextlib
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.prove.grammar import parametrised, statements
from tests.prove.laboratory import BUDGET, examine
from tests.prove.wire import Books, WatchedFrontend
from tests.score.frontend import ClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.prove.laboratory import KeptVigie, PlantedLaboratory

PRINCIPALS: Final = 2
SESSIONS: Final = 4
# Statements that a later sequence could see the effect of.
_WRITES: Final = ("insert", "update", "delete", "merge", "staging")

SETTLE_SECONDS: Final = 0.1

_places = st.integers(0, SESSIONS - 1)
_chunks: st.SearchStrategy[list[int]] = st.one_of(
    st.just([]), st.just([]), st.lists(st.integers(1, 40), min_size=1, max_size=3)
)


class Machine(RuleBasedStateMachine):
    """One sequence. ``ground`` is what it runs on; set in a subclass by ``machine_on``."""

    ground: Ground

    def __init__(self) -> None:
        super().__init__()
        self._sessions: list[WatchedFrontend] = []
        self._books: list[Books] = []
        self._wrote = False
        self._restarts = 0

    @initialize()
    def begin(self) -> None:
        """Principals who have received nothing yet."""
        laboratory = self.ground.laboratory
        self._books = [Books(laboratory.new_role()) for _ in range(PRINCIPALS)]

    @precondition(lambda self: len(self._sessions) < SESSIONS)
    @rule(principal=st.integers(0, PRINCIPALS - 1), chunks=_chunks)
    def connect(self, principal: int, chunks: list[int]) -> None:
        """Open a session."""
        self._sessions.append(
            WatchedFrontend(
                self.ground.port(),
                self.ground.laboratory.laboratory.database,
                self.ground.laboratory.oracle,
                self._books[principal],
                chunks,
            )
        )

    @precondition(lambda self: self._sessions)
    @rule(place=_places, text=statements())
    def query(self, place: int, text: str) -> None:
        """Send a Query."""
        self._do(place, [text], lambda session: session.query(text))

    @precondition(lambda self: self._sessions)
    @rule(place=_places, texts=st.lists(statements(), min_size=2, max_size=4))
    def several(self, place: int, texts: list[str]) -> None:
        """Send several statements in one Query."""
        self._do(place, texts, lambda session: session.query("; ".join(texts)))

    @precondition(lambda self: self._sessions)
    @rule(
        place=_places,
        text=statements(),
        binary=st.booleans(),
        rows=st.sampled_from([0, 0, 1, 3]),
        name=st.sampled_from(["", "n1"]),
    )
    def extended(self, place: int, text: str, binary: bool, rows: int, name: str) -> None:
        """Parse, bind, describe and execute, perhaps a few rows at a time."""
        self._do(
            place,
            [text],
            lambda session: session.extended(text, name=name, binary=binary, rows=rows),
        )

    @precondition(lambda self: self._sessions)
    @rule(place=_places, values=st.lists(st.integers(0, 30).map(str), max_size=1))
    def bind_again(self, place: int, values: list[str]) -> None:
        """Bind and execute a prepared statement that may be there."""
        self._do(place, [], lambda session: session.extended(None, values, name="n1"))

    @precondition(lambda self: self._sessions)
    @rule(
        place=_places,
        sent=st.lists(parametrised(), min_size=1, max_size=4),
        binary=st.booleans(),
    )
    def pipeline(self, place: int, sent: list[tuple[str, tuple[str, ...]]], binary: bool) -> None:
        """Several portals with parameters before one Sync."""
        texts = [text for text, _ in sent]
        self._do(place, texts, lambda session: session.pipeline(sent, binary=binary))

    @precondition(lambda self: self._sessions)
    @rule(place=_places, text=statements())
    def cancelled(self, place: int, text: str) -> None:
        """Cancel a statement as soon as it was sent."""

        def run(session: WatchedFrontend) -> None:
            session.begin_query(text)
            with contextlib.suppress(OSError):
                session.cancel()
            session.until("Z")

        self._do(place, [text], run)

    @precondition(lambda self: self._sessions)
    @rule(place=_places, text=statements(), size=st.integers(1, 5000))
    def vanish(self, place: int, text: str, size: int) -> None:
        """Send a statement, take some bytes of its answer, and be gone."""

        def run(session: WatchedFrontend) -> None:
            session.begin_query(text)
            session.peek(size)
            session.vanish()
            raise ClosedError

        self._do(place, [text], run)

    @precondition(lambda self: self._sessions)
    @rule(place=_places)
    def leave(self, place: int) -> None:
        """End a session properly."""
        session = self._sessions.pop(place % len(self._sessions))
        session.close()

    @precondition(lambda self: self.ground.restart is not None and self._restarts == 0)
    @rule(place=_places, text=statements(), kill=st.booleans(), often=st.integers(0, 11))
    def restart(self, place: int, text: str, kill: bool, often: int) -> None:
        """End Vigie while a statement runs, and start it again; it takes a second, so not often."""
        if often or self.ground.restart is None:
            return
        self._restarts += 1

        def run(session: WatchedFrontend) -> None:
            session.begin_query(text)
            assert self.ground.restart is not None
            self.ground.restart(kill=kill)
            session.linger(SETTLE_SECONDS)
            raise ClosedError

        if self._sessions:
            self._do(place, [text], run)
        else:
            self.ground.restart(kill=kill)
        for session in self._sessions:
            session.close()
        self._sessions.clear()

    @invariant()
    def nobody_has_more_than_a_budget(self) -> None:
        """The promise."""
        for books in self._books:
            told = "".join(f"\n  {gain}" for gain in books.gains)
            assert len(books.patients) <= self.ground.most, f"received {len(books.patients)}:{told}"

    def teardown(self) -> None:
        """Leave the database as it was, and see that Vigie is well."""
        for session in self._sessions:
            session.close()
        for books in self._books:
            self.ground.count(books)
        self.ground.counts["restarts"] += self._restarts
        if self._wrote:
            self.ground.laboratory.restore()
        self.ground.examine()

    def _do(self, place: int, texts: list[str], action: Callable[[WatchedFrontend], None]) -> None:
        """Let a session act; one that was ended is gone, and what it received counts."""
        session = self._sessions[place % len(self._sessions)]
        session.books.statements += max(1, len(texts))
        before = len(session.books.patients)
        self._wrote |= any(word in text for text in texts for word in _WRITES)
        try:
            action(session)
        except (ClosedError, ConnectionError, BrokenPipeError):
            self._sessions.remove(session)
            session.close()
        finally:
            session.note()
            if len(session.books.patients) > before:
                after = len(session.books.patients)
                session.books.gains.append(
                    f"{before} -> {after}: {'; '.join(texts) or 'bound again'}"
                )


class Ground:
    """What sequences run on: the laboratory, and the port that they connect to.

    ``vigie`` None: they go to the database itself. ``most``: how many patients may arrive.
    """

    def __init__(
        self, laboratory: PlantedLaboratory, vigie: KeptVigie | None, most: int = BUDGET
    ) -> None:
        self.laboratory = laboratory
        self.most = most
        self.restart = None if vigie is None else vigie.restart
        self._vigie = vigie
        self.counts: collections.Counter[str] = collections.Counter()

    def port(self) -> int:
        """Return where to connect."""
        return self.laboratory.laboratory.port if self._vigie is None else self._vigie.port

    def examine(self) -> None:
        """See that Vigie is well. Errors: AssertionError with the end of its log."""
        if self._vigie is not None:
            examine(self._vigie)

    def count(self, books: Books) -> None:
        """Add what a principal did to the totals, which say how much was tried."""
        self.counts["principals"] += 1
        self.counts["statements"] += books.statements
        self.counts["rows"] += books.rows
        self.counts.update(f"error {code}" for code in books.errors)
        self.counts["patients"] += len(books.patients)
        self.counts["budgets spent"] += len(books.patients) == self.most

    def totals(self) -> dict[str, int]:
        """Return the totals without the kinds of errors."""
        errors = sum(n for name, n in self.counts.items() if name.startswith("error"))
        plain = {name: n for name, n in self.counts.items() if not name.startswith("error")}
        return {**plain, "errors": errors}


def machine_on(ground: Ground) -> type[Machine]:
    """Return the machine for these sequences."""
    attributes: dict[str, Any] = {"ground": ground}
    return type("Sequence", (Machine,), attributes)
