"""Who acts."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.terms.behalf import NOBODY, Behalf


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whom a verified certificate of the frontend names."""

    subject: str  # the distinguished name as RFC 4514 writes it: CN=lims,O=Lab
    name: str = ""  # its common name
    alternatives: frozenset[str] = frozenset()  # DNS names, e-mail addresses, URIs, addresses


@dataclass(frozen=True, slots=True)
class Principal:
    """The start-up user with where it came from; never ``current_user``, which SQL can change."""

    role: str  # the database role of the StartupMessage
    database: str
    address: str = ""  # of the frontend, without port; unix: and the user id for a Unix socket
    application_name: str = ""  # as first announced; a label, never trusted
    certificate: Certificate | None = None  # None: it presented none
    upstream: str = ""  # where the database is, if not where all others are
    behalf: Behalf = NOBODY  # for whom, as it says and is believed

    @property
    def place(self) -> str:
        """Which database it is: of two with one name, each has its own patients."""
        return f"{self.database}\0{self.upstream}" if self.upstream else self.database

    @property
    def key(self) -> str:
        """What budgets are kept by: the role, on its database."""
        return f"{self.role}@{self.place}"
