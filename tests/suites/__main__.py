"""Run other people's suites direct and through Vigie, and show what differs.

    make suites                              # all of them, on PostgreSQL 15
    make suites ARGS="pg8000 pgbench"        # some
    make suites ARGS="pg8000 --pg 15 --pg 18"

Vigie enforces the shipped rules; the role of the suites is one that may do anything, in databases
without a patient. A part that passes direct and fails through Vigie, or answers otherwise, is
shown with its output, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.suites import (
    client_programs,
    pgbench_modes,
    psql_scripts,
    python_suites,
    unittest_suites,
)
from tests.suites.outcome import differences
from tests.suites.place import placed

if TYPE_CHECKING:
    from tests.suites.outcome import Outcomes, Suite

SUITES: Final[dict[str, Suite]] = {
    "programs": client_programs.programs,
    "pgbench": pgbench_modes.pgbench,
    "psql": psql_scripts.psql,
    "pg8000": python_suites.pg8000,
    "asyncpg": python_suites.asyncpg,
    "sqlalchemy": python_suites.sqlalchemy,
    "psycopg2": unittest_suites.psycopg2,
    "django": unittest_suites.django,
    "regress": psql_scripts.regress,
}


# Lines of Vigie's log that are about faults and refusals.
_TOLD: Final = re.compile(r"^.*(?: ERROR | WARNING (?!finding \w+: flag)).*$", re.MULTILINE)


def main(arguments: list[str]) -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="make suites",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--pg", action="append", help="version of PostgreSQL; default 15")
    asked = parser.parse_args(arguments)
    unknown = set(asked.suites) - set(SUITES)
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    rows, failed = [], 0
    for version in asked.pg or ["15"]:
        for name in asked.suites or SUITES:
            began = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="vigie-suite-") as folder:
                found, direct, through = compare(SUITES[name], version, Path(folder))
            if not _passed(direct):
                found["(all)"] = "nothing passes direct: the suite itself does not run"
                found |= {name: one.output[-2000:] for name, one in [*direct.items()][:3]}
            failed += len(found)
            for part, shown in found.items():
                print(f"--- {name} {version}: {part}\n{shown}\n")
            counts = f"{_passed(direct):>5} {_passed(through):>8} {len(direct):>6} {len(found):>10}"
            rows.append(f"{name:<11} {version:>4} {counts} {time.monotonic() - began:>8.0f}")
            print(rows[-1], flush=True)
    print("\nsuite         pg direct  through  parts difference  seconds")
    print("\n".join(rows))
    return 1 if failed else 0


def compare(suite: Suite, version: str, folder: Path) -> tuple[dict[str, str], Outcomes, Outcomes]:
    """Run a suite both ways, each at a server of its own; what differs is tried once more."""
    with placed(version, folder / "direct", through=False) as place:
        direct = suite(place)
    with placed(version, folder / "through", through=True) as place:
        through = suite(place)
        log = place.vigie.log if place.vigie else ""
    found = differences(direct, through)
    if found:
        found["(log of Vigie)"] = "\n".join(_TOLD.findall(log)[:100])
    return found, direct, through


def _passed(outcomes: Outcomes) -> int:
    return sum(outcome.passed for outcome in outcomes.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
