"""What each column of a view or materialised view carries, by the analysis of its query.

The same analysis that judges statements: a view by another name (``ref_tube`` for a NIR) is seen
through. One whose query it cannot read gets what names and values say, as unsure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.policy.draft.guess import FEW_SEEN, Surety, guess
from proxy.policy.draft.keys import Proposal
from proxy.policy.draft.live_schema import Look
from proxy.policy.draft.names import CLASSES, Meaning, numbers_something
from proxy.sql import Analyser, Catalog
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import OutputColumn, Provenance
from proxy.terms.relation import Column
from proxy.terms.schema_map import SchemaMap
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from proxy.policy.draft.live_schema import LiveRelation, LiveSchema
    from proxy.policy.draft.propose import Draft
    from proxy.terms.facts import StatementFacts
    from proxy.terms.relation import Relation

_VIEWS: Final = frozenset("vm")
_GROUPS: Final = re.compile(r"\bgroup\s+by\b", re.IGNORECASE)
_TELLING: Final = frozenset({ColumnClass.KEY, ColumnClass.QUASI, ColumnClass.IDENTITY})

Proposals = dict[str, Proposal]


def propose_views(
    schema: LiveSchema,
    draft: Draft,
    definitions: Mapping[Relation, str],
    catalog_with: Callable[[SchemaMap], Catalog],
) -> None:
    """Add views to a draft of tables, those over tables first.

    Args:
        schema: what was read.
        draft: gains the views.
        definitions: the query of each view.
        catalog_with: makes the catalog with a schema map.
    """
    waiting = {name: one for name, one in schema.relations.items() if one.kind in _VIEWS}
    while waiting:
        schema_map = map_of(draft)
        catalog = catalog_with(schema_map)
        ready = [
            name for name in waiting
            if not any(source in waiting for source in catalog.view_sources.get(name, ()))
        ] or list(waiting)  # fmt: skip
        analyser = Analyser(schema_map)
        for name in ready:
            text = definitions.get(name, "").encode()
            facts = analyser.analyse(text, encoding="UTF8", catalog=catalog)[0] if text else None
            found = _of_view(waiting.pop(name), facts)
            if found:
                draft.relations[name] = found


def map_of(draft: Draft) -> SchemaMap:
    """Return the schema map that a draft proposes, as a value."""
    columns = {
        Column(relation, name): proposal
        for relation, proposals in draft.relations.items()
        for name, proposal in proposals.items()
    }
    return SchemaMap(
        frozenset(
            column.relation
            for column, one in columns.items()
            if one.column_class is not ColumnClass.NONE
        ),
        {column: one.column_class for column, one in columns.items()},
        {column: one.space for column, one in columns.items() if one.space is not None},
    )


def _of_view(view: LiveRelation, facts: StatementFacts | None) -> Proposals:
    outputs = None if facts is None or facts.opaque is not None else facts.output
    if facts is None or outputs is None or outputs is UNKNOWN or len(outputs) != len(view.columns):
        return _by_names(view)
    if not facts.reads_subjects:
        return {}
    names = [column.name for column in view.columns]
    found = {
        name: proposal
        for name, output in zip(names, outputs, strict=True)
        if (proposal := _of_output(output)) is not None
    }
    if not any(one.column_class in _TELLING for one in found.values()):
        if _counts_only(facts, outputs):
            why = "counted over groups, nobody is named; look at the smallest group"
            return dict.fromkeys(names, Proposal(ColumnClass.NONE, None, Surety.UNSURE, why))
    elif any(one.column_class is ColumnClass.HEALTH for one in found.values()):
        found |= _beside_health(view, found)
    return {name: found[name] for name in names if name in found}


def _of_output(output: OutputColumn) -> Proposal | None:
    if output.provenance is Provenance.NONE or output.column_class is ColumnClass.NONE:
        return None
    sources = ", ".join(sorted(str(one) for one in output.sources)[:3])
    if output.column_class is ColumnClass.UNKNOWN or output.provenance is Provenance.UNKNOWN:
        why = "what it carries is not known"
        return Proposal(ColumnClass.IDENTITY, None, Surety.UNSURE, why)
    how = "is" if output.provenance is Provenance.DIRECT else "made from"
    if output.column_class is ColumnClass.KEY and output.key_space is None:
        # a key that is computed with names nobody any more as it stands
        return Proposal(ColumnClass.QUASI, None, Surety.UNSURE, f"{how} {sources}")
    return Proposal(output.column_class, output.key_space, Surety.SURE, f"{how} {sources}")


def _counts_only(facts: StatementFacts, outputs: Sequence[OutputColumn]) -> bool:
    counted = any(one.provenance is Provenance.NONE for one in outputs)
    packed = any(one.provenance in {Provenance.FOLDED, Provenance.UNKNOWN} for one in outputs)
    return counted and not packed and _GROUPS.search(facts.text) is not None


def _beside_health(view: LiveRelation, found: Proposals) -> Proposals:
    """Return what only names tell: the words for a result that stands beside it."""
    more = {}
    for column in view.columns:
        is_open = column.name not in found and not numbers_something(column.name)
        told = guess(column) if is_open else None
        if told is not None and (
            told.meaning is Meaning.HEALTH
            or (told.meaning is Meaning.FREE_TEXT and told.phrase == column.name.lower())
        ):
            why = f"{told.why}, beside what is known of a patient's health"
            more[column.name] = Proposal(ColumnClass.HEALTH, None, Surety.UNSURE, why)
    return more


def _by_names(view: LiveRelation) -> Proposals:
    found = {}
    for column in view.columns:
        told = guess(column)
        holds = column.looks.seen >= FEW_SEEN and Look.HOLDS_NIR in column.looks.counts
        column_class = ColumnClass.IDENTITY if holds or told is None else CLASSES[told.meaning]
        if (told is None and not holds) or column_class in {ColumnClass.NONE, ColumnClass.KEY}:
            continue
        why = "its query could not be read; " + (told.why if told else "values hold NIRs")
        found[column.name] = Proposal(column_class, None, Surety.UNSURE, why)
    return found
