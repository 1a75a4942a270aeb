"""``python -m tests.score``: every attack and all the work, direct and through Vigie."""

from __future__ import annotations

import argparse
import json
import platform
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

import proxy
from proxy.demo.binaries import find_binaries
from proxy.demo.vigie_process import SITE
from proxy.errors import VigieError
from tests.score import judge, report
from tests.score.cases import ATTACKS, BENIGN, read_attacks, read_benign
from tests.score.laboratory import opened_laboratory
from tests.score.model import Judged, as_document

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from tests.score.cases import Attack, Benign
    from tests.score.model import AttackResult, BenignResult

RESULTS: Final = Path(__file__).resolve().parent / "results"
PIPED_COLUMNS: Final = 170
INTERRUPTED: Final = 130


def main(arguments: Sequence[str]) -> int:
    """Run the score; 1 if a leak is over its budget or work is touched unexpectedly."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _interrupt)  # what was started is ended in order
    console = Console(width=None if sys.stdout.isatty() else PIPED_COLUMNS, highlight=False)
    chosen = set(options.only.split(",")) if options.only else None
    attacks = [a for a in read_attacks(options.attacks) if chosen is None or a.id in chosen]
    work = [b for b in read_benign(options.benign) if chosen is None or b.id in chosen]
    try:
        stopped, done = _run(attacks, work, options.site, console)
    except KeyboardInterrupt:
        console.print("score: interrupted; everything it started has ended")
        return INTERRUPTED
    except VigieError as error:
        console.print(f"score: {error}", markup=False, soft_wrap=True)
        return 1
    _write(stopped, done, options)
    console.print(report.summary_table(stopped, done))
    faults = [f"{result.id}: {result.fault}" for result in stopped if result.fault]
    faults += [f"{result.id}: {result.fault}" for result in done if result.fault]
    for fault in faults:
        console.print(fault, markup=False, soft_wrap=True)
    console.print(f"score: {f'{len(faults)} cases failed' if faults else 'passed'}")
    return 1 if faults else 0


def _run(
    attacks: Sequence[Attack], work: Sequence[Benign], site: Path, console: Console
) -> tuple[list[AttackResult], list[BenignResult]]:
    policy = judge.load_site(site)
    stopped: list[AttackResult] = []
    done: list[BenignResult] = []
    console.print(f"score: {len(attacks)} attacks, {len(work)} pieces of work", markup=False)
    with opened_laboratory() as (laboratory, folder):
        with judge.Vigies(laboratory, site) as vigies:
            for number, attack in enumerate(attacks, 1):
                vigie = vigies.fresh()
                before = judge.judged_by(vigie)
                result = judge.judge_attack(attack, laboratory, policy, folder / "leak", vigie)
                result = replace(result, judged=_since(before, judge.judged_by(vigie)))
                stopped.append(result)
                _tell(console, number, len(attacks), report.attack_line(result))
        with judge.running_vigie(laboratory, site) as vigie:
            for number, case in enumerate(work, 1):
                before = judge.judged_by(vigie)
                outcome = judge.judge_benign(case, laboratory, vigie)
                outcome = replace(outcome, judged=_since(before, judge.judged_by(vigie)))
                done.append(outcome)
                _tell(console, number, len(work), report.benign_line(outcome))
    return stopped, done


def _since(before: Judged, after: Judged) -> Judged:
    return Judged(after.statements - before.statements, after.opaque - before.opaque)


def _tell(console: Console, number: int, count: int, line: str) -> None:
    console.print(f"{number:3}/{count} {line}", markup=False, soft_wrap=True)


def _write(
    attacks: Sequence[AttackResult], work: Sequence[BenignResult], options: argparse.Namespace
) -> None:
    document = as_document(attacks, work)
    versions = {
        "vigie": proxy.__version__,
        "commit": _commit(),
        "postgresql": find_binaries().version,
        "python": platform.python_version(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"made_with": versions, **document}, indent=1) + "\n")
    made_with = (
        f"`make score` with Vigie {versions['vigie']}, PostgreSQL {versions['postgresql']}, "
        f"the site `{options.site.name}`, {len(attacks)} attacks and {len(work)} pieces of work."
    )
    options.json.with_suffix(".md").write_text(report.markdown(attacks, work, made_with))


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], check=False, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.score",
        description="Run every attack and all the work of the corpus direct and through Vigie.",
        epilog="example: make score ARGS='--only E001,B001 --json /tmp/score.json'",
    )
    parser.add_argument("--only", help="ids, with commas between", metavar="IDS")
    parser.add_argument("--attacks", type=Path, default=ATTACKS, help="another file of attacks")
    parser.add_argument("--benign", type=Path, default=BENIGN, help="another file of work")
    parser.add_argument("--site", type=Path, default=SITE, help="another site's rules")
    parser.add_argument("--json", type=Path, help="where results go; the Markdown beside it")
    options = parser.parse_args(arguments)
    whole = not options.only and (options.attacks, options.benign) == (ATTACKS, BENIGN)
    options.json = options.json or (RESULTS if whole else Path("build")) / "latest.json"
    return options


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
