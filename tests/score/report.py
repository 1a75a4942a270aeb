"""The score as people read it: lines while it runs, tables at the end, Markdown to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from tests.score.model import FEW, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.score.model import AttackResult, BenignResult, Summary

_TITLE_WIDTH = 46


def attack_line(result: AttackResult) -> str:
    """Return what became of an attack, in one line."""
    limit = "any" if result.budget is None else f"{result.budget}"
    mark = "FAULT" if result.fault else "ok"
    why = result.fault or _stop(result)
    return (
        f"{result.id} {result.title[:_TITLE_WIDTH]:{_TITLE_WIDTH}} {result.role:9} "
        f"{result.direct:>6} -> {result.leaked:>4} of {limit:>4}  {mark:5} {why}"
    )


def benign_line(result: BenignResult) -> str:
    """Return what became of a piece of work, in one line."""
    mark = "FAULT" if result.fault else "ok"
    why = result.fault or result.touched or "untouched"
    return (
        f"{result.id} {result.title[:_TITLE_WIDTH]:{_TITLE_WIDTH}} {result.role:10} "
        f"expected {result.expected:5}  {mark:5} {why}"
    )


def summary_table(attacks: Sequence[AttackResult], work: Sequence[BenignResult]) -> Table:
    """Return the figures as a table for a terminal."""
    table = Table("figure", "value", title="Score")
    for name, value in _figures(summarise(attacks, work)):
        table.add_row(name, value)
    return table


def markdown(attacks: Sequence[AttackResult], work: Sequence[BenignResult], made_with: str) -> str:
    """Return everything as a document; ``made_with``: the command and what ran."""
    lines = ["# Score", "", made_with, "", "| figure | value |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in _figures(summarise(attacks, work))]
    lines += ["", "## Attacks", ""]
    lines += ["| id | technique | attack | role | direct | with Vigie | budget | stopped by |"]
    lines += ["|---|---|---|---|--:|--:|--:|---|"]
    lines += [
        f"| {r.id} | {r.technique} | {_cell(r.title)} | {r.role} | {r.direct:,} | {r.leaked:,} | "
        f"{'any' if r.budget is None else f'{r.budget:,}'} | {_cell(r.fault or _stop(r))} |"
        for r in attacks
    ]
    lines += ["", "## Work", "", "| id | category | work | role | expected | touched |"]
    lines += ["|---|---|---|---|---|---|"]
    lines += [
        f"| {r.id} | {r.category} | {_cell(r.title)} | {r.role} | {r.expected} | {_touch(r)} |"
        for r in work
    ]
    return "\n".join([*lines, ""])


def _stop(result: AttackResult) -> str:
    """Say what stopped it; without its finding, which is another at each run."""
    if result.stopped_by:
        return f"{result.stopped_by} {result.message}"
    if result.message:
        return f"the database itself: {result.message}"
    return "within its budget" if result.leaked else "nothing arrived"


def _touch(result: BenignResult) -> str:
    return f"{result.touched}: {', '.join(result.findings)}" if result.touched else ""


def _figures(found: Summary) -> list[tuple[str, str]]:
    return [
        ("attacks", f"{found.attacks}"),
        ("caught: under a tenth of what leaves without", f"{found.caught_percent} %"),
        ("no patient at all", f"{found.nothing_percent} %"),
        (f"fewer than {FEW} patients", f"{found.few_percent} %"),
        ("patients leaked, all attacks together", f"{found.leaked:,} = {found.leaked_percent} %"),
        ("patients leaked by the median attack", f"{found.median_leaked:g}"),
        ("largest leak", f"{found.largest_leak:,}"),
        ("attacks over the budget of their role", f"{found.over_budget}"),
        ("pieces of work", f"{found.work}"),
        ("work blocked or changed", f"{found.disturbed_percent} %"),
        ("work flagged, of which unexpectedly", f"{found.flagged}, {found.flagged_unexpectedly}"),
        (
            "opaque statements, of the attacks'",
            f"{found.opaque_in_attacks_percent} %",
        ),
        (
            "opaque statements, of the work's",
            f"{found.opaque_in_work_percent} %",
        ),
        ("net: caught minus disturbed", f"{found.net:+.1f}"),
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
