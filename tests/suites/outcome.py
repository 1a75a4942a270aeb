"""What a suite gives: named parts, each with what has to be the same direct and through Vigie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.suites.place import Place


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one part went. ``answer`` must be the same both ways; ``output`` is for people."""

    passed: bool
    answer: str = ""
    output: str = ""


Outcomes = Mapping[str, Outcome]
Suite = Callable[["Place"], Outcomes]


def differences(direct: Outcomes, through: Outcomes) -> dict[str, str]:
    """Return what is worse or other through Vigie, by part, each with what there is to see."""
    found = {}
    for name, before in direct.items():
        after = through.get(name)
        if after is None:
            found[name] = "did not run through Vigie"
        elif before.passed and not after.passed:
            found[name] = f"passed direct, failed through Vigie:\n{after.output}"
        elif before.answer != after.answer:
            found[name] = f"answered otherwise through Vigie:\n{_unlike(before, after)}"
    return found


def _unlike(before: Outcome, after: Outcome) -> str:
    import difflib  # noqa: PLC0415 - only for what went wrong

    lines = difflib.unified_diff(
        before.answer.splitlines(), after.answer.splitlines(), "direct", "through", "", "", 2, ""
    )
    return "\n".join(list(lines)[:200])
