"""What a site may change of a shipped rule or budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.policy.problems import suggest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from proxy.policy.schema import OverrideData

_OF_BUDGETS: Final = frozenset({"limit", "window_seconds", "limits"})
_OF_RULES: Final = frozenset({"weight", "mode"})


def misplaced(
    name: str, data: OverrideData, rules: Collection[str], budgets: Collection[str]
) -> Iterator[tuple[str, str | None]]:
    """Yield what is wrong with an override, and the key that it is about; None: the override.

    Args:
        name: the id that it changes.
        data: what it changes of it.
        rules: the ids of all rules.
        budgets: the ids of all budgets.
    """
    given = data.model_fields_set - {"why"}
    if name not in rules and name not in budgets:
        yield f"override of unknown id '{name}', {suggest(name, [*rules, *budgets])}", None
        return
    kind, wrong = ("rule", _OF_BUDGETS) if name in rules else ("budget", _OF_RULES)
    for one in sorted(given & wrong):
        yield f"'{one}' does not go with a {kind}", one
    if not given:
        yield "changes nothing, expected action, weight, mode or limit", ""
