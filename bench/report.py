"""The figures for people: one table for each group of measures, and the JSON document."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from bench.model import DIRECT, POOLED, VIGIE, Samples, Spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from bench.model import Measure, Scale

_TITLES: Final = {
    "pgbench": "pgbench -S by protocol and sessions",
    "lims": "One patient by its key, charged (pgbench) by protocol and sessions",
    "bulk": "Bulk reads",
    "connect": "One connection for each transaction (pgbench -C -S)",
    "content": "Bulk reads of rows with a NIR each, looked for in what leaves",
    "memory": "Memory of idle sessions",
    "verdict": "Time to a verdict",
    "huge": "pgbench -S with 8 sessions beside one that sends huge texts",
}


def show(console: Console, measures: Sequence[Measure], samples: Samples) -> None:
    """Print the tables: medians for each target, ratios as least-median-greatest over rounds."""
    targets = samples.targets()
    for group in dict.fromkeys(measure.group for measure in measures):
        table = Table(title=_TITLES.get(group, group), title_justify="left")
        table.add_column("measure")
        table.add_column("figure")
        for target in targets:
            table.add_column(target, justify="right")
        table.add_column("vigie / direct", justify="right")
        table.add_column("vigie / pgbouncer", justify="right")
        for measure in measures:
            if measure.group == group:
                _add(table, measure, samples, targets)
        console.print(table)
    for target in targets:
        for measure in measures:
            reason = samples.missing(measure.name, target)
            if reason:
                console.print(f"{measure.name}, {target}: {reason}", markup=False)


def _add(table: Table, measure: Measure, samples: Samples, targets: Sequence[str]) -> None:
    name = measure.name
    for metric in measure.metrics:
        spreads = [samples.spread(name, target, metric.key) for target in targets]
        if not any(spreads):
            continue
        figure = f"{metric.title}, {metric.unit}"
        cells = ["" if spread is None else number(spread.median) for spread in spreads]
        ratios = [_range(samples.ratio(name, VIGIE, base, metric.key)) for base in (DIRECT, POOLED)]
        table.add_row(name, figure, *cells, *ratios)
    table.add_section()


def _range(spread: Spread | None) -> str:
    if spread is None:
        return ""
    if spread.count == 1:
        return f"{spread.median:.2f}"
    return f"{spread.least:.2f}-{spread.median:.2f}-{spread.greatest:.2f}"


def number(value: float) -> str:
    """Return a figure with three digits that count."""
    for above, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= above:
            return f"{value:,.{digits}f}"
    return f"{value:.3f}"


def document(
    measures: Sequence[Measure], samples: Samples, scale: Scale, about: dict[str, Any]
) -> dict[str, Any]:
    """Return everything as one JSON document."""
    return {
        **about,
        "scale": asdict(scale),
        "role": "bench: budgets of distinct patients and rows that are charged and never spent",
        "measures": [_summary(measure, samples) for measure in measures],
        "samples": [
            {**asdict(sample), "values": {k: round(v, 4) for k, v in sample.values.items()}}
            for sample in samples.all
        ],
    }


def to_json(found: dict[str, Any]) -> str:
    """Return a document as JSON with one line for each measure and sample."""
    parts = []
    for key, value in found.items():
        if isinstance(value, list):
            lines = ",\n".join(f"  {json.dumps(one)}" for one in value)
            parts.append(f"{json.dumps(key)}: [\n{lines}\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _summary(measure: Measure, samples: Samples) -> dict[str, Any]:
    return {
        "name": measure.name,
        "group": measure.group,
        "figures": [
            {
                **asdict(metric),
                "targets": {
                    target: _values(samples.spread(measure.name, target, metric.key))
                    for target in samples.targets()
                },
                "vigie_to_direct": _values(samples.ratio(measure.name, VIGIE, DIRECT, metric.key)),
                "vigie_to_pgbouncer": _values(
                    samples.ratio(measure.name, VIGIE, POOLED, metric.key)
                ),
            }
            for metric in measure.metrics
        ],
    }


def _values(spread: Spread | None) -> list[float] | None:
    if spread is None:
        return None
    return [round(value, 4) for value in (spread.least, spread.median, spread.greatest)]
