"""A sequence written down: what one principal sends, and how many patients it has in the end."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.prove.wire import Books, WatchedFrontend
from tests.score.frontend import ClosedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.prove.laboratory import PlantedLaboratory


@dataclass(frozen=True)
class Extended:
    """A statement by the extended protocol; ``rows`` at a time; ``text`` None: bind it again."""

    text: str | None
    values: tuple[str, ...] = ()
    name: str = ""
    binary: bool = False
    rows: int = 0


@dataclass(frozen=True)
class Elsewhere:
    """A Query in another session of the same principal."""

    text: str


Sent = str | Extended | Elsewhere


def converse(laboratory: PlantedLaboratory, port: int, sent: Sequence[Sent]) -> Books:
    """Send these one after the other as a new principal, and return what it received."""
    books = Books(laboratory.new_role())
    with contextlib.ExitStack() as stack:
        sessions = [
            stack.enter_context(
                WatchedFrontend(port, laboratory.laboratory.database, laboratory.oracle, books)
            )
            for _ in range(2)
        ]
        for one in sent:
            session = sessions[isinstance(one, Elsewhere)]
            with contextlib.suppress(ClosedError):
                _send(session, one)
            session.note()
    return books


def _send(session: WatchedFrontend, one: Sent) -> None:
    match one:
        case str(text) | Elsewhere(text):
            session.query(text)
        case Extended(text, values, name, binary, rows):
            session.extended(text, values, name=name, binary=binary, rows=rows)
