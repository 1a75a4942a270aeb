"""``python -m tests.sqlmap``: sqlmap dumps the patients through a vulnerable application.

For each technique it has five minutes, first through Vigie, with ``--direct`` also without.
"""

from __future__ import annotations

import argparse
import collections
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.demo.postgres import HOST
from proxy.demo.tap import Tap
from tests.score import judge
from tests.score.laboratory import opened_laboratory
from tests.sqlmap.application import Application

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.score.laboratory import Laboratory

import psycopg

ROLE: Final = "lims_app"
MOST: Final = 50  # patients; as many are too many
TECHNIQUES: Final = {
    "U": "UNION",
    "E": "errors",
    "S": "stacked statements",
    "B": "yes or no",
    "T": "time",
}
_NIR: Final = re.compile(rb"(?=([12][0-9]{14}))")
_SAID: Final = re.compile(r"(?:Rule|Budget) (\w+)")


def main(arguments: Sequence[str]) -> int:
    """Run the techniques; 1 if one gets as many patients as are too many."""
    options = _options(arguments)
    failed = []
    with opened_laboratory() as (laboratory, _):
        for technique in options.techniques:
            if options.direct:
                _say(technique, "direct", *_attack(laboratory, laboratory.port, technique, options))
            with judge.running_vigie(laboratory) as vigie:
                patients, what = _attack(laboratory, vigie.port, technique, options)
            _say(technique, "through Vigie", patients, what)
            if patients >= MOST:
                failed.append(TECHNIQUES[technique])
    verdict = f"{', '.join(failed)}: {MOST} patients or more" if failed else "passed"
    sys.stdout.write(f"sqlmap: {verdict}\n")
    return 1 if failed else 0


def _attack(
    laboratory: Laboratory, port: int, technique: str, options: argparse.Namespace
) -> tuple[int, str]:
    """Let sqlmap have its time; returns how many patients it has, and what happened."""

    def connect() -> psycopg.Connection:
        return psycopg.connect(
            host=HOST, port=tap.port, user=ROLE, dbname=laboratory.database, autocommit=True
        )

    known = frozenset(nir.encode() for nir in laboratory.nirs)
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="vigie-sqlmap-") as folder,
        Tap(port) as tap,
        Application(connect) as application,
    ):
        url = f"http://{HOST}:{application.port}/patient?id=1"
        command = [
            *(sys.executable, str(options.sqlmap), "-u", url, "-p", "id", "--dbms=PostgreSQL"),
            *(f"--technique={technique}", "--batch", "--dump", "-D", "lab", "-T", "patient"),
            *("-C", "nir,last_name", "--output-dir", folder, "--time-sec=1", "--disable-coloring"),
            *("--timeout=10", "--retries=1", "--ignore-code=500"),
        ]
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, timeout=options.seconds, cwd=folder
            )
            said = done.stdout
        except subprocess.TimeoutExpired as error:
            said = error.stdout or b""
        kept = b"".join(path.read_bytes() for path in Path(folder).rglob("*") if path.is_file())
        # what came over the wire, and what was put together from questions
        found = {match[1] for match in _NIR.finditer(said + kept)} & known
        refused = collections.Counter(
            m[1] for detail in application.refusals if (m := _SAID.search(detail))
        )
        asked = application.requests
    found |= tap.subjects(known)
    named = ", ".join(f"{rule} {count} times" for rule, count in refused.most_common(4))
    what = f"{asked} requests in {time.monotonic() - began:.0f} s; {named or 'nothing was refused'}"
    return len(found), what


def _say(technique: str, where: str, patients: int, what: str) -> None:
    name = TECHNIQUES[technique]
    sys.stdout.write(f"sqlmap: by {name:18} {where:14} {patients:6} patients; {what}\n")
    sys.stdout.flush()


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.sqlmap",
        description="Let sqlmap dump the patients through an application with a hole.",
        epilog="example: make sqlmap ARGS='--techniques SU --seconds 120 --direct'",
    )
    parser.add_argument("--sqlmap", type=Path, required=True, help="the file sqlmap.py")
    parser.add_argument("--techniques", default="UESBT", help="of U, E, S, B, T")
    parser.add_argument("--seconds", type=float, default=300.0, help="for each (300)")
    parser.add_argument("--direct", action="store_true", help="also without Vigie")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
