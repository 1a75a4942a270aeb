"""How many sessions there may be at a time: in all, of one address, logged in as one role.

In all and of one address they count from the StartupMessage. A role counts only once the backend
has taken its password: else whoever names a role could lock it out.

Source: PostgreSQL's ``max_connections`` and CONNECTION LIMIT, and what it says when they are
reached: SQLSTATE 53300.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

TOO_MANY: Final = "53300"


@dataclass(slots=True)
class Admission:
    """Counts the sessions that are open. A limit of 0 is none."""

    limit: int = 0
    limit_per_address: int = 0
    limit_per_role: int = 0
    is_draining: bool = False
    _all: int = 0
    _of_address: Counter[str] = field(default_factory=Counter)
    _of_role: Counter[str] = field(default_factory=Counter)

    def enter(self, address: str) -> str | None:
        """Count a session that begins; or return why it may not.

        Args:
            address: of the frontend; empty for a Unix socket, which has no limit of its own.
        """
        if self.limit and self._all >= self.limit:
            return "sorry, too many clients already"
        limit = self.limit_per_address
        if limit and address and self._of_address[address] >= limit:
            return f'too many connections for address "{address}"'
        self._all += 1
        self._of_address[address] += 1
        return None

    def leave(self, address: str) -> None:
        """A session that had entered has ended."""
        self._all -= 1
        _subtract(self._of_address, address)

    def log_in(self, role: str) -> str | None:
        """Count a session that the backend has let in; or return why it may not go on."""
        if self.limit_per_role and self._of_role[role] >= self.limit_per_role:
            return f'too many connections for role "{role}"'
        self._of_role[role] += 1
        return None

    def log_out(self, role: str) -> None:
        """A session that had logged in has ended."""
        _subtract(self._of_role, role)


def _subtract(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
