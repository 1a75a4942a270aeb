"""The facts that rules may ask for: names, types, what they mean, and how to read them.

A value is a text, a set of texts, a number, true or false, ``None`` (absent) or ``UNKNOWN``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Kind, Parameter, Provenance, SideDoor, StatementFacts, SubjectFilter
from proxy.terms.principal import Principal
from proxy.terms.unknown import UNKNOWN, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterable


class FactType(StrEnum):
    """What values a fact has, and so which operators fit it."""

    TEXT = "text"
    SET = "set"
    NUMBER = "number"
    BOOLEAN = "boolean"


class Bound:
    """A number that is there, and is not known before it is bound: ``LIMIT $1``."""

    def __repr__(self) -> str:
        return "BOUND"


BOUND: Final = Bound()
FactValue = str | int | bool | frozenset[str] | Unknown | Bound | None
_Read = Callable[[StatementFacts, Principal], FactValue]


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact. ``values``: all it can be, where that is a closed set."""

    type: FactType
    doc: str
    read: _Read
    values: frozenset[str] = frozenset()
    observed: bool = True  # False: nobody can tell for an opaque statement


def _names(things: Iterable[object]) -> frozenset[str]:
    return frozenset(map(str, things))


def _output_classes(facts: StatementFacts, _: Principal) -> FactValue:
    if facts.output is UNKNOWN:
        return UNKNOWN
    return frozenset(one.value for one in facts.classes)


def _folded_classes(facts: StatementFacts, _: Principal) -> FactValue:
    if facts.output is UNKNOWN:
        return UNKNOWN
    folded = (column for column in facts.output if column.provenance is Provenance.FOLDED)
    return frozenset(column.column_class.value for column in folded)


def _row_bound(facts: StatementFacts, _: Principal) -> FactValue:
    return BOUND if isinstance(facts.row_bound, Parameter) else facts.row_bound


def _keys_named(facts: StatementFacts, _: Principal) -> FactValue:
    found = facts.keys_named
    return BOUND if isinstance(found, Parameter) else found


def _text(doc: str, read: _Read, values: type[StrEnum] | None = None) -> Fact:
    closed = frozenset(one.value for one in values) if values else frozenset()
    return Fact(FactType.TEXT, doc, read, closed)


def _set(doc: str, read: _Read, values: Iterable[str] = ()) -> Fact:
    return Fact(FactType.SET, doc, read, frozenset(values), observed=False)


def _boolean(doc: str, read: _Read, *, observed: bool = False) -> Fact:
    return Fact(FactType.BOOLEAN, doc, read, observed=observed)


def _behaviour(doc: str, read: _Read) -> Fact:
    """Return a number that is known of every statement, also of one that cannot be understood."""
    return Fact(FactType.NUMBER, doc, read)


_DISAGREEMENTS: Final = ("functions", "kind", "planner", "relations", "statement_count")

FOR_WHOM: Final = frozenset({"end_user", "application", "bound"})
"""The facts that say for whom a statement is."""

FACTS: Final[Mapping[str, Fact]] = {
    "kind": _text("what the statement is", lambda f, _: f.kind.value, Kind),
    "relations": _set(
        "relations read, views opened up, each as schema.name", lambda f, _: _names(f.relations)
    ),
    "subject_relations": _set(
        "relations read that hold subjects' data", lambda f, _: _names(f.subject_relations)
    ),
    "writes": _set("relations written", lambda f, _: _names(f.writes)),
    "creates": _set("relations made or renamed to", lambda f, _: _names(f.creates)),
    "unknown_relations": _set(
        "relations that the catalog does not have", lambda f, _: _names(f.unknown_relations)
    ),
    "functions": _set("functions called", lambda f, _: f.functions),
    "unknown_functions": _set(
        "functions called that are neither built in nor in the schema map",
        lambda f, _: f.unknown_functions,
    ),
    "output_classes": _set(
        "classes of what leaves in rows (none is left out)",
        _output_classes,
        (one.value for one in ColumnClass),
    ),
    "folded_classes": _set(
        "classes of the columns that put values of many rows in one",
        _folded_classes,
        (one.value for one in ColumnClass),
    ),
    "subject_filter": Fact(
        FactType.TEXT,
        "how the predicates narrow the subjects",
        lambda f, _: f.subject_filter.value,
        frozenset(one.value for one in SubjectFilter),
        observed=False,
    ),
    "row_bound": Fact(
        FactType.NUMBER,
        "rows that LIMIT allows; absent without one; unknown, but not absent, for LIMIT $1",
        _row_bound,
        observed=False,
    ),
    "estimated_rows": Fact(
        FactType.NUMBER,
        "rows that the planner expects; absent if it was not asked. A small one proves nothing",
        lambda f, _: f.estimated_rows,
        observed=False,
    ),
    "estimated_share": Fact(
        FactType.NUMBER,
        "those rows in percent of the subjects there are; absent if either is not known",
        lambda f, _: f.estimated_share,
        observed=False,
    ),
    "keys_named": Fact(
        FactType.NUMBER,
        "constant keys that the predicates name; unknown, but not absent, before they are bound",
        _keys_named,
        observed=False,
    ),
    "walk_steps": Fact(
        FactType.NUMBER,
        "statements so far of a walk through a table, by the principal in all its sessions",
        lambda f, _: f.walk_steps,
        observed=False,
    ),
    "walked_subjects": Fact(
        FactType.NUMBER,
        "subjects whom that walk can have given at most",
        lambda f, _: f.walked_subjects,
        observed=False,
    ),
    "catalog_steps": _behaviour(
        "statements so far of a walk through definitions, by the principal in all its sessions",
        lambda f, _: f.behaviour.catalog_steps,
    ),
    "catalog_templates": _behaviour(
        "different statements about definitions by the principal within an hour, if this is one",
        lambda f, _: f.behaviour.catalog_templates,
    ),
    "wrong_statements": _behaviour(
        "statements of the principal within an hour with bad syntax or names that do not exist,"
        " if this one asks for definitions or such a name",
        lambda f, _: f.behaviour.wrong_statements,
    ),
    "new_template": _boolean(
        "it reads subjects, and none of its form came from the principal in the days before",
        lambda f, _: f.behaviour.new_template,
        observed=True,
    ),
    "burst": _behaviour(
        "how many times the principal's usual this minute has, in statements or rows of subjects;"
        " below five 0",
        lambda f, _: f.behaviour.burst,
    ),
    "off_hours": _boolean(
        "it reads subjects outside of the working hours that the site gives the role",
        lambda f, _: f.behaviour.off_hours,
        observed=True,
    ),
    "new_end_users": _behaviour(
        "end users named by the principal within an hour and never before; below ten 0",
        lambda f, _: f.behaviour.new_end_users,
    ),
    "probes_identity": _boolean(
        "asks for a part of one identity and shows next to nothing", lambda f, _: f.probes_identity
    ),
    "folds": _boolean("values of many rows are put in one value", lambda f, _: f.folds),
    "side_doors": _set(
        "ways out or in that are not rows of the result",
        lambda f, _: frozenset(one.value for one in f.side_doors),
        (one.value for one in SideDoor),
    ),
    "stages": _boolean("copies subjects' data to where it does not belong", lambda f, _: f.stages),
    "opaque": _boolean(
        "it could not be understood", lambda f, _: f.opaque is not None, observed=True
    ),
    "opaque_reason": _text(
        "why it could not be understood; absent if it was", lambda f, _: f.opaque
    ),
    "changes_catalog": _boolean(
        "changes relations, functions or roles", lambda f, _: f.changes_catalog
    ),
    "changes_session": _boolean(
        "changes how later statements are read", lambda f, _: f.changes_session
    ),
    "disagreements": _set(
        "what the witnesses (two parsers, the planner) saw differently",
        lambda f, _: frozenset(one.what for one in f.disagreements),
        _DISAGREEMENTS,
    ),
    "bounded_by_keys": _boolean(
        "every subject relation read is held by constant keys", lambda f, _: f.bounded_by_keys
    ),
    "one_subject_per_row": _boolean(
        "each row is about one subject", lambda f, _: f.one_subject_per_row
    ),
    "reads_subjects": _boolean(
        "subjects' data is in reach, as far as anyone can tell",
        lambda f, _: f.reads_subjects,
        observed=True,
    ),
    "nobody_in_reach": _boolean(
        "the catalog is known, and no relation of the database holds subjects' data",
        lambda f, _: f.nobody_in_reach,
        observed=True,
    ),
    "returns_rows": _boolean("it has a result", lambda f, _: f.returns_rows),
    "role": _text("database role of the session", lambda _, p: p.role),
    "database": _text("database of the session", lambda _, p: p.database),
    "application_name": _text(
        "as announced; never proof of anything", lambda _, p: p.application_name
    ),
    "end_user": _text(
        "for whom it acts, as a principal says that the policy believes; absent for nobody named",
        lambda _, p: p.behalf.end_user or None,
    ),
    "application": _text(
        "through which application, as a principal says that the policy believes; else absent",
        lambda _, p: p.behalf.application or None,
    ),
    "bound": _boolean(
        "an end user was named, by a principal that the policy believes",
        lambda _, p: bool(p.behalf.end_user),
        observed=True,
    ),
    "address": _text(
        "of the frontend, without port; unix: and the user id for a Unix socket",
        lambda _, p: p.address,
    ),
    "certificate": _text(
        "subject of the frontend's certificate, verified (CN=lims,O=Lab); absent without one",
        lambda _, p: p.certificate.subject if p.certificate else None,
    ),
    "certificate_name": _text(
        "common name in the frontend's certificate; absent without one",
        lambda _, p: p.certificate.name if p.certificate else None,
    ),
    "certificate_alternatives": Fact(
        FactType.SET,
        "further names in the frontend's certificate: hosts, addresses, e-mail addresses, URIs",
        lambda _, p: p.certificate.alternatives if p.certificate else frozenset(),
    ),
}


class FactValues(dict[str, FactValue]):
    """The facts of one statement by name, each read when first asked for.

    Of an opaque statement only what was seen is known; what was not seen may still be there.
    """

    def __init__(self, facts: StatementFacts, principal: Principal) -> None:
        super().__init__()
        self._facts = facts
        self._principal = principal

    def __missing__(self, name: str) -> FactValue:
        fact = FACTS[name]
        value = fact.read(self._facts, self._principal)
        unseen = not value or name == "subject_filter"
        if self._facts.opaque is not None and not fact.observed and unseen:
            value = UNKNOWN
        self[name] = value
        return value
