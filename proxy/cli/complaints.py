"""What is wrong, on standard error: one line for each problem."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def complain(problems: Iterable[str]) -> None:
    """Write each problem as one line, whatever characters it quotes."""
    for problem in problems:
        sys.stderr.write(one_line(problem) + "\n")
    sys.stderr.flush()


def one_line(text: str) -> str:
    """Return the text with escapes for all that would break the line or steer a terminal."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )
