"""Where and of what the figures were taken: commit, machine, versions. No path and no host name."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import proxy
from bench.targets import pgbouncer_version

if TYPE_CHECKING:
    from bench.laboratory import Database

ROOT: Final = Path(__file__).resolve().parents[1]
_PACKAGES: Final = ("postgast", "psycopg", "sqlglot", "uvloop")
_MEASURED: Final = ("proxy", "rules", "requirements.lock")


def describe(database: Database) -> dict[str, Any]:
    """Return what the JSON says beside the figures."""
    return {
        "commit": _commit(),
        "versions": {
            "vigie": proxy.__version__,
            "python": platform.python_version(),
            "postgresql": database.version,
            "pgbouncer": pgbouncer_version() or None,
            **{name: _version(name) for name in _PACKAGES},
        },
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2,
            "kernel": f"{platform.system()} {platform.release()}",
            "load_before": round(os.getloadavg()[0], 2),
        },
    }


def _commit() -> str | None:
    """Return the commit, with a mark if what is measured differs from it; None outside of git."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    return f"{commit} with changes" if _git("status", "--porcelain", "--", *_MEASURED) else commit


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], check=False, capture_output=True, text=True, cwd=ROOT
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()
