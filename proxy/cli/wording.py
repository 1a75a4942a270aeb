"""Budgets and charges as people say them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.meter.plan import plan_charge
from proxy.terms.budget import PER_ROLE, Budget, Measure, Method
from proxy.terms.facts import Kind, StatementFacts
from proxy.terms.unknown import UNKNOWN
from proxy.wire.backend import ResultColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.meter.plan import ChargePlan
    from proxy.terms.mask import How

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"))
_COUNTED: Final = {
    Measure.SUBJECTS: "distinct subjects",
    Measure.ROWS: "rows about subjects",
    Measure.BYTES: "bytes",
    Measure.STATEMENTS: "statements that read about subjects",
    Measure.QUESTIONS: "questions about subjects",
    Measure.TELLING_ERRORS: "errors that quote subjects' values",
    Measure.CANARIES: "canaries",
    Measure.NIR: "NIRs",
    Measure.RPPS: "RPPS numbers",
    Measure.PHONE: "phone numbers",
    Measure.EMAIL: "e-mail addresses",
    Measure.IBAN: "IBANs",
    Measure.PATTERN: "matches of the site's patterns",
}
_BEHIND: Final = {Kind.FETCH: "its cursor's statement", Kind.EXECUTE: "the statement it runs"}


def word_window(seconds: int) -> str:
    """Return a span of time in the largest unit that holds it a whole number of times."""
    for size, name in _UNITS:
        if seconds % size == 0 and (seconds > size or name == "h"):
            return f"{seconds // size} {name}"
    return f"{seconds} s"


def word_budget(budget: Budget) -> str:
    """Return what a budget allows: at most 100 distinct subjects in 1 h."""
    counted = _COUNTED[budget.measure]
    if budget.bound is not None:
        counted += " for end users who were named" if budget.bound else " for nobody who was named"
    if budget.classes:
        counted += f" with {', '.join(sorted(budget.classes))}"
    if budget.relations:
        counted += f" of {', '.join(sorted(map(str, budget.relations)))}"
    window = f"in {word_window(budget.window_seconds)}"
    if budget.is_per_statement:
        window = "in a statement"
    elif not budget.per:
        window += ", everyone together"
    elif budget.per != PER_ROLE:
        each = " and ".join(one.value.replace("_", " ") for one in budget.per)
        window += f", each {each}"
    if budget.limit is None:
        return f"{counted} {window} are counted, never cut"
    slow = ""
    if budget.slows_from_percent is not None:
        longest = word_window(int(budget.slows_by_seconds))
        slow = f", slowed by up to {longest} from {budget.slows_from_percent} % on"
    return f"at most {budget.limit} {counted} {window}{slow}"


def word_charge(
    facts: StatementFacts, bytes_per_subject: int, masked: Sequence[How | None] = ()
) -> str:
    """Return how the result would be charged, as far as the text alone tells.

    ``masked``: how each column is masked; none of them: nothing is.
    """
    each = f"one subject for every {bytes_per_subject}"
    if facts.opaque is not None:
        return f"by its bytes, {each}"
    if facts.kind in _BEHIND:
        return f"as {_BEHIND[facts.kind]}"
    if not facts.returns_rows:
        return "nothing, it returns no rows"
    output = facts.output
    if output is not UNKNOWN and any(column.name == "*" for column in output):
        return "as the columns behind * ask for, which the database tells"
    names = [] if output is UNKNOWN else [column.name for column in output]
    columns = [ResultColumn(name, 0, 0, 0, 0) for name in names]
    fixed = [(key.space, b"") for key in facts.key_filters for _ in key.values]
    counted = not any(key.is_array for key in facts.key_filters)
    most = f", at most {len(fixed)}" if counted else ""
    return _word_plan(plan_charge(facts, columns, None, fixed, masked), names, most, each)


def _word_plan(plan: ChargePlan, names: list[str], most: str, each: str) -> str:
    match plan.method:
        case Method.FREE if plan.counts_rows:
            return "rows only, no subject is disclosed"
        case Method.FREE:
            return "nothing, no value of a subject leaves in rows"
        case Method.KEYS:
            keys = ", ".join(names[key.index] for key in plan.keys)
            return f"each distinct subject once, by {keys}"
        case Method.BOUND:
            return f"each subject that the predicates name once{most}"
        case Method.ROWS:
            return "each row as one more subject"
        case Method.BYTES:
            packed = ", ".join(names[index] for index in plan.packed)
            return f"by the bytes of {packed}, {each}" if packed else f"by its bytes, {each}"
