"""``vigie demo``: a laboratory, Vigie in front of it, a morning's work, attacks, one table."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from proxy.demo.attacks import ATTACKS, carry_out
from proxy.demo.binaries import find_binaries
from proxy.demo.desk import Papers
from proxy.demo.lab import PATIENTS, ROLES, SEED, Lab, create_lab
from proxy.demo.postgres import EmbeddedPostgres
from proxy.demo.progress import Stages
from proxy.demo.report import Findings, show
from proxy.demo.vigie_process import VigieProcess
from proxy.demo.work import SCENES, play
from proxy.errors import VigieError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from proxy.demo.desk import Timing

PIPED_COLUMNS: Final = 140
INTERRUPTED: Final = 130
SETTINGS: Final = {  # nothing is replicated, and what is loaded is analysed by us
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}
DIRECT, THROUGH = 0, 1
TO_TRY: Final = (
    ("one patient, as the application asks: passes", "lims_app",
     "select last_name, first_name from lab.patient where id = 42"),
    ("everybody: refused before it runs", "lims_app", "select * from lab.patient"),
    ("everybody in one row: refused", "lims_app", "select json_agg(p) from lab.patient p"),
    ("figures for the wall: pass, for nobody is in them", "dashboard",
     "select analyse_code, count(*) from lab.resultat group by 1"),
    ("the administrator has a budget too", "dba", "table lab.mv_patient"),
)  # fmt: skip


def run_demo(
    patients: int = PATIENTS,
    *,
    keep: bool = False,
    as_json: bool = False,
    seed: int = SEED,
    pg: str | None = None,
) -> int:
    """Run the demonstration and return the exit status: 0 if all is as promised, else 1.

    Args:
        patients: how many the laboratory has.
        keep: leave everything running until Ctrl-C.
        as_json: print one JSON document on standard output; progress goes to standard error.
        seed: of the data.
        pg: which PostgreSQL, as for ``find_binaries``.
    """
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console = Console(stderr=as_json, width=PIPED_COLUMNS)
    try:
        with _ended_by_signals(), ExitStack() as stack:
            postgres, lab, vigie = _start(stack, console, patients, seed, pg)
            with Stages(console) as stages:
                findings = _measure(str(postgres.binaries), lab, vigie, stages)
            if as_json:
                print(json.dumps(findings.as_json(), indent=2), flush=True)
            else:
                show(findings, console)
                _look_next(console, lab, vigie, keep=keep)
            status = 1 if findings.failures() else 0
            if keep:
                _wait(console, vigie)
            return status
    except KeyboardInterrupt:
        console.print("vigie demo: interrupted; everything it started has ended")
        return INTERRUPTED
    except VigieError as error:
        console.print(f"vigie demo: {error}", markup=False, highlight=False, soft_wrap=True)
        return 1


def _start(
    stack: ExitStack, console: Console, patients: int, seed: int, pg: str | None
) -> tuple[EmbeddedPostgres, Lab, VigieProcess]:
    """Start PostgreSQL, fill it, start Vigie before it; ``stack`` ends them."""
    binaries = find_binaries(pg)
    console.print(f"{binaries}", highlight=False, soft_wrap=True)
    postgres = stack.enter_context(EmbeddedPostgres(binaries, settings=SETTINGS))
    with Stages(console) as stages:
        lab = create_lab(
            postgres.port,
            postgres.password,
            patients,
            seed=seed,
            programs=postgres.binaries.folder,
            progress=lambda what, done, of: stages(f"laboratory of {patients:,}: {what}", done, of),
        )
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigie-demo-")))
    vigie = VigieProcess(postgres.port, folder)
    stack.callback(vigie.stop)
    vigie.start()
    console.print(f"Vigie listens on port {vigie.port}, enforcing", highlight=False)
    return postgres, lab, vigie


def _measure(postgres: str, lab: Lab, vigie: VigieProcess, stages: Stages) -> Findings:
    """Do the work, then the attacks, each both ways."""
    ports = (lab.port, vigie.port)
    work: tuple[list[Timing], list[Timing]] = ([], [])
    papers = Papers.of(lab)
    for number, scene in enumerate(SCENES):
        stages("a morning's work, both ways", number, len(SCENES))
        # In turns, so that neither way always finds the pages already read.
        for way in (DIRECT, THROUGH) if number % 2 else (THROUGH, DIRECT):
            work[way].extend(play(scene, lab, ports[way], papers, way))
    known = lab.keys()
    attacks = []
    for number, attack in enumerate(ATTACKS):
        stages(f"attack {number + 1} of {len(ATTACKS)}: {attack.title}")
        direct, through = (carry_out(attack, lab, port, known) for port in ports)
        attacks.append((direct, through))
    stages("done")
    return Findings(postgres, lab.patients, attacks, *work)


def _look_next(console: Console, lab: Lab, vigie: VigieProcess, *, keep: bool) -> None:
    """Say where to look: what is still running, or how to keep it running."""

    def say(text: str = "") -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    say("\nWhere to look next")
    say('  vigie explain "select * from lab.patient"   facts, score and verdict of a statement')
    say("  rules/sites/lab-demo/                        the schema map and budgets used here")
    if not keep:
        say("  vigie demo --keep                            leaves all of it running for you")
        return
    say(f"  {vigie.http}/metrics")
    say(f"  {vigie.audit}   one line per finding")
    say("\nConnect through Vigie")
    for role in ROLES:
        say(f"  {_psql(lab, role, vigie.port)}")
    say("\nThings to try")
    for what, role, sql in TO_TRY:
        say(f"  # {what}\n  {_psql(lab, role, vigie.port)} -c {shlex.quote(sql)}")


def _psql(lab: Lab, role: str, port: int) -> str:
    program = shlex.quote(str(lab.programs / "psql"))
    return f"PGPASSWORD={lab.passwords[role]} {program} -h {lab.host} -p {port} -U {role} lab"


def _wait(console: Console, vigie: VigieProcess) -> None:
    """Wait for Ctrl-C, or for Vigie to end."""
    console.print("\nEverything stays up until Ctrl-C.")
    try:
        while vigie.is_running:
            time.sleep(0.5)
    except KeyboardInterrupt:
        return
    console.print(f"Vigie ended by itself:\n{vigie.log[-2000:]}", markup=False)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Make SIGTERM end us as Ctrl-C does, and let nothing interrupt the clearing up."""

    def end(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        sys.stdout.flush()
        for number, was in before.items():
            signal.signal(number, was)
