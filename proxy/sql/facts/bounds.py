"""How many rows and which subjects a result can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.sql.facts.constants import read_constant
from proxy.sql.facts.tree import Node, without_casts
from proxy.terms.facts import Literal, Parameter
from proxy.terms.unknown import UNKNOWN, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.sql.facts.reading import Edge, Reading
    from proxy.sql.facts.scope import Result


def row_bound(
    reading: Reading, select: Node, result: Result
) -> tuple[int | Parameter | Unknown | None, int | None]:
    """Return LIMIT or FETCH FIRST of the outermost query, and the byte of its literal.

    None: there is no bound. Unknown: WITH TIES, or computed. An aggregate without GROUP BY is 1.
    """
    limit = select.get("limitCount")
    unbounded = 1 if result.one_row else None
    if not limit or without_casts(limit).get("A_Const", {}).get("isnull"):
        return unbounded, None
    if select.get("limitOption") == "LIMIT_OPTION_WITH_TIES":
        return UNKNOWN, None
    constant = read_constant(limit)
    if constant is None:
        return (1 if result.one_row else UNKNOWN), None
    if isinstance(constant.value, Parameter):
        return constant.value, None
    reading.span(constant.location, len(constant.value.value), "row bound")
    return bound_of_literal(constant.value), constant.location


def bound_of_literal(literal: Literal) -> int | Unknown:
    """Return the rows that a literal of LIMIT states."""
    try:
        bound = round(float(literal.value))
    except (ValueError, OverflowError):
        return UNKNOWN
    return bound if bound >= 0 else UNKNOWN


def is_one_subject_per_row(reading: Reading, result: Result) -> bool:
    """Whether all values of a row provably belong to one subject.

    Each branch of a set operation gives its own rows; within one, every occurrence of subjects'
    data must be linked to the others by equal keys.
    """
    if reading.mixes or reading.unknown_functions or reading.unknown_relations:
        return False
    if not result.contributes:
        return False
    return all(reach(sorted(branch)[:1], reading.edges) >= branch for branch in result.branches)


def reach(starts: Iterable[int], edges: Iterable[Edge]) -> set[int]:
    """Return the occurrences that hold the same subject in a row as these."""
    near: dict[int, set[int]] = {}
    for edge in edges:
        near.setdefault(edge.first, set()).add(edge.second)
        near.setdefault(edge.second, set()).add(edge.first)
    return _reach(starts, near)


def is_bounded_by_keys(reading: Reading, result: Result) -> bool:
    """Whether every occurrence that gives values is held by a key filter, or by one that is."""
    if not result.contributes or reading.unknown_functions or reading.unknown_relations:
        return False
    near: dict[int, set[int]] = {}
    for edge in reading.edges:
        opened = edge.nullable is not None and (edge.level, edge.nullable) in reading.filtered
        if edge.forward or opened:
            near.setdefault(edge.first, set()).add(edge.second)
        if edge.backward or opened:
            near.setdefault(edge.second, set()).add(edge.first)
    return _reach(reading.seeds, near) >= result.contributes


def _reach(starts: Iterable[int], near: dict[int, set[int]]) -> set[int]:
    seen: set[int] = set()
    pending = list(starts)
    while pending:
        occurrence = pending.pop()
        if occurrence not in seen:
            seen.add(occurrence)
            pending.extend(near.get(occurrence, ()))
    return seen
