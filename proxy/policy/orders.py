"""Work orders as JSON, and whether a statement is inside one.

Only what the facts prove counts: a statement of which something is unknown is inside of none, and
is judged by the rules as any other.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from proxy.policy.budgets import relation_of
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Kind, Provenance, StatementFacts
from proxy.terms.order import Dates, WorkOrder
from proxy.terms.relation import Column
from proxy.terms.unknown import UNKNOWN

_READS: Final = frozenset({Kind.SELECT, Kind.COPY_OUT, Kind.DECLARE, Kind.FETCH, Kind.EXECUTE})
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Qualified = Annotated[str, Field(pattern=r"^[^.]+\.[^.]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DatesData(_Strict):
    """The rows of an order: ``column`` from ``begin`` on and before ``end``, ISO 8601."""

    column: Annotated[str, Field(pattern=r"^[^.]+\.[^.]+\.[^.]+$")]
    begin: Text
    end: Text


class OrderData(_Strict):
    """The form of an order's JSON."""

    format: Literal[1]
    id: Annotated[str, Field(pattern=r"^WO-[0-9]{8}-[0-9a-f]{8}$")]
    roles: list[Text] = Field(min_length=1)
    subjects: int = Field(gt=0)
    relations: list[Qualified] = Field(min_length=1)
    columns: list[Annotated[str, Field(pattern=r"^[^.]+\.[^.]+\.[^.]+$")]] = Field(min_length=1)
    dates: DatesData | None = None
    begins: int = Field(gt=0)
    ends: int = Field(gt=0)
    reason: Text
    by: Text


def read_order(text: str) -> WorkOrder:
    """Return the order that this JSON describes. Errors: ValueError, with what is wrong."""
    try:
        data = OrderData.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ValueError(f"{where}: {first['msg']}") from None
    dates = None
    if data.dates is not None:
        begin, end = (read_moment(one) for one in (data.dates.begin, data.dates.end))
        if begin >= end:
            raise ValueError("dates: end is not after begin")
        dates = Dates(column_of(data.dates.column), begin, end)
    if data.begins >= data.ends:
        raise ValueError("ends: is not after begins")
    return WorkOrder(
        id=data.id,
        roles=frozenset(data.roles),
        subjects=data.subjects,
        relations=frozenset(map(relation_of, data.relations)),
        columns=frozenset(map(column_of, data.columns)),
        dates=dates,
        begins=data.begins,
        ends=data.ends,
        reason=data.reason,
        by=data.by,
    )


def write_order(order: WorkOrder) -> str:
    """Return the JSON of an order, always the same for the same order."""
    dates = order.dates
    document: dict[str, Any] = {
        "format": 1,
        "id": order.id,
        "roles": sorted(order.roles),
        "subjects": order.subjects,
        "relations": sorted(map(str, order.relations)),
        "columns": sorted(map(str, order.columns)),
        "dates": None
        if dates is None
        else {
            "column": str(dates.column),
            "begin": dates.begin.isoformat(),
            "end": dates.end.isoformat(),
        },
        "begins": int(order.begins),
        "ends": int(order.ends),
        "reason": order.reason,
        "by": order.by,
    }
    return json.dumps(document, sort_keys=True, ensure_ascii=False)


def read_moment(text: str) -> datetime:
    """Return an ISO 8601 day or moment; UTC if it names no zone. Errors: ValueError."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def column_of(name: str) -> Column:
    """Return the column of a qualified name: schema.relation.column."""
    relation, _, column = name.rpartition(".")
    return Column(relation_of(relation), column)


def outside(order: WorkOrder, facts: StatementFacts) -> str | None:
    """Return what of a statement is outside an order, its dates aside; None: nothing."""
    if facts.kind not in _READS:
        return f"a statement of kind {facts.kind.value}"
    if facts.opaque is not None or facts.disagreements:
        return "what cannot be understood without doubt"
    if facts.unknown_relations or facts.unknown_functions or facts.side_doors or facts.writes:
        return "what may read or write elsewhere"
    beyond = facts.subject_relations - order.relations
    if beyond:
        return f"relation {min(map(str, beyond))}"
    if facts.output is UNKNOWN:
        return "columns that are not known"
    for column in facts.output:
        if column.provenance is Provenance.NONE:
            continue
        beyond_columns = column.sources - order.columns
        if beyond_columns:
            return f"column {min(map(str, beyond_columns))}"
        is_vague = not column.sources or column.column_class is ColumnClass.UNKNOWN
        if is_vague or column.provenance is Provenance.UNKNOWN:
            return f"column {column.name}, whose source is not known"
    return None
