"""The figures as SVG: horizontal bars of medians, a line from the least to the greatest."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

from bench.model import COPYING, DIRECT, POOLED, POOLED_BY_TRANSACTION, VIGIE
from bench.report import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.model import Measure, Samples, Spread

COLOURS: Final = {
    POOLED: "#9aa5b1",
    POOLED_BY_TRANSACTION: "#c9d1d9",
    COPYING: "#d4a72c",
    VIGIE: "#1f6f8b",
}
_LABEL: Final = 190
_PLOT: Final = 460
_RIGHT: Final = 150
_BAR: Final = 10
_GAP: Final = 8
_HEAD: Final = 44
_WIDTH: Final = _LABEL + _PLOT + _RIGHT
_STYLE: Final = (
    "text{font:12px sans-serif;fill:#24292f}.t{font-weight:bold;font-size:14px}"
    ".n{font-size:10px;fill:#57606a}"
)


@dataclass(frozen=True, slots=True)
class _Panel:
    """One set of bars with an axis of its own. ``mark``: a value with a line across all bars."""

    title: str
    rows: tuple[tuple[str, tuple[tuple[str, Spread], ...]], ...]
    mark: float | None = None


def draw(measures: Sequence[Measure], samples: Samples, about: dict[str, Any]) -> str:
    """Return the SVG document."""
    y = 28
    parts: list[str] = []
    for panel in _panels(measures, samples):
        if panel.rows:
            lines, height = _panel(panel, y)
            parts += lines
            y += height
    versions, machine = about["versions"], about["machine"]
    note = (
        f"Vigie {versions['vigie']} at {about['commit']}, PostgreSQL {versions['postgresql']}, "
        f"pgbouncer {versions['pgbouncer']}; {machine['processor']}, {machine['cores']} cores. "
        "Bars: median; lines: least to greatest of all rounds."
    )
    parts.append(_text(10, y + 8, note, "n"))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 20}" '
        f'width="{_WIDTH}" height="{y + 20}"><style>{_STYLE}</style>'
        f'<rect width="{_WIDTH}" height="{y + 20}" fill="#ffffff"/>'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def _panels(measures: Sequence[Measure], samples: Samples) -> list[_Panel]:
    rates = [m for m in measures if m.group in {"pgbench", "bulk", "connect"}]
    small = [m for m in measures if m.group == "pgbench"]
    bulk = [m for m in measures if m.group == "bulk"]

    def rows(
        chosen: Sequence[Measure], key: str | None
    ) -> tuple[tuple[str, tuple[tuple[str, Spread], ...]], ...]:
        found = []
        for measure in chosen:
            bars = []
            for target in COLOURS:
                if key is None:
                    first = measure.metrics[0].key
                    spread = samples.ratio(measure.name, target, DIRECT, first)
                else:
                    spread = samples.spread(measure.name, target, key)
                if spread is not None:
                    bars.append((target, spread))
            if bars:
                found.append((measure.name, tuple(bars)))
        return tuple(found)

    return [
        _Panel("Throughput relative to direct (more is better)", rows(rates, None), 1.0),
        _Panel("Proxy's CPU, microseconds per transaction (less is better)", rows(small, "cpu_us")),
        _Panel("Proxy's CPU, nanoseconds per row (less is better)", rows(bulk, "cpu_ns")),
    ]


def _panel(panel: _Panel, top: int) -> tuple[list[str], int]:
    greatest = max(spread.greatest for _, bars in panel.rows for _, spread in bars)
    scale = _PLOT / max(greatest, panel.mark or 0.0)
    parts = [_text(10, top, panel.title, "t")]
    x = 10
    for target, colour in COLOURS.items():
        parts.append(f'<rect x="{x}" y="{top + 8}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 15, top + 17, target))
        x += 30 + 7 * len(target)
    y = first = top + _HEAD - 10
    for label, bars in panel.rows:
        parts.append(_text(10, y + _BAR * len(bars) // 2 + 4, label))
        for target, spread in bars:
            parts += _bar(target, spread, y, scale)
            y += _BAR
        y += _GAP
    if panel.mark is not None:
        at = _LABEL + panel.mark * scale
        parts.append(
            _line((at, first - 4), (at, y - _GAP + 4), "#d1242f", 'stroke-dasharray="4 3"')
        )
    return parts, y - top + 36


def _bar(target: str, spread: Spread, y: int, scale: float) -> list[str]:
    middle = y + _BAR / 2
    size = f'width="{spread.median * scale:.1f}" height="{_BAR - 1}"'
    parts = [f'<rect x="{_LABEL}" y="{y}" {size} fill="{COLOURS[target]}"/>']
    if spread.count > 1:
        ends = (_LABEL + spread.least * scale, _LABEL + spread.greatest * scale)
        parts.append(_line((ends[0], middle), (ends[1], middle), "#24292f"))
    shown = number(spread.median)
    if spread.count > 1:
        shown += f" ({number(spread.least)} to {number(spread.greatest)})"
    parts.append(_text(_LABEL + spread.greatest * scale + 6, middle + 3.5, shown, "n"))
    return parts


def _text(x: float, y: float, text: str, style: str = "") -> str:
    attribute = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{attribute}>{escape(text)}</text>'


def _line(start: tuple[float, float], end: tuple[float, float], colour: str, more: str = "") -> str:
    (x1, y1), (x2, y2) = start, end
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" {more}/>'
    )
