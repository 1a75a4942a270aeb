"""Run PostgreSQL's own programs at a place."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Final

from tests.suites.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.suites.place import Place

SECONDS: Final = 600
# What differs between two servers, or two runs, with nothing between: ports, folders, times,
# numbers of processes, transactions and relations.
_VARIES: Final = (
    (re.compile(r'port \d+|"port=\d+"'), "port N"),
    (re.compile(r"/\S*vigie-suite-\w+/(direct|through)\S*?(?=/|\b)"), "FOLDER"),
    (re.compile(r"/\S*vigie-pg-\w+"), "SERVER"),
    (re.compile(r"PID \d+|pid[ =]\d+|(?i:process) \d+"), "PID N"),
    (re.compile(r"127\.0\.0\.1:\d+"), "HOST:N"),
    (re.compile(r"(?i)(time|latency[a-z ]*|tps|connection time)( =|:) *[\d.]+.*"), r"\1 T"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?([+-]\d\d| \w{3,4})?"), "NOW"),
)


def run(
    place: Place,
    program: str,
    *arguments: str,
    text: str | bytes = b"",
    database: str = "postgres",
    seconds: int = SECONDS,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program of the server's version to its end; status 124 when it does not end."""
    try:
        return subprocess.run(
            [place.binaries.path(program), *arguments],
            check=False,
            capture_output=True,
            input=text.encode() if isinstance(text, str) else text,
            env={**place.environment, "PGDATABASE": database},
            cwd=place.folder,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        shown = (error.stdout or b"") + (error.stderr or b"")
        return subprocess.CompletedProcess([program], 124, shown, b"no end in time")


def outcome(
    done: subprocess.CompletedProcess[bytes], *, answer: bytes | str | None = None
) -> Outcome:
    """Return how it ended. ``answer``: what has to be equal, by default all that it printed."""
    output = settled(done.stdout + b"\n" + done.stderr)
    told = output if answer is None else settled(answer)
    return Outcome(done.returncode == 0, f"status {done.returncode}\n{told}", output)


def settled(output: bytes | str) -> str:
    """Return an output without what differs from run to run."""
    text = output if isinstance(output, str) else output.decode("utf-8", "backslashreplace")
    for pattern, replacement in _VARIES:
        text = pattern.sub(replacement, text)
    return text


def must(place: Place, texts: Iterable[str], database: str = "postgres") -> None:
    """Run SQL that prepares a part. Errors: SystemExit with psql's output."""
    done = run(place, "psql", "-qXv", "ON_ERROR_STOP=1", text="\n".join(texts), database=database)
    if done.returncode:
        raise SystemExit(f"the preparation of a suite failed:\n{done.stderr.decode()}")
