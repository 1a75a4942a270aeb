"""The site's own patterns, which budgets of ``pattern`` count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.content.scanners import compile_pattern
from proxy.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.policy.yaml_marks import Document


def read_patterns(
    patterns: Sequence[str], document: Document, problems: list[str]
) -> Sequence[str]:
    """Return the patterns of a file; what is wrong with one is appended to ``problems``."""
    for index, pattern in enumerate(patterns):
        try:
            compile_pattern(pattern)
        except ConfigurationError as error:
            at = document.at(("patterns", index))
            problems += [f"{at}: {problem}" for problem in error.problems]
    return patterns
