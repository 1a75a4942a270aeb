"""Where a suite runs: at a PostgreSQL of its own, direct or through a Vigie in front of it."""

from __future__ import annotations

import datetime as dt
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.demo.binaries import Binaries, find_binaries
from proxy.demo.postgres import HOST, SUPERUSER, EmbeddedPostgres
from proxy.demo.vigie_process import VigieProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

SITE: Final = Path(__file__).parent / "site"
_SETTINGS: Final = {
    "max_connections": "150",
    "max_prepared_transactions": "10",
    "wal_level": "logical",
    "log_statement": "all",
    "max_locks_per_transaction": "256",
}
_DOORS: Final = ("EX120", "EX121", "EX122", "EX123", "EX124", "EX125", "EX126", "EX127")
_OTHERS: Final = ("EX128", "EX129", "EX130", "EX903", "EX911", "EX912")


@dataclass(frozen=True, slots=True)
class Place:
    """One server with nothing in it yet; ``port`` is Vigie's where there is one."""

    port: int
    password: str
    binaries: Binaries
    folder: Path  # for files of the run
    vigie: VigieProcess | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What libpq, asyncpg and pg8000 read."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
            "PGHOST": HOST,
            "PGPORT": str(self.port),
            "PGUSER": SUPERUSER,
            "PGPASSWORD": self.password,
            "PGDATABASE": SUPERUSER,
            "PGSSLMODE": "disable",
            "PSQLRC": os.devnull,
            "LC_ALL": "C",
            "PATH": f"{self.binaries.folder}{os.pathsep}{os.environ['PATH']}",
        }


@contextmanager
def placed(version: str, folder: Path, *, through: bool) -> Iterator[Place]:
    """Start a server, and Vigie in front of it if asked for; both end with the context.

    Errors: NoPostgresError, VigieDidNotStartError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with EmbeddedPostgres(find_binaries(version), settings=_SETTINGS) as postgres:
        if not through:
            yield Place(postgres.port, postgres.password, postgres.binaries, folder)
            return
        process = VigieProcess(
            postgres.port,
            folder,
            site=site_until_tomorrow(folder),
            environment={"VIGIE_LIMITS__CONNECTIONS": "1000"},  # the files of any machine suffice
        )
        process.start()
        try:
            yield Place(process.port, postgres.password, postgres.binaries, folder, process)
        finally:
            status = process.stop()
        if status or "Traceback" in process.log:
            raise SystemExit(f"vigie ended with status {status}; its log:\n{process.log[-6000:]}")


def site_until_tomorrow(folder: Path) -> Path:
    """Return a copy of the site with exceptions that end tomorrow: a site's may not last."""
    tomorrow = dt.datetime.now(tz=dt.UTC).date() + dt.timedelta(days=1)
    made = folder / "site"
    made.mkdir()
    for path in SITE.glob("*.yaml"):
        (made / path.name).write_bytes(path.read_bytes())
    entries = "".join(
        f"  - rule: {rule}\n    unless: {{role: {{is: {SUPERUSER}}}}}\n    owner: the suites\n"
        f"    expires: {tomorrow}\n    why: A suite tries everything that the server can do.\n"
        for rule in (*_DOORS, *_OTHERS)
    )
    (made / "exceptions.yaml").write_text(f"format: 1\nexceptions:\n{entries}")
    return made
