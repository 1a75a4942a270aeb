"""What was observed about one statement, without opinion.

Facts are made by ``proxy.sql.analyse`` and read by ``proxy.policy`` (to score) and by
``proxy.meter`` (to choose how the result is charged).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, fields
from enum import StrEnum
from itertools import repeat
from operator import attrgetter, call
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.terms.behaviour import USUAL, Behaviour
from proxy.terms.column_class import ColumnClass
from proxy.terms.unknown import UNKNOWN, Unknown

if TYPE_CHECKING:
    from proxy.terms.relation import Column, Relation


class Kind(StrEnum):
    """What a statement is, as PostgreSQL's grammar sees it."""

    SELECT = "select"  # also TABLE and VALUES
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    MERGE = "merge"
    COPY_OUT = "copy_out"  # to the frontend
    COPY_IN = "copy_in"  # from the frontend
    COPY_FILE = "copy_file"  # to or from a file or program of the server
    DECLARE = "declare"
    FETCH = "fetch"  # also MOVE
    CLOSE = "close"
    PREPARE = "prepare"
    EXECUTE = "execute"
    DEALLOCATE = "deallocate"
    EXPLAIN = "explain"
    EXPLAIN_ANALYZE = "explain_analyze"
    DO = "do"
    CALL = "call"
    CREATE_TABLE_AS = "create_table_as"  # also SELECT INTO and CREATE MATERIALIZED VIEW
    CREATE_VIEW = "create_view"
    CREATE_CODE = "create_code"  # function, operator, aggregate, cast, rule, trigger, extension
    DDL = "ddl"
    GRANT = "grant"  # also REVOKE and role changes
    SET = "set"  # also RESET and DISCARD
    SHOW = "show"
    TRANSACTION = "transaction"
    MAINTENANCE = "maintenance"  # VACUUM, ANALYZE, REINDEX, CLUSTER, REFRESH, CHECKPOINT, LOCK
    NOTIFY = "notify"
    LISTEN = "listen"  # also UNLISTEN
    EMPTY = "empty"
    FUNCTION_CALL = "function_call"  # the FunctionCall message
    REPLICATION = "replication"  # a replication connection, or a command of one
    OTHER = "other"
    OPAQUE = "opaque"  # it could not be read at all


class Provenance(StrEnum):
    """What an output column carries."""

    NONE = "none"  # nothing of a subject: a constant, a count, an average
    DIRECT = "direct"  # a column as it is stored
    DERIVED = "derived"  # computed from the values of one row
    FOLDED = "folded"  # values of many rows in one value
    UNKNOWN = "unknown"


class SubjectFilter(StrEnum):
    """How the predicates narrow the subjects a statement reads."""

    NONE = "none"  # no predicate at all
    OPEN = "open"  # predicates, but none that is known to select few
    SELECTIVE = "selective"  # equality with constants on some column, or a two-sided range
    KEY = "key"  # equality with constants on a subject key


class SideDoor(StrEnum):
    """A way out or in that is not a row of the result."""

    FILE = "file"
    PROGRAM = "program"
    LARGE_OBJECT = "large_object"
    REMOTE = "remote"  # dblink, foreign servers
    SQL_TEXT = "sql_text"  # a function that runs SQL given as text
    REPLICATION = "replication"
    STATEMENT_TEXTS = "statement_texts"  # others' statements, with their literals
    STATISTICS = "statistics"  # pg_stats values, pg_statistic
    RAW_PAGES = "raw_pages"  # pageinspect and the like
    NOTIFY = "notify"  # a payload computed from data
    LEXER_SETTING = "lexer_setting"  # quoting rules, unsafe encodings
    SETTING_CHANNEL = "setting_channel"  # set_config with a computed value
    SESSION_IDENTITY = "session_identity"  # SET ROLE, SET SESSION AUTHORIZATION


class TransactionStep(StrEnum):
    """What a statement does to the transaction."""

    BEGIN = "begin"
    COMMIT = "commit"  # also PREPARE TRANSACTION
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    RELEASE = "release"
    ROLLBACK_TO = "rollback_to"


class CopyFormat(StrEnum):
    """How COPY to the frontend writes its rows."""

    TEXT = "text"
    CSV = "csv"
    BINARY = "binary"
    OTHER = "other"  # with separators of its own: rows cannot be taken apart without doubt


@dataclass(frozen=True, slots=True)
class Parameter:
    """``$n``, numbered from 1 as on the wire."""

    number: int


class Literal(NamedTuple):
    """A constant of the text. ``slot`` is its place among the literals of the template."""

    value: str
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that a statement changes. ``name``: in lower case; None: all, or it is not known.

    ``value``: None for its default, UNKNOWN if it cannot be read. ``is_local``: until the end of
    the transaction.
    """

    name: str | None
    value: Literal | Parameter | Unknown | None
    is_local: bool = False


class KeyFilter(NamedTuple):
    """A top-level ``key = constant`` or ``key IN (constants)``.

    ``space`` names the key's value space (``patient.id``), the same for each foreign key to it.
    """

    space: str
    values: tuple[Literal | Parameter, ...]
    is_array: bool = False  # the one parameter or literal is an array: key = ANY($1)


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """One column of a result, as the parsers understand it."""

    name: str
    provenance: Provenance
    column_class: ColumnClass  # the most sensitive class among the sources
    sources: frozenset[Column] = frozenset()
    key_space: str | None = None  # set when it is a subject key, DIRECT
    identifies: bool = False  # what tells a subject went into it, whatever its class is
    also: frozenset[ColumnClass] = frozenset()  # classes less sensitive that are in it as well
    is_one_column: bool = False  # the values are those of one stored column, and no others

    @property
    def classes(self) -> frozenset[ColumnClass]:
        """All classes that are in it; of a constant, none."""
        if self.provenance is Provenance.NONE:
            return frozenset()
        return self.also | {self.column_class}


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two witnesses saw different things; the pessimistic side was taken.

    ``planner``: what only the planner saw is in ``sqlglot``'s place.
    """

    what: str  # statement_count, kind, relations, functions, planner
    sqlglot: str
    grammar: str


@dataclass(frozen=True, slots=True)
class StatementFacts:
    """All facts about one statement. Defaults are those of a harmless one.

    For a statement that wraps another (DECLARE, PREPARE, EXPLAIN, COPY (query)), the facts on
    relations, columns and bounds are those of the inner statement.
    """

    kind: Kind
    text: str = ""  # the statement's own text; never logged
    template: str = ""  # the same without literals; may be logged
    fingerprint: str = ""  # 16 hex digits of the template's hash
    opaque: str | None = None  # why it could not be understood
    opaque_at: int | None = None  # offset in characters where
    relations: frozenset[Relation] = frozenset()  # all that are read, views opened up
    subject_relations: frozenset[Relation] = frozenset()  # those of them with subjects' data
    writes: frozenset[Relation] = frozenset()
    unknown_relations: frozenset[Relation] = frozenset()  # not in the catalog
    functions: frozenset[str] = frozenset()
    unknown_functions: frozenset[str] = frozenset()  # neither built in and harmless nor mapped
    unread: tuple[tuple[str, str], ...] = ()  # (function, why its body could not be read)
    subject_functions: frozenset[str] = frozenset()  # mapped, and giving subjects' data
    output: tuple[OutputColumn, ...] | Unknown = ()
    returns_rows: bool = False
    one_subject_per_row: bool = False  # provably: all keys of a row belong to one subject
    subject_filter: SubjectFilter = SubjectFilter.NONE
    key_filters: tuple[KeyFilter, ...] = ()
    bounded_by_keys: bool = False  # every subject relation read is held by ``key_filters``
    row_bound: int | Parameter | Unknown | None = None  # LIMIT; None: there is none
    row_bound_slot: int | None = None
    estimated_rows: int | None = None  # by the planner, of this very text; None: it was not asked
    estimated_share: int | None = (
        None  # those in percent of the subjects there are; None: not known
    )
    folds: bool | Unknown = False
    # of columns that are compared, computed with, ordered by, written; not only given as they are
    used_classes: frozenset[ColumnClass] = frozenset()
    side_doors: frozenset[SideDoor] = frozenset()
    stages: bool = False  # copies subjects' data into a relation that is no subject relation
    stages_keys: bool = False  # copies subject keys there: whose a value beside them is, is known
    changes_catalog: bool = False  # DDL: the catalog has to be read again
    drops: bool = False  # DROP, which makes and shows nothing
    changes_session: bool = False  # search_path, role, settings
    creates: frozenset[Relation] = frozenset()  # relations it makes or renames to
    creates_clean: bool = False  # and nothing of a subject is in them at first
    cursor: str | None = None  # DECLARE, FETCH, CLOSE
    holds: bool = False  # DECLARE ... WITH HOLD: outlives its transaction
    prepared: str | None = None  # PREPARE, EXECUTE, DEALLOCATE
    # EXECUTE's values in order: a constant, None for NULL, unknown for a computed one
    execute_values: tuple[Literal | Parameter | Unknown | None, ...] = ()
    bound_keys: int | Unknown | None = None  # how many keys the arrays that were bound hold
    walk_steps: int = 0  # of a walk through a table by its principal that this one goes on with
    walked_subjects: int = 0  # whom that walk can have given at most
    behaviour: Behaviour = USUAL  # of its principal
    names_subject: bool = (
        False  # a key or identity is compared with a constant: whose it is, is known
    )
    probes_identity: bool = False  # asks for a part of an identity, and shows next to nothing
    discards: bool = False  # DISCARD ALL: names of statements and cursors are gone
    rolls_back_to: bool = False  # ROLLBACK TO SAVEPOINT: younger cursors are gone
    settings: tuple[SettingChange, ...] = ()  # that it changes, in order
    transaction: TransactionStep | None = None
    savepoint: str = ""  # that it makes, releases or rolls back to
    copy_format: CopyFormat | None = None  # of COPY to the frontend
    copy_header: bool = False  # it begins with a line of names, for sure
    disagreements: tuple[Disagreement, ...] = ()
    spans: tuple[tuple[int, int, str], ...] = field(default=())  # (start, end, fact) in ``text``
    # The same for facts that differ in nothing but text, values of keys and row bound; None: for
    # facts that were put together elsewhere. It stands for them as a key of caches.
    shape: object | None = field(default=None, compare=False, repr=False)
    nobody_in_reach: bool = False  # the catalog is known, and has subjects' data nowhere
    fits_template: bool = False  # no fact depends on a literal: they hold for the whole template
    fits_keys: bool = False  # none but the values of keys and the row bound does

    @property
    def keys_named(self) -> int | Parameter | Unknown:
        """How many keys the predicates name; a parameter: an array of them that is bound later."""
        total = 0
        for key in self.key_filters:
            if not key.is_array:
                total += len(key.values)
                continue
            for value in key.values:
                if isinstance(value, Literal):
                    total += value.value.count(",") + 1
                elif self.bound_keys is None:
                    return value
        return total if self.bound_keys is None else self.bound_keys

    @property
    def reads_subjects(self) -> bool:
        """Whether some subject's data is in reach, as far as anyone can tell."""
        if SideDoor.STATEMENT_TEXTS in self.side_doors:
            return True  # those of other databases as well
        if self.nobody_in_reach:
            return False
        return self.reads_known_subjects or bool(self.unknown_relations)

    @property
    def reads_known_subjects(self) -> bool:
        """Whether it is in reach by more than relations that are not in the catalog."""
        if SideDoor.STATEMENT_TEXTS in self.side_doors:
            return True
        if self.nobody_in_reach:
            return False
        return self.opaque is not None or bool(
            self.subject_relations or self.unknown_functions or self.subject_functions
        )

    @property
    def classes(self) -> frozenset[ColumnClass]:
        """The classes of what leaves in rows; unknown output is ``ColumnClass.UNKNOWN``."""
        if self.output is UNKNOWN:
            return frozenset({ColumnClass.UNKNOWN})
        return frozenset(
            column.column_class
            for column in self.output
            if column.provenance is not Provenance.NONE
        )


_NAMES: Final = tuple(one.name for one in fields(StatementFacts))
_READ_ALL: Final = attrgetter(*_NAMES)
_SET: Final = [getattr(StatementFacts, name).__set__ for name in _NAMES]
_SET_TEXT, _SET_KEYS, _SET_BOUND, _SET_SPANS = (
    _SET[_NAMES.index(name)] for name in ("text", "key_filters", "row_bound", "spans")
)


def with_literals(
    facts: StatementFacts,
    text: str,
    key_filters: tuple[KeyFilter, ...],
    row_bound: int | Parameter | Unknown | None,
) -> StatementFacts:
    """Return the facts of another text of the same template: ``replace``, at a quarter of its time.

    On the way of every look-up by key that is written with its key.
    """
    made = object.__new__(StatementFacts)
    deque(map(call, _SET, repeat(made), _READ_ALL(facts)), maxlen=0)
    _SET_TEXT(made, text)
    _SET_KEYS(made, key_filters)
    _SET_BOUND(made, row_bound)
    _SET_SPANS(made, ())
    return made
