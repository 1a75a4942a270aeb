"""What an attacker holds: a role's password, an address, and patience.

An attacker does not stop at the first refusal, so each way of asking goes through ``attempt``,
which keeps the first refusal and lets the attack go on.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import asyncpg
import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from proxy.demo.lab import Lab

CONNECT_SECONDS: Final = 20
FAILURES: Final = (psycopg.Error, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
_DETAIL: Final = re.compile(r"(?:Rule|Budget) (\w+), finding (\w+)")
_DIGITS: Final = re.compile(r"\d[\dAB,]{4,}")  # keys of patients in an error's text
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Stop:
    """How an attack was stopped: the fields of Vigie's ErrorResponse, or of another error."""

    sqlstate: str
    message: str
    rule: str = ""  # EX104 or a budget's EX201; empty: not Vigie's answer
    finding: str = ""

    @property
    def by_vigie(self) -> bool:
        """Whether the error names a rule or budget."""
        return bool(self.rule)

    @classmethod
    def of(cls, error: BaseException | str) -> Stop:
        """Read an error of psycopg, of asyncpg, or the output of a program."""
        detail, sqlstate = "", ""
        if isinstance(error, psycopg.Error):
            detail, sqlstate = error.diag.message_detail or "", error.sqlstate or ""
        elif isinstance(error, asyncpg.PostgresError):
            detail, sqlstate = error.detail or "", error.sqlstate or ""
        text = str(error)
        found = _DETAIL.search(detail or text)
        lines = [line for line in text.strip().splitlines() if line.strip()]
        first = next((line for line in lines if "refused" in line or "cut" in line), "")
        message = first or (lines[0] if lines else type(error).__name__)
        message = _DIGITS.sub("...", message)[:_SHOWN]
        rule, finding = found.groups() if found else ("", "")
        return cls(sqlstate, message, rule, finding)


@dataclass(slots=True)
class Intruder:
    """One attacker with the password of ``role``, who connects to ``port``."""

    lab: Lab
    role: str
    port: int
    stops: list[Stop] = field(default_factory=list)

    @property
    def dsn(self) -> str:
        """Return the connection string."""
        return self.lab.dsn(self.role, self.port) + f" connect_timeout={CONNECT_SECONDS}"

    @property
    def password(self) -> str:
        """Return the role's password."""
        return self.lab.passwords[self.role]

    @property
    def first_stop(self) -> Stop | None:
        """Return the first refusal that names a rule, else the first error."""
        named = [stop for stop in self.stops if stop.by_vigie]
        return next(iter(named or self.stops), None)

    @contextmanager
    def session(self, *, autocommit: bool = True) -> Iterator[psycopg.Connection]:
        """Open a psycopg session and close it; it may be broken by then."""
        connection = psycopg.connect(self.dsn, autocommit=autocommit)
        try:
            yield connection
        finally:
            connection.close()

    def attempt(self, action: Callable[[], object]) -> bool:
        """Try one thing; returns whether it went through, and notes the error if not."""
        try:
            action()
        except FAILURES as error:
            self.stops.append(Stop.of(error))
            return False
        return True

    def rows(
        self, connection: psycopg.Connection, sql: str, values: Sequence[object] = ()
    ) -> int | None:
        """Run a statement and fetch all it gives; returns how many rows, None if refused."""
        found = None

        def fetch() -> None:
            nonlocal found
            cursor = connection.execute(sql.encode(), values or None)
            found = len(cursor.fetchall()) if cursor.description else 0

        self.attempt(fetch)
        return found

    def stream(self, connection: psycopg.Connection, sql: str, *, binary: bool = False) -> bool:
        """Read a result of any size by the extended protocol, keeping none of it."""

        def read() -> None:
            with connection.cursor(binary=binary) as cursor:
                for _row in cursor.stream(sql.encode(), size=500):
                    pass

        return self.attempt(read)

    def copy_out(self, connection: psycopg.Connection, sql: str) -> bool:
        """Read all that a COPY TO STDOUT sends."""

        def read() -> None:
            with connection.cursor() as cursor, cursor.copy(sql.encode()) as copy:
                for _block in copy:
                    pass

        return self.attempt(read)

    def simple(self, connection: psycopg.Connection, text: str) -> bool:
        """Send a text by the simple protocol, whatever statements it holds."""

        def send() -> None:
            result = connection.pgconn.exec_(text.encode())
            if result.status == ExecStatus.FATAL_ERROR:
                raise error_from_result(result)

        return self.attempt(send)
