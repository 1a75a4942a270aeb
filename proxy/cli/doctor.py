"""``vigie doctor``: whether this deployment holds what Vigie promises, and what to do where not."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

from proxy.cli.complaints import one_line
from proxy.cli.doctor_database import look_at_database
from proxy.cli.doctor_files import Level, Told, look_at_files
from proxy.cli.loading import load
from proxy.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.cli.options import Options

_WORDS: Final = {Level.OK: "ok", Level.WARN: "warn", Level.FAIL: "fail"}


def examine(options: Options, *, against: str | None, as_json: bool, strict: bool) -> int:
    """Write a line for each thing that was looked at; 1 if one fails, or warns if ``strict``.

    Args:
        options: of the settings and rules.
        against: the database, asked itself; None: it is not asked.
        as_json: JSON instead of lines.
        strict: a warning is a failure.
    """
    found = list(_look(options, against))
    counts = Counter(one.level for one in found)
    fails = bool(counts[Level.FAIL] or (strict and counts[Level.WARN]))
    if as_json:
        document = {
            "ok": not fails,
            "checks": [
                {"level": _WORDS[one.level], "about": one.about, "what": one.what, "next": one.todo}
                for one in found
            ],
        }
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        return int(fails)
    for one in found:
        sys.stdout.write(f"{_WORDS[one.level]:<4}  {one.about:<12}  {one_line(one.what)}\n")
        if one.todo:
            sys.stdout.write(f"{'':<20}next: {one_line(one.todo)}\n")
    told = ", ".join(f"{counts[level]} {word}" for level, word in _WORDS.items())
    sys.stdout.write(f"{told}\n")
    return int(fails)


def _look(options: Options, against: str | None) -> Iterator[Told]:
    try:
        loaded = load(options, with_certificates=True)
    except ConfigurationError as error:
        for problem in error.problems:
            yield Told(Level.FAIL, "settings", problem, "vigie check tells all of it")
        return
    yield from look_at_files(loaded)
    if against is None:
        todo = "--against postgresql://vigie_doctor@HOST:PORT/DATABASE, see docs/doctor.md"
        yield Told(Level.WARN, "database", "was not asked", todo)
        return
    yield from look_at_database(loaded, against)
