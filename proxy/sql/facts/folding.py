"""Does an aggregate or window function keep values of rows, and of how many?

A row budget cannot see ``SELECT string_agg(nir, ',') FROM patient``: one row, everybody in it.

Source: PostgreSQL documentation, "Aggregate Functions", "Window Functions".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.sql.facts.tree import without_casts
from proxy.sql.facts.value import NOTHING, Value, combine, derive, fold
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Provenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.sql.facts.reading import Level
    from proxy.sql.facts.tree import Node

_FOLDING_NAMES: Final = """
string_agg array_agg json_agg json_agg_strict json_object_agg json_object_agg_strict
json_object_agg_unique json_object_agg_unique_strict jsonb_agg jsonb_agg_strict
jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique
jsonb_object_agg_unique_strict xmlagg range_agg range_intersect_agg
"""
FOLDING: Final = frozenset(_FOLDING_NAMES.split())
# One number over all rows: nothing of one subject, over more than one.
COUNTING: Final = frozenset({"count", "regr_count"})
_STATISTICAL_NAMES: Final = """
avg sum stddev stddev_pop stddev_samp variance var_pop var_samp corr covar_pop covar_samp
regr_avgx regr_avgy regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy bool_and
bool_or every bit_and bit_or bit_xor
"""
STATISTICAL: Final = frozenset(_STATISTICAL_NAMES.split())
RANKING: Final = frozenset(
    {"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile"}
)
_PICKING_NAMES: Final = """
min max mode any_value percentile_disc percentile_cont first_value last_value nth_value lag
lead
"""
PICKING: Final = frozenset(_PICKING_NAMES.split())
AGGREGATES: Final = FOLDING | COUNTING | STATISTICAL | PICKING | RANKING
_PERCENTILES: Final = frozenset({"percentile_disc", "percentile_cont"})
# A sum of these may be taken apart again.
_INVERTIBLE: Final = frozenset({ColumnClass.KEY, ColumnClass.IDENTITY, ColumnClass.UNKNOWN})


def aggregate_value(
    name: str,
    arguments: Sequence[Value],
    conditions: Sequence[Value],
    fraction: Node | None,
    level: Level,
    *,
    windowed: bool = False,
) -> Value:
    """Return what an aggregate or window function gives.

    Args:
        name: lower-case, one of ``AGGREGATES``.
        arguments: the values it keeps or counts, WITHIN GROUP ones included.
        conditions: of FILTER; by many of them a value can be asked out bit by bit.
        fraction: the first argument of a percentile.
        level: the query it stands in.
        windowed: it has OVER, and may be over one row.

    Errors: none.
    """
    kept = combine(arguments)
    by_subject = windowed or level.splits_by_subject
    everything = combine([*arguments, *conditions])
    if Provenance.UNKNOWN in {everything.provenance, kept.provenance}:
        return everything
    if name in FOLDING:
        return fold(everything)
    if name in COUNTING or name in RANKING:
        asked = combine([_asked(arguments, conditions), *level.row_counts])
        return asked if by_subject or _is_invertible(asked) else NOTHING
    if name in STATISTICAL:
        keeps = by_subject or _is_invertible(everything)
        return derive(everything) if keeps else NOTHING
    if name in _PERCENTILES:
        if not _is_number(fraction):
            return fold(everything)
        if name == "percentile_cont" and not _is_invertible(kept) and not by_subject:
            return NOTHING
    return derive(everything)


def _asked(arguments: Sequence[Value], conditions: Sequence[Value]) -> Value:
    """Return what counting tells: nothing of a stored column but whether it is there."""
    asked = [value for value in arguments if value.provenance is not Provenance.DIRECT]
    return derive(combine([*asked, *conditions]))


def _is_invertible(value: Value) -> bool:
    return not value.tells_nothing and value.column_class in _INVERTIBLE


def _is_number(fraction: Node | None) -> bool:
    if fraction is None:
        return False
    constant = without_casts(fraction).get("A_Const", {})
    return "fval" in constant or "ival" in constant


def fold_recursive(left: Value, right: Value, united: Value, worst: Value) -> Value:
    """Return the value of a column of WITH RECURSIVE.

    A value computed from the row before may gather all rows: ``acc || nir``. Only a stored
    column in each step stays what it is.

    Args:
        left: of the first part.
        right: of the recursive part.
        united: of both.
        worst: all columns together.
    """
    if worst.tells_nothing:
        return NOTHING
    if right.tells_nothing and left.tells_nothing:
        return NOTHING
    if right.provenance is Provenance.DIRECT and left.provenance in {
        Provenance.DIRECT,
        Provenance.NONE,
    }:
        return replace(united, place=None)
    return fold(worst)
