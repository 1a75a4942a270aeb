"""A Vigie under fuzz: its own process before a real laboratory, and what is seen of it."""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg

from proxy.demo.lab import Lab, create_lab
from proxy.demo.postgres import HOST, SUPERUSER, EmbeddedPostgres
from proxy.demo.vigie_process import SITE, VigieProcess
from tests.fix_vigie import await_no_session, samples

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENTS: Final = 300
ROLES: Final = ("lims_app", "secretary", "biologist", "dba")
HUNG_SECONDS: Final = 40.0  # a session that has not ended so long after its frontend has: hung
_TRUST: Final = "host all all 127.0.0.1/32 trust"
# A catalog that cannot be read is one that is not known; an upstream that lies has such.
_INTERNAL: Final = re.compile(r"^.*internal error in (?!catalog).*$", re.MULTILINE)
_TAG: Final = re.compile(rb"tag[0-9a-f]{18}")


class FuzzError(AssertionError):
    """Something happened that may never happen; the message has the seed."""


@dataclass(slots=True)
class Target:
    """The running proxy. ``upstream``: what is behind it."""

    vigie: VigieProcess
    lab: Lab | None = None
    descriptors: int = 0
    resident: list[int] = field(default_factory=list)  # bytes, one for each look

    @property
    def port(self) -> int:
        """Where frontends connect."""
        return self.vigie.port

    def look(self, where: str) -> None:
        """See that it runs, has no session left, no file left open, and made no error of its own.

        Errors: FuzzError.
        """
        if not self.vigie.is_running:
            raise FuzzError(f"{where}: vigie has ended:\n{self.vigie.log[-4000:]}")
        await_no_session(self.vigie)
        log = self.vigie.log
        found = _INTERNAL.findall(log)
        if found or "Traceback" in log:
            at = log.find(found[0]) if found else log.find("Traceback")
            raise FuzzError(
                f"{where}: an error of Vigie's own:\n{log[max(0, at - 500) : at + 3000]}"
            )
        now = len([*Path(f"/proc/{self.vigie.process_number}/fd").iterdir()])
        self.descriptors = self.descriptors or now
        if now > self.descriptors + 8:  # the listener of metrics may hold some
            raise FuzzError(f"{where}: {now} open files, {self.descriptors} at the start")
        self.resident.append(int(samples(self.vigie)["process_resident_memory_bytes"]))


def foreign_tags(received: bytes, own: str) -> set[bytes]:
    """Return the words of other sessions in what one received."""
    found = set(_TAG.findall(received)) - {own.encode()}
    return {one for one in found if tag_of(int(one[3:13], 16)).encode() == one}


def tag_of(number: int) -> str:
    """Return the word of a session; one that was damaged on its way is the word of none."""
    digits = f"{number:010x}"
    return f"tag{digits}{blake2b(digits.encode(), digest_size=4).hexdigest()}"


@contextmanager
def running() -> Iterator[Target]:
    """Start a laboratory that asks for no password, and Vigie before it."""
    settings = {"max_connections": "400"}
    with (
        tempfile.TemporaryDirectory(prefix="vigie-fuzz-") as folder,
        EmbeddedPostgres(settings=settings) as postgres,
    ):
        lab = create_lab(postgres.port, postgres.password, PATIENTS)
        table = "create table fuzzed (a text, b text); grant all on fuzzed to public"
        trust(postgres, table, lab.database)
        with process(postgres.port, Path(folder)) as vigie:
            target = Target(vigie, lab)
            target.look("at the start")
            yield target
            target.look("at the end")


@contextmanager
def process(
    upstream: int, folder: Path, *, site: Path = SITE, probe: str = "/readyz"
) -> Iterator[VigieProcess]:
    """Start a Vigie and end it; it must end by itself, with status 0. Errors: FuzzError."""
    vigie = VigieProcess(upstream, folder, site=site)
    vigie.start(probe)
    try:
        yield vigie
    except BaseException:
        vigie.stop()  # what went wrong is told, not how it ended after that
        raise
    status = vigie.stop()
    if status:
        raise FuzzError(f"vigie ended with status {status}:\n{vigie.log[-4000:]}")


def trust(postgres: EmbeddedPostgres, text: str, database: str = SUPERUSER) -> None:
    """Let a server ask for no password any more, and run this SQL in it."""
    dsn = f"host={HOST} port={postgres.port} user={SUPERUSER} password={postgres.password}"
    with psycopg.connect(f"{dsn} dbname={database}", autocommit=True) as connection:
        rules = f"copy (select '{_TRUST}') to '{postgres.base}/data/pg_hba.conf'"
        for one in (rules, "select pg_reload_conf()", text):
            connection.execute(one.encode())
