"""The constants of a text that may step from one statement to the next, and how each is used.

Literals and parameters in the order they stand, by what stands before them: enough to see that
somebody goes through a table, without a tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from proxy.terms.facts import Parameter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.sql.template import Template

_BEYOND: Final = re.compile(
    r"(?:[<>]=?|\boffset|\blike|\bilike|\bbetween|\band)\s*\(?\s*\Z", re.IGNORECASE
)
_LOOK_BACK: Final = 24  # characters


class Use(Enum):
    """What a constant does: begin a range or a page, or anything else."""

    BEYOND = "beyond"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Step:
    """One constant: its text, or the parameter it is bound by."""

    use: Use
    value: str | Parameter


def steps_of(text: str, template: Template, most: int | None = None) -> tuple[Step, ...]:
    """Return the constants of a text in order, the first ``most`` of them. Errors: none."""
    places: Iterator[tuple[int, str | Parameter]] = merge(
        ((slot.start, slot.value) for slot in template.slots),
        ((start, Parameter(int(text[start + 1 : end]))) for start, end in template.parameters),
        key=itemgetter(0),
    )
    return tuple(Step(_use(text, start), value) for start, value in islice(places, most))


def _use(text: str, start: int) -> Use:
    found = _BEYOND.search(text, max(0, start - _LOOK_BACK), start)
    return Use.OTHER if found is None else Use.BEYOND
