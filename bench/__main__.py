"""``python -m bench``: measure, print the tables, write JSON and a plot."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from bench import laboratory, machine, plot, report
from bench.copy_relay import CopyRelay, compiler
from bench.model import QUICK, BenchError, Scale
from bench.rounds import all_measures, take
from bench.targets import Direct, PgBouncer, Vigie, pgbouncer_path
from proxy.demo.binaries import find_binaries
from proxy.demo.postgres import EmbeddedPostgres
from proxy.errors import VigieError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from bench.model import Measure
    from bench.targets import Target

RESULTS: Final = Path(__file__).resolve().parent / "results"
PIPED_COLUMNS: Final = 170
INTERRUPTED: Final = 130


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark and return the exit status."""
    options = _options(arguments)
    scale = QUICK if options.quick else Scale()
    scale = replace(scale, rounds=options.rounds or scale.rounds)
    signal.signal(signal.SIGTERM, _interrupt)  # what was started is ended in order
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_COLUMNS)
    try:
        measures = _chosen(all_measures(scale), options.only)
        whole = not options.quick and not options.only
        out = options.json or (RESULTS / "latest.json" if whole else None)
        _run(measures, scale, out, console)
    except KeyboardInterrupt:
        console.print("bench: interrupted; everything it started has ended")
        return INTERRUPTED
    except VigieError as error:
        console.print(f"bench: {error}", markup=False, soft_wrap=True)
        return 1
    return 0


def _run(measures: Sequence[Measure], scale: Scale, out: Path | None, console: Console) -> None:
    began = time.monotonic()

    def tell(text: str) -> None:
        console.print(f"{time.monotonic() - began:6.1f} s  {text}", markup=False, highlight=False)

    with ExitStack() as stack:
        postgres = stack.enter_context(
            EmbeddedPostgres(find_binaries(), settings=laboratory.SETTINGS)
        )
        tell(f"PostgreSQL {postgres.binaries.version}; a laboratory of {scale.patients:,} patients")
        database = laboratory.fill(postgres, scale)
        about = machine.describe(database)
        tell(f"{database.results:,} results, {database.accounts:,} accounts of pgbench")
        tell(
            f"role {laboratory.ROLE}: shipped rules and the demonstration's site, enforcing; "
            "budgets of its own that are charged for every row and never spent"
        )
        targets = _start_targets(database, stack, tell)
        about["kernel"] = next(t.kernel for t in targets if isinstance(t, Vigie))
        tell(f"Vigie's kernel: {about['kernel']}")
        samples = take(measures, targets, scale.rounds, tell)
    report.show(console, measures, samples)
    tell("done")
    if out is not None:
        found = report.document(measures, samples, scale, about)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(report.to_json(found), "utf-8")
        out.with_suffix(".svg").write_text(plot.draw(measures, samples, about), "utf-8")
        tell(f"written: {out.name} and {out.with_suffix('.svg').name}")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _start_targets(
    database: laboratory.Database, stack: ExitStack, tell: Callable[[str], None]
) -> list[Target]:
    """Start every target; ``stack`` ends them."""
    targets: list[Target] = [Direct(database)]
    if pgbouncer_path():
        targets += [PgBouncer(database, "session"), PgBouncer(database, "transaction")]
    else:
        tell("pgbouncer is not installed (apt-get install pgbouncer): going on without it")
    if compiler():
        targets.append(CopyRelay(database))
    else:
        tell("no C compiler (apt-get install gcc): going on without the relay that only copies")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigie-bench-")))
    targets.append(Vigie(database, laboratory.make_site(folder), folder))
    for target in targets:
        stack.enter_context(target)
    return targets


def _chosen(measures: Sequence[Measure], only: Sequence[str]) -> list[Measure]:
    """Return the measures that are named, or whose group is. Errors: BenchError if none is."""
    found = [m for m in measures if not only or m.name in only or m.group in only]
    if not found:
        names = dict.fromkeys(name for m in measures for name in (m.group, m.name))
        raise BenchError(f"no measure is called {', '.join(only)}, expected {', '.join(names)}")
    return found


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, under two minutes")
    parser.add_argument("--rounds", type=int, default=0, help="how often everything is measured")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a measure or group; repeat"
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="also writes OUT with .svg")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
