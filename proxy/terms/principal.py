"""Who acts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """The start-up user with where it came from; never ``current_user``, which SQL can change."""

    role: str  # the database role of the StartupMessage
    database: str
    address: str = ""  # of the frontend, without port; empty for a Unix socket
    application_name: str = ""  # as first announced; a label, never trusted

    @property
    def key(self) -> str:
        """What budgets are kept by: the role, on its database."""
        return f"{self.role}@{self.database}"
