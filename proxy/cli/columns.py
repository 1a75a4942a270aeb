"""Rows of texts under each other, as wide as they are: nothing is cut, for people and for awk."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def write_columns(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> None:
    """Write rows of equally many texts; ``right``: which columns stand to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            text.rjust(width) if number in right else text.ljust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
