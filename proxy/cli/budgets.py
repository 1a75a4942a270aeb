"""``vigie budgets``: what is used of each budget, by whom, and when it comes back."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy import accel
from proxy.cli.columns import write_columns
from proxy.cli.loading import load
from proxy.cli.wording import word_window
from proxy.errors import ConfigurationError
from proxy.meter.book import Book
from proxy.meter.ledger import Ledger, tally_name
from proxy.meter.lines import Usage, usage_of, whose_of
from proxy.net import clock
from proxy.settings.load import MEMORY
from proxy.stores.moments import resume
from proxy.stores.sqlite import StateError, is_in_use, read_only, read_tallies, read_time
from proxy.terms.budget import Grouping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.cli.options import Options
    from proxy.meter.saved import SavedTally
    from proxy.policy import Policy
    from proxy.terms.budget import Budget


def show_budgets(options: Options, *, role: str | None, as_json: bool) -> int:
    """Write usage, the most used first, and return 0.

    Args:
        options: where settings and policy come from.
        role: of whom; None: of all.
        as_json: one JSON document in place of a table.

    Errors: ConfigurationError, if settings, policy or state cannot be read.
    """
    loaded = load(options)
    if loaded.settings.state == MEMORY:
        raise ConfigurationError(
            ["state memory: usage is in the process that runs; ask it by SQL: SHOW vigie.budget"]
        )
    path = Path(loaded.settings.state)
    try:
        with read_only(path) as reading:
            tallies, kept = read_tallies(reading), read_time(reading)
            runs = is_in_use(path)
            now = resume(kept, clock.moment())
            usages = _usage(tallies, loaded.policy, now, runs=runs)
            found = [usage for usage in usages if _is_of(usage, role)]
    except StateError as error:
        raise ConfigurationError([str(error)]) from None
    except ValueError as error:
        raise ConfigurationError([f"state {path}: {error}; restore a copy"]) from None
    found.sort(key=lambda one: (-_part(one), one.budget, one.window_seconds))
    if as_json:
        document = {
            "state": str(path),
            "running": runs,
            "budgets": [_as_json(one) for one in found],
        }
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    else:
        _show(found)
    return 0


def _usage(tallies: list[SavedTally], policy: Policy, now: float, *, runs: bool) -> Iterator[Usage]:
    """Give what is used, as far as it is kept, of the budgets that are in force."""
    ledger = Ledger(Book(new_subjects=accel.Subjects), offset_seconds=now)
    # what a process that runs has reserved is not used; of one that was killed it counts as used
    ledger.book.restore([replace(one, reserved=0) if runs else one for one in tallies], now)
    for saved in tallies:
        group = json.loads(saved.name)["per"]
        role = str(group.get(Grouping.ROLE.value, ""))
        budgets = _budgets_of(saved.name, group, role, policy)
        if budgets:
            groups = {Grouping(name): str(value) for name, value in group.items()}
            yield from usage_of(ledger.line(budgets, groups, role.rpartition("@")[0]), now)


def _budgets_of(name: str, group: dict[str, str], role: str, policy: Policy) -> list[Budget]:
    own = policy.budgets_for(role.rpartition("@")[0]) if role else policy.budgets
    return [one for one in own if tally_name(one, group.items()) == name]


def _is_of(usage: Usage, role: str | None) -> bool:
    return role is None or usage.role == role


def _part(usage: Usage) -> float:
    if usage.limit is None:
        return -1.0
    return usage.used / usage.limit if usage.limit else float(usage.used > 0)


def _show(found: list[Usage]) -> None:
    rows = [["budget", "whose", "counts", "used", "limit", "window", "comes back"]]
    rows += [
        [
            one.budget,
            " ".join(value for _, value in whose_of(one) if value) or "everyone",
            one.measure.value.replace("_", " "),
            str(one.used),
            "none" if one.limit is None else str(one.limit),
            word_window(one.window_seconds),
            "" if one.frees is None else f"{one.frees[0]} in {_word_seconds(one.frees[1])}",
        ]
        for one in found
    ]
    if found:
        write_columns(rows, right={3, 4, 5, 6})
    else:
        sys.stdout.write("nothing is used\n")


def _word_seconds(seconds: int) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{max(seconds, 0)} s"


def _as_json(one: Usage) -> dict[str, Any]:
    frees, seconds = one.frees or (None, None)
    return {
        "budget": one.budget,
        "measure": one.measure.value,
        "per": dict(one.group),
        "bound": one.bound,
        "used": one.used,
        "limit": one.limit,
        "window_seconds": one.window_seconds,
        "frees": frees,
        "frees_in_seconds": seconds,
    }
