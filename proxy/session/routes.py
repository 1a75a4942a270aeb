"""Which upstream a session goes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Route:
    """A way to an upstream other than the first: for these databases, for these listeners.

    None: for any of them. ``upstream`` is its name, for people and for keys of what is kept.
    """

    upstream: str
    databases: frozenset[str] | None = None
    listeners: frozenset[str] | None = None

    def fits(self, database: str, listener: str) -> bool:
        """Whether a session goes this way."""
        databases, listeners = self.databases, self.listeners
        return (databases is None or database in databases) and (
            listeners is None or listener in listeners
        )


def choose(routes: Iterable[Route], database: str, listener: str) -> str:
    """Return the name of the upstream of the first route that fits; "" is that of all others."""
    return next((one.upstream for one in routes if one.fits(database, listener)), "")
