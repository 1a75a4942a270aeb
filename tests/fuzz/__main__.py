"""Fuzz Vigie: both directions of a running one, its decoders, and sessions side by side.

    make fuzz                                    # five minutes
    make fuzz ARGS="--minutes 60 --seed 7"
    make fuzz ARGS="frontend --seed 1234 --once" # one session again, as an error named it

It ends with status 1 at the first crash, hang, error of Vigie's own, growth of open files or
sessions, or byte of one session in another; the message has the seed. Each round has its own
seeds; memory is shown after each, and may not rise from the second round to the last by more than
its caches may hold.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections import Counter
from typing import Final

from tests.fuzz.backend import fuzz_backend, upstream
from tests.fuzz.crowd import crowd
from tests.fuzz.cuts import OFFSETS, cut_at, half_open
from tests.fuzz.decoders import fuzz_decoders
from tests.fuzz.frontend import fuzz_frontend
from tests.fuzz.running import FuzzError, Target, running
from tests.fuzz.same import fuzz_same, side_by_side

PARTS: Final = ("frontend", "backend", "same", "cuts", "crowd", "decoders")
GROWTH_BYTES: Final = 400 << 20  # what the caches of facts, judgements and lanes may come to hold
_MIB: Final = 1 << 20


def main(arguments: list[str]) -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="make fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--once", action="store_true", help="the session of this seed and no other")
    parser.add_argument("--sessions", type=int, default=10_000, help="of the crowd, in all")
    asked = parser.parse_args(arguments)
    parts = asked.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    try:
        asyncio.run(_once(parts, asked.seed) if asked.once else _all(parts, asked))
    except BaseExceptionGroup as group:
        print("\n".join(str(error) for error in group.exceptions))
        return 1
    except FuzzError as error:
        print(error, error.__cause__ or "")
        return 1
    return 0


async def _once(parts: list[str], seed: int) -> None:
    if "frontend" in parts:
        with running() as target:
            await fuzz_frontend(target, [seed])
            await asyncio.to_thread(target.look, f"frontend seed {seed}")
    if "backend" in parts:
        async with upstream() as target:
            await fuzz_backend(target, [seed])
    if "same" in parts:
        with side_by_side() as (target, direct):
            await fuzz_same(target, direct, [seed])


async def _all(parts: list[str], asked: argparse.Namespace) -> None:
    began = time.monotonic()
    deadline = began + asked.minutes * 60
    with running() as target, side_by_side() as (permissive, direct):
        async with upstream() as faked:
            rounds = _Rounds(target, faked, (permissive, direct), asked)
            while time.monotonic() < deadline or not rounds.number:
                await rounds.run(parts)
                for one, name in ((target, "database"), (faked, "fake")):
                    await asyncio.to_thread(one.look, f"round {rounds.number}")
                    _expect_no_growth(one, name)
                held = " ".join(f"{one.resident[-1] / _MIB:.0f}" for one in (target, faked))
                told = ", ".join(f"{name} {count}" for name, count in rounds.done.items())
                print(f"{time.monotonic() - began:6.0f} s: {told}; MiB {held}", flush=True)
    print("clean")


class _Rounds:
    """What is done again and again, each time with other seeds."""

    def __init__(
        self, target: Target, faked: Target, same: tuple[Target, int], asked: argparse.Namespace
    ) -> None:
        self.number = 0
        self.done: Counter[str] = Counter()
        self._target = target
        self._faked = faked
        self._same = same
        self._seed: int = asked.seed
        self._sessions: int = asked.sessions
        self._seeds = itertools.count(self._seed * 1_000_000)

    async def run(self, parts: list[str]) -> None:
        """Run one round of each of these parts. Errors: FuzzError."""
        for part in parts:
            match part:
                case "frontend":
                    count = await fuzz_frontend(self._target, self._some())
                case "backend":
                    count = await fuzz_backend(self._faked, self._some())
                case "same":
                    count = await fuzz_same(*self._same, self._some())
                case "cuts":
                    offsets = range(self.number % 7, OFFSETS, 7)
                    count = await cut_at(self._target, offsets)
                    count += await half_open(self._target, range(0, 2 * OFFSETS, 11))
                case "crowd":
                    left = self._sessions - self.done[part]
                    count = min(left, 1050)
                    await crowd(self._target, count, seed=self._seed + self.number)
                case _:
                    seed = self._seed + self.number
                    count = await asyncio.to_thread(fuzz_decoders, seed, 10.0)
            self.done[part] += count
        self.number += 1

    def _some(self) -> list[int]:
        return list(itertools.islice(self._seeds, 400))


def _expect_no_growth(target: Target, name: str) -> None:
    if len(target.resident) > 2:
        grown = target.resident[-1] - target.resident[2]
        if grown > GROWTH_BYTES:
            raise FuzzError(f"vigie before the {name} has grown by {grown / _MIB:.0f} MiB")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
