"""A desk of the laboratory: one role at work, each of its statements timed.

The same work is done twice, directly and through Vigie, so that the two can be compared.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import asyncpg
import psycopg

from proxy.demo.intruder import FAILURES, Stop
from proxy.demo.postgres import SUPERUSER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from proxy.demo.lab import Lab

PATIENTS_AT_HAND: Final = 30  # whom the morning is about


@dataclass(frozen=True, slots=True)
class Timing:
    """One statement: who, what, how long, and how it was refused if it was."""

    role: str
    title: str
    seconds: float
    refused: Stop | None = None


@dataclass(frozen=True, slots=True)
class Papers:
    """What lies on the desks in the morning: the patients, samples and invoices at hand."""

    patients: tuple[tuple[int, str, str], ...]  # id, NIR, family name
    to_validate: tuple[int, ...]
    invoices: tuple[int, ...]
    month: date

    @classmethod
    def of(cls, lab: Lab) -> Papers:
        """Draw them from the laboratory itself."""
        with lab.connect(SUPERUSER) as connection:
            step = max(1, lab.patients // PATIENTS_AT_HAND)
            patients = connection.execute(
                "select id, nir, last_name from lab.patient where id %% %s = 0 "
                "order by id limit %s",
                [step, PATIENTS_AT_HAND],
            ).fetchall()
            waiting = connection.execute(
                "select id from lab.resultat where status = 'to_validate' order by id limit 20"
            ).fetchall()
            invoices = connection.execute(
                "select id, mois from lab.facture order by mois desc, id limit 20"
            ).fetchall()
        return cls(
            patients=tuple((number, nir, name) for number, nir, name in patients),
            to_validate=tuple(number for (number,) in waiting),
            invoices=tuple(number for number, _ in invoices),
            month=invoices[0][1],
        )


@dataclass(slots=True)
class Desk:
    """Connects a role to ``port`` and times what it does.

    ``first_number`` is where the numbers of the results it writes begin.
    """

    lab: Lab
    port: int
    role: str
    papers: Papers
    first_number: int
    timings: list[Timing] = field(default_factory=list)
    written: int = 0

    def new_number(self) -> int:
        """Return a number for one more result."""
        self.written += 1
        return self.first_number + self.written

    @contextmanager
    def session(
        self, factory: type[psycopg.Cursor] = psycopg.Cursor, *, autocommit: bool = True
    ) -> Iterator[psycopg.Connection]:
        """Open a psycopg session; its first statement is not timed, for it warms up both ends."""
        connection = psycopg.connect(
            self.lab.dsn(self.role, self.port), autocommit=autocommit, cursor_factory=factory
        )
        with connection:
            connection.execute("select 1")
            yield connection

    async def pool(self) -> asyncpg.Pool:
        """Return asyncpg's pool of two connections."""
        return await asyncpg.create_pool(
            host=self.lab.host,
            port=self.port,
            user=self.role,
            password=self.lab.passwords[self.role],
            database=self.lab.database,
            ssl=False,
            min_size=2,
            max_size=2,
        )

    @contextmanager
    def timed(self, title: str, count: int = 1) -> Iterator[None]:
        """Time ``count`` statements as one; a refusal is noted and goes no further."""
        began, refused = time.perf_counter(), None
        try:
            yield
        except FAILURES as error:
            refused = Stop.of(error)
        each = (time.perf_counter() - began) / count
        self.timings += [Timing(self.role, title, each, refused)] * count

    def run(
        self,
        connection: psycopg.Connection,
        title: str,
        sql: str,
        values: Sequence[object] = (),
    ) -> None:
        """Run one statement, fetch what it gives, time it."""
        with self.timed(title):
            cursor = connection.execute(sql.encode(), values or None)
            if cursor.description:
                cursor.fetchall()
