"""``python -m tests.prove``: as many random sequences as wanted, until one breaks the bound."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from proxy.errors import VigieError
from tests.prove import laboratory as prove
from tests.prove.machine import Ground, machine_on

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_BATCH: Final = 100  # sequences between two lines of progress
_STEPS: Final = 25
INTERRUPTED: Final = 130


def main(arguments: Sequence[str]) -> int:
    """Run the sequences; 1 as soon as one breaks the bound, which is then shown at its smallest."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    first = options.seed if options.seed is not None else secrets.randbits(32)
    began = time.monotonic()
    try:
        with (
            prove.opened() as planted,
            prove.running_vigie(
                planted.laboratory, shapes=options.shapes, masks=options.masks
            ) as vigie,
        ):
            ground = Ground(planted, vigie, 0 if options.masks else prove.BUDGET)
            for done in range(0, options.sequences, _BATCH):
                count = min(_BATCH, options.sequences - done)
                _say(f"sequences {done} to {done + count}, --seed {first + done}")
                _run(ground, count, first + done, shrinks=not options.unshrunk)
                counts = ", ".join(f"{n} {name}" for name, n in sorted(ground.totals().items()))
                _say(f"  no leak; {counts}; {time.monotonic() - began:.0f} s")
    except KeyboardInterrupt:
        _say("interrupted; everything it started has ended")
        return INTERRUPTED
    except AssertionError as error:
        _say(f"the bound is broken: {error}")
        for note in getattr(error, "__notes__", ()):
            _say(note)
        return 1
    except VigieError as error:
        _say(str(error))
        return 1
    _say(f"{options.sequences} sequences, no principal received more than its budget")
    return 0


def _run(ground: Ground, count: int, number: int, *, shrinks: bool) -> None:
    wanted = settings(
        max_examples=count,
        stateful_step_count=_STEPS,
        deadline=None,
        database=None,
        print_blob=False,
        phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(machine_on(ground)), settings=wanted)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.prove",
        description="Send random statements in random sessions; count the patients that arrive.",
        epilog="example: make prove ARGS='--sequences 10000'",
    )
    parser.add_argument("--sequences", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--seed", type=int, help="of the first sequence, to see one again")
    parser.add_argument(
        "--unshrunk", action="store_true", help="show what breaks the bound as it was found"
    )
    parser.add_argument(
        "--shapes",
        action="store_true",
        help="refuse by the shape of statements as shipped; else the budgets alone hold",
    )
    parser.add_argument(
        "--masks",
        choices=["whole", "partial", "hash"],
        help="mask every patient so, with no budget: none may arrive",
    )
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    sys.stdout.write(f"prove: {text}\n")
    sys.stdout.flush()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
