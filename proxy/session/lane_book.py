"""What fast lanes have learnt, and what went through them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy.sql.cache import TwoGenerations

if TYPE_CHECKING:
    from proxy.terms.facts import Kind, StatementFacts

BOOK_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Known:
    """What was learnt of a query. ``head``: what comes before its rows, byte for byte."""

    facts: StatementFacts
    head: bytes
    makes: str | None = None  # the name of the prepared statement of its Parse
    text: bytes | None = None  # of an extended query


Book = TwoGenerations[Hashable, Known]


@dataclass(slots=True)
class LaneCounts:
    """What went through lanes, for the metrics; only ever grows."""

    statements: dict[Kind, int] = field(default_factory=dict)
    rows: int = 0
    size_bytes: int = 0
