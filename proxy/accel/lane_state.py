"""What a fast lane does for each chunk, in Python; the compiled kernel has the same classes.

What may pass is decided by ``proxy.session.lane``, which learns, and says until when it holds.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, Protocol

from proxy.accel._python import answer_rows, extended_key, query_template, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from proxy.terms.facts import StatementFacts

RECENT: Final = 256  # queries of one session that are found without a look into the book
KINDS: Final = 64
METHODS: Final = 8


class Known:
    """What was learnt of a query.

    Args:
        facts: of its statement.
        kind: the number of their kind, for the counts.
        head: what comes before the rows of its answer, byte for byte.
        makes: the name of the prepared statement of its Parse.
        text: of an extended query.
        method: the number of how its rows are charged, for the counts.
        tariff: what it costs; None: nothing.
    """

    __slots__ = ("facts", "head", "kind", "makes", "may_have_rows", "method", "tariff", "text")

    def __init__(
        self,
        facts: StatementFacts,
        kind: int,
        head: bytes,
        makes: str | None = None,
        text: bytes | None = None,
        *,
        method: int = 0,
        tariff: object | None = None,
    ) -> None:
        self.facts = facts
        self.kind = kind
        self.head = head
        self.makes = makes
        self.text = text
        self.method = method
        self.tariff = tariff
        self.may_have_rows: bool = facts.returns_rows


class LaneCounts:
    """What went through lanes, for the metrics; only ever grows.

    ``statements``: by kind. ``rows``: by how they were charged.
    """

    def __init__(self) -> None:
        self.statements = [0] * KINDS
        self.rows = [0] * METHODS
        self.size_bytes = 0

    def count(self, kind: int, method: int, rows: int, size_bytes: int) -> None:
        """Add one statement."""
        self.statements[kind] += 1
        self.rows[method] += rows
        self.size_bytes += size_bytes


class Book(Protocol):
    """Where queries are known to lanes of the same principal."""

    def get(self, key: Hashable, /) -> Known | None:
        """Return what is known."""


class Release(IntEnum):
    """What becomes of an answer that costs something."""

    NOT_CHARGED = 0  # it does not pass, and nothing was charged
    PASSES = 1
    WAITS = 2  # it is charged, and the session releases it: that has to be kept first


class Charges(Protocol):
    """Who charges what a lane lets pass; see ``proxy.session.lane_charges``."""

    def asks(self, known: Known, chunk: bytes, now: float, /) -> bool:
        """Charge a query as such; False: nothing was charged, and it does not pass."""

    def releases(self, known: Known, rows: bytes, count: int, now: float, /) -> int:
        """Charge the rows of its answer; a ``Release``."""


class LaneState:
    """The lane of one session as it stands.

    Args:
        counts: those of all lanes.
        text_of: gives the text of a prepared statement; None: it cannot be had.
        answered: is told what was answered and the status then, if names or the status change.
        charges: what is asked where a known query has a tariff; None: none has.

    It is closed, has nothing under way, and knows nothing, until ``proxy.session.lane`` says so.
    """

    __slots__ = (
        "_answered",
        "_charges",
        "_chunk",
        "_counts",
        "_known",
        "_recent",
        "_text_of",
        "_texts",
        "book",
        "charged",
        "epoch",
        "epochs",
        "forbids",
        "heard_at",
        "is_open",
        "made",
        "status",
        "valid_until",
    )

    def __init__(
        self,
        counts: LaneCounts,
        text_of: Callable[[bytes], bytes | None],
        answered: Callable[[Known, int], None],
        charges: Charges | None = None,
    ) -> None:
        self._counts = counts
        self._text_of = text_of
        self._answered = answered
        self._charges = charges
        self._known: Known | None = None
        self._chunk: bytes | None = None
        self._recent: dict[Hashable, Known] = {}
        self._texts: dict[bytes, bytes] = {}
        self.book: Book | None = None
        self.is_open = False
        self.valid_until = 0.0  # by the clock of ``passes_frontend``
        self.epochs = [0]  # the first one is that of now; another one than ``epoch``: look again
        self.epoch = -1
        self.forbids: Callable[[bytes], bool] | None = None  # answers that do not pass
        self.heard_at = 0.0  # when a chunk of the frontend passed last
        self.status = 0  # of the transaction, as the session knows it
        self.made: Known | None = None  # what the unnamed statement was made by, here
        self.charged: bytes | None = None  # an answer that the session releases

    @property
    def is_under_way(self) -> bool:
        """Whether a query was passed and is not answered."""
        return self._known is not None

    @property
    def has_charged(self) -> bool:
        """Whether what is under way was charged as a query."""
        return self._known is not None and self._known.tariff is not None

    def passes_frontend(self, chunk: bytes, now: float) -> bool:
        """Whether the chunk goes to the backend as it is."""
        if not self.is_open or self._known is not None or now >= self.valid_until:
            return False
        if self.epochs[0] != self.epoch or self.book is None:
            return False
        key = self.key_of(chunk)
        if key is None:
            return False
        known = self._recent.get(key)
        if known is None:
            known = self.book.get(key)
            if known is None:
                return False
            if len(self._recent) >= RECENT:
                self._recent.clear()
            self._recent[key] = known
        if known.tariff is not None:
            assert self._charges is not None
            if not self._charges.asks(known, chunk, now):
                return False
        self._known, self._chunk, self.heard_at = known, chunk, now
        return True

    def passes_backend(self, chunk: bytes, now: float) -> bool:
        """Whether the chunk goes to the frontend as it is: it is the whole answer.

        False with ``charged``: the session only has to release it.
        """
        known = self._known
        if known is None:
            return False
        answer = answer_rows(chunk, known.head, known.may_have_rows)
        if answer < 0 or (self.forbids is not None and self.forbids(chunk)):
            return False
        release = Release.PASSES
        if known.tariff is not None:
            assert self._charges is not None
            rows, count = rows_of(chunk, len(known.head), answer >> 8), answer >> 8
            release = Release(self._charges.releases(known, rows, count, now))
            if release is Release.NOT_CHARGED:
                return False
        self._known = self._chunk = None
        status = answer & 0xFF
        names = known.text is not None and (
            status != ord("I") or (known.makes is not None and known is not self.made)
        )
        if names or status != self.status:
            self.status = status
            self._answered(known, status)
            self.made = known if known.makes == "" else None
        self._counts.count(known.kind, known.method, answer >> 8, len(chunk))
        if release is Release.WAITS:
            self.charged = chunk
            return False
        return True

    def take_under_way(self) -> bytes | None:
        """Return what was passed and is not answered, which the session has to adopt."""
        chunk, self._chunk, self._known = self._chunk, None, None
        return chunk

    def look_again(self) -> None:
        """What was found before may be found otherwise now."""
        self._recent.clear()
        self._texts.clear()
        self.made = None
        self.epoch = -1

    def key_of(self, chunk: bytes) -> Hashable | None:
        """Return by what a query is known; None: it is not of an everyday form."""
        if chunk[:1] == b"Q":
            return query_template(chunk)
        found = extended_key(chunk)
        if found is None:
            return None
        parses, describes, statement, key = found
        if parses:
            return parses, describes, statement, key
        text = self._texts.get(statement)
        if text is None:
            text = self._text_of(statement)
            if text is None:
                return None
            self._texts[statement] = text
        return parses, describes, text, key
