"""What each witness says of one statement, column by column and side by side, in words."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from proxy.sql.facts.functions import may_be_own
from proxy.sql.template import cut_literals
from proxy.sql.witness import compare
from proxy.terms.facts import Parameter, Provenance, StatementFacts
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.cli.live import Planned
    from proxy.terms.facts import OutputColumn
    from proxy.terms.mask import Masking

NOT_ASKED: Final = "not asked; --against a database asks it"
_MOST: Final = 12  # names of a set, columns of a result
_CARRIES: Final = {
    Provenance.NONE: "nothing of a subject",
    Provenance.DIRECT: "one subject's value, as it is stored",
    Provenance.DERIVED: "computed from values of one row",
    Provenance.FOLDED: "values of many packed in one",
    Provenance.UNKNOWN: "not known, so anything",
}


def word_columns(facts: StatementFacts, masking: Masking | None = None) -> list[tuple[str, str]]:
    """Return (name, what it carries, and how it is masked) of each output column."""
    if facts.output is UNKNOWN:
        return [("*", _CARRIES[Provenance.UNKNOWN])]
    hows = () if masking is None or masking.obstacle is not None else masking.columns
    shown = [
        (column.name, _carried(column) + (f"; masked: {how.value}" if how else ""))
        for column, how in zip_longest(facts.output[:_MOST], hows[:_MOST])
    ]
    more = len(facts.output) - _MOST
    return [*shown, ("...", f"{more} more")] if more > 0 else shown


def _carried(column: OutputColumn) -> str:
    said = _CARRIES[column.provenance]
    if column.provenance is Provenance.NONE:
        return said
    if column.key_space:
        said = f"a subject key, of {column.key_space}"
    sources = _listed(f"{one.relation}.{one.name}" for one in column.sources)
    return f"{said} ({column.column_class.value})" + (f" from {sources}" if sources else "")


def word_bound(facts: StatementFacts) -> str:
    """Return how many subjects the text lets out at most, and why."""
    if facts.opaque is not None:
        return f"none: {facts.opaque}"
    if facts.bounded_by_keys:
        values = [value for key in facts.key_filters for value in key.values]
        spaces = _listed({key.space for key in facts.key_filters})
        if any(key.is_array for key in facts.key_filters):
            return f"the keys of an array that is bound later ({spaces})"
        bound = [value for value in values if isinstance(value, Parameter)]
        later = f", {len(bound)} of them bound later" if bound else ""
        return f"{len(values)} by constant keys ({spaces}){later}"
    each = "" if facts.one_subject_per_row else ", if each row is about one subject"
    match facts.row_bound:
        case int(rows):
            return f"{rows} by LIMIT or one group{each}"
        case Parameter(number):
            return f"${number} by LIMIT, bound later{each}"
        case _:
            pass
    by = facts.subject_filter.value
    return f"none: predicates are {by}" if by != "none" else "none: no predicate, no LIMIT"


def word_witnesses(
    facts: StatementFacts, *, asked: bool, planned: Planned | None
) -> list[tuple[str, str]]:
    """Return (witness, what it says). ``asked``: names were resolved by a database's catalog."""
    text, template = facts.text, cut_literals(facts.text)
    _, theirs = compare(text, template, [None])
    seen = theirs[0] if len(theirs) == 1 else None
    if seen is None:
        second = "has no opinion: it cannot read the statement"
    else:
        names = (f"{schema}.{name}" if schema else name for schema, name in seen.relations)
        second = _says(names, seen.functions)
    return [
        ("grammar", facts.opaque or _says(map(str, facts.relations), facts.functions)),
        ("sqlglot", second),
        ("catalog", _word_catalog(facts) if asked else NOT_ASKED),
        ("bodies", _word_bodies(facts) if asked else NOT_ASKED),
        ("planner", _word_plan(facts, planned) if planned is not None else NOT_ASKED),
    ]


def _says(relations: Iterable[str], functions: Iterable[str]) -> str:
    calls = _listed(functions)
    return f"reads {_listed(relations) or 'nothing'}" + (f"; calls {calls}" if calls else "")


def _word_catalog(facts: StatementFacts) -> str:
    missing = _listed(map(str, facts.unknown_relations))
    strange = _listed(facts.unknown_functions)
    said = f"subjects in {_listed(map(str, facts.subject_relations)) or 'none of them'}"
    said += f"; does not have {missing}" if missing else ""
    return said + (f"; cannot vouch for {strange}" if strange else "")


def _word_bodies(facts: StatementFacts) -> str:
    """Return what is known of the functions that are the database's own."""
    own = list(filter(may_be_own, facts.functions))
    reasons = "; ".join(f"{name} {reason}" for name, reason in facts.unread)
    known = _listed(one for one in own if one not in facts.unknown_functions)
    said = f"known: {known}" if known else "" if reasons else "calls none of the database's own"
    return "; ".join(part for part in (said, f"not read: {reasons}" if reasons else "") if part)


def _word_plan(facts: StatementFacts, planned: Planned) -> str:
    plan = planned.plan
    if plan is None:
        return planned.reason
    said = f"reads {_listed(map(str, plan.relations)) or 'nothing'}; expects {plan.rows} rows"
    missed = _listed(map(str, plan.relations - facts.relations))
    return f"{said}; DISAGREES: {missed} is not in what was read" if missed else said


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _MOST} more" if len(ordered) > _MOST else ""
    return ", ".join(ordered[:_MOST]) + more


def disagrees(facts: StatementFacts, planned: Planned | None) -> bool:
    """Whether the planner reads what the parsers did not see."""
    plan = None if planned is None else planned.plan
    return plan is not None and not plan.relations <= facts.relations
