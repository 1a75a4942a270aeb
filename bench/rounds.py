"""Take every measure at every target, target by target within each round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from bench import bulk, content, huge_texts, memory, pgbench, verdicts
from bench.model import Sample, Samples
from proxy.errors import VigieError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.model import Measure, Scale
    from bench.targets import Target


def all_measures(scale: Scale) -> tuple[Measure, ...]:
    """Return every measure in the order of the table."""
    modules = (pgbench, bulk, content, memory, verdicts, huge_texts)
    return tuple(measure for module in modules for measure in module.measures(scale))


def take(
    measures: Sequence[Measure],
    targets: Sequence[Target],
    rounds: int,
    tell: Callable[[str], None],
) -> Samples:
    """Return the samples of all rounds. What fails is told, noted, and the rest goes on.

    Each round begins with another target, so that none always comes first.
    """
    samples: list[Sample] = []
    for number in range(rounds):
        start = number % len(targets)
        order = (*targets[start:], *targets[:start])
        for measure in measures:
            tell(f"round {number + 1} of {rounds}: {measure.name}")
            for target in order:
                sample = _take_one(measure, target, number)
                samples.append(sample)
                if sample.missing and number == 0:
                    tell(f"  {target.name}: {sample.missing}")
    return Samples(tuple(samples))


def _take_one(measure: Measure, target: Target, number: int) -> Sample:
    name = target.name
    if reason := measure.unfit(target):
        return Sample(measure.name, name, number, missing=reason)
    try:
        values = measure.take(target)
    except (VigieError, psycopg.Error, OSError) as error:
        return Sample(measure.name, name, number, missing=f"failed: {error}")
    return Sample(measure.name, name, number, values)
