"""What is gathered while one statement is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from proxy.sql.facts.value import NOTHING
from proxy.sql.grammar import GrammarError
from proxy.terms.facts import SubjectFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.sql.cache import TwoGenerations
    from proxy.sql.catalog import Catalog, CatalogFunction
    from proxy.sql.facts.scope import Result, Scope
    from proxy.sql.facts.tree import Node
    from proxy.sql.facts.value import Named, Value
    from proxy.terms.column_class import ColumnClass
    from proxy.terms.facts import KeyFilter, SettingChange, SideDoor
    from proxy.terms.relation import Relation
    from proxy.terms.schema_map import SchemaMap


MAX_OCCURRENCES: Final = 4096


class QueryReader(Protocol):
    """Reads a query inside of an expression or a statement."""

    def __call__(self, reading: Reading, node: Node, parent: Scope | None) -> Result:
        """Return the columns and occurrences of the query."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it is written. ``nodes`` None: only that there may be one is known."""

    nodes: Sequence[Node] | None = None
    values: Sequence[Value] = ()
    is_variadic: bool = False  # the last argument is the array itself


@dataclass(frozen=True, slots=True)
class Called:
    """What a call of a function gives, whose body was read. ``columns`` None: not known.

    ``harmless``: it computes from its arguments, and touches nothing of anybody.
    """

    columns: tuple[Named, ...] | None = ()
    value: Value = NOTHING
    contributes: frozenset[int] = frozenset()
    strength: SubjectFilter | None = None
    harmless: bool = False


class CallReader(Protocol):
    """Reads a call of functions of the database, of which one will run."""

    def __call__(
        self, reading: Reading, functions: Sequence[CatalogFunction], call: Call
    ) -> Called | None:
        """Return what it gives; None: nobody can tell."""


# Which bodies were found to be harmless, by (OID, version of the catalog, search_path).
BodyBook: TypeAlias = "TwoGenerations[tuple[int, int, tuple[str, ...] | None], bool]"


@dataclass(frozen=True, slots=True)
class Edge:
    """Two occurrences hold the same subject in a row.

    ``forward``: what bounds the first bounds the second; ``backward`` the other way. ``level``
    is the query whose outer join made it, for which a filter on ``nullable`` opens the other way.
    """

    first: int
    second: int
    forward: bool
    backward: bool
    level: int
    nullable: int | None = None


@dataclass(slots=True)
class Level:
    """One SELECT (or the like) while it is read."""

    number: int
    members: set[int] = field(default_factory=set)  # occurrences of its FROM
    contributes: set[int] = field(default_factory=set)  # those and of sublinks in its output
    counts: bool = True  # whether it gives values to the result: not in WHERE
    grouped: bool = False
    splits_by_subject: bool = False  # grouped by, or filtered to, single subjects
    groups_are_subjects: bool = False  # a GROUP BY item is a stored subject key
    aggregates: bool = False
    row_counts: list[Value] = field(default_factory=list)  # values that say how many rows there are
    joined: SubjectFilter = SubjectFilter.NONE  # how the ON of inner joins narrows


@dataclass(slots=True)
class Reading:
    """Everything found so far in one statement. One for each; not shared."""

    catalog: Catalog | None
    schema_map: SchemaMap
    read_query: QueryReader
    made: dict[Relation, bool] = field(default_factory=dict)  # by earlier statements; tainted?
    relations: set[Relation] = field(default_factory=set)
    subject_relations: set[Relation] = field(default_factory=set)
    unknown_relations: set[Relation] = field(default_factory=set)
    writes: set[Relation] = field(default_factory=set)
    creates: set[Relation] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    unknown_functions: set[str] = field(default_factory=set)
    inner_functions: set[str] = field(default_factory=set)  # called by bodies alone
    unread: dict[str, str] = field(default_factory=dict)  # function -> why its body was not read
    read_call: CallReader | None = None  # None: bodies are not read
    reads_bodies: bool = True  # False: they may not be what the catalog says any more
    bodies: BodyBook | None = None
    calls: tuple[int, ...] = ()  # OIDs of the functions whose bodies this is within
    is_trial: bool = False  # of a body, without arguments
    assumes: bool = False  # a trial has taken a call of itself for harmless
    spent: list[int] = field(default_factory=lambda: [0])  # bodies read for the whole statement
    tells_others: bool = False  # what it is given may be seen by others: a notice, a lock
    subject_functions: set[str] = field(default_factory=set)
    side_doors: set[SideDoor] = field(default_factory=set)
    named_relations: set[tuple[str, str]] = field(default_factory=set)  # as written
    spans: list[tuple[int, int, str]] = field(default_factory=list)  # bytes: (start, end, fact)
    literals_used: dict[int, str] = field(default_factory=dict)  # byte -> 'value' or 'prefix'
    edges: list[Edge] = field(default_factory=list)
    seeds: set[int] = field(default_factory=set)  # occurrences held by a key filter
    filtered: set[tuple[int, int]] = field(default_factory=set)  # (level, occurrence) by WHERE
    key_filters: list[tuple[KeyFilter, tuple[int | None, ...]]] = field(default_factory=list)
    names_subject: bool = False  # compares a key or identity with a constant
    tests_parts: bool = False  # compares a computed part of an identity
    spells_rows: bool = False  # an identity says how many rows there are, or how long it takes
    asks_aside: bool = False  # compares a part of one that a query within the predicate gives
    tests_order: bool = False  # compares an identity by order or pattern
    # classes of columns that are more than given as they are: compared, computed with, ordered by
    used: set[ColumnClass] = field(default_factory=set)
    mixes: bool = False  # a row may hold values of several subjects of one occurrence
    stages: bool = False
    stages_keys: bool = False
    changes_catalog: bool = False
    drops: bool = False  # DROP, and no more
    changes_session: bool = False
    settings: list[SettingChange] = field(default_factory=list)
    occurrences: int = 0
    levels: int = 0
    level: Level = field(default_factory=lambda: Level(0))

    def apart(self, *, is_trial: bool, bodies: BodyBook | None = None) -> Reading:
        """Return a reading within this statement of which nothing is kept by itself."""
        return Reading(
            self.catalog,
            self.schema_map,
            self.read_query,
            made=dict(self.made),
            read_call=self.read_call,
            reads_bodies=self.reads_bodies,
            bodies=bodies,
            calls=self.calls,
            is_trial=is_trial,
            spent=self.spent,
        )

    def new_occurrence(self) -> int:
        """Return the number of one more appearance of subjects' data in the statement.

        Errors: GrammarError for more than any honest statement has: WITH queries that each use the
        one before twice double them at every step.
        """
        self.occurrences += 1
        if self.occurrences > MAX_OCCURRENCES:
            raise GrammarError("too many relations")
        return self.occurrences

    def new_level(self, *, counts: bool) -> Level:
        """Return a level for a query inside of the present one."""
        self.levels += 1
        return Level(self.levels, counts=counts)

    def use(self, *values: Value) -> None:
        """Note that what these carry decides about rows, or goes into another value."""
        for value in values:
            if not value.tells_nothing:
                self.used |= value.classes

    def use_literal(self, location: int | None, how: str = "value") -> None:
        """Note that some fact depends on the literal at this byte."""
        if location is not None and self.literals_used.get(location) != "value":
            self.literals_used[location] = how

    def span(self, location: int | None, length: int, what: str) -> None:
        """Note where in the text a fact comes from."""
        if location is not None and location >= 0:
            self.spans.append((location, location + length, what))
