"""Which budgets a role has."""

from __future__ import annotations

from proxy.policy import Policy
from proxy.terms.budget import Budget, Measure
from proxy.terms.schema_map import SchemaMap


def budget(name: str, measure: Measure, *roles: str, window_seconds: int = 3600) -> Budget:
    return Budget(name, name, measure, frozenset(roles), window_seconds, 10)


POLICY = Policy(
    rules=(),
    budgets=(
        budget("EX201", Measure.SUBJECTS),
        budget("EX202", Measure.ROWS),
        budget("EX211", Measure.SUBJECTS, "app", "desk"),
        budget("EX212", Measure.SUBJECTS, "app", window_seconds=86400),
        budget("EX221", Measure.ROWS, "desk"),
    ),
    schema_map=SchemaMap(bytes_per_subject=7),
    version="0" * 12,
)


def test_budgets_for() -> None:
    """For each measure a role has the budgets that name it, else those that name nobody."""
    found = {
        role: [one.id for one in POLICY.budgets_for(role)] for role in ("app", "desk", "other", "")
    }

    assert found == {
        "app": ["EX211", "EX212", "EX202"],
        "desk": ["EX211", "EX221"],
        "other": ["EX201", "EX202"],
        "": ["EX201", "EX202"],
    }


def test_named_roles_and_bytes() -> None:
    """The policy knows which roles it names, and how small a subject may be packed."""
    assert POLICY.named_roles == {"app", "desk"}
    assert POLICY.bytes_per_subject == 7
