"""Which relations describe patients, and which columns are keys that lead to them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy.policy.draft import names
from proxy.policy.draft.guess import FEW_SEEN, MOST, Guess, Surety, fits
from proxy.policy.draft.live_schema import Look
from proxy.policy.draft.names import Meaning
from proxy.terms.column_class import ColumnClass
from proxy.terms.relation import Column, Relation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proxy.policy.draft.live_schema import LiveColumn, LiveRelation

NAMES: Final = frozenset({Meaning.LAST_NAME, Meaning.FIRST_NAME, Meaning.FULL_NAME})
_PERSONAL: Final = NAMES | {Meaning.ADDRESS, Meaning.PHONE, Meaning.EMAIL, Meaning.IBAN}
_ENOUGH: Final = 4  # evidence for a relation that describes patients


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a column seems to be, and why. ``space``: the value space of a key."""

    column_class: ColumnClass
    space: str | None
    surety: Surety
    why: str


@dataclass(slots=True)
class Tables:
    """The tables of a schema with what their columns seem to hold."""

    subject: str
    tables: Mapping[Relation, LiveRelation]
    references: Mapping[Column, Column]
    guesses: Mapping[Column, Guess]
    keys: dict[Column, Proposal] = field(default_factory=dict)

    def columns(self) -> Iterator[tuple[Column, LiveColumn]]:
        """Yield every column of every table."""
        for relation, table in self.tables.items():
            for column in table.columns:
                yield Column(relation, column.name), column

    def held(self, relation: Relation) -> set[Meaning]:
        """Return what the columns of a relation seem to hold."""
        found = (self.guesses.get(Column(relation, one.name)) for one in self.columns_of(relation))
        return {one.meaning for one in found if one is not None}

    def columns_of(self, relation: Relation) -> tuple[LiveColumn, ...]:
        """Return its columns."""
        return self.tables[relation].columns

    def has_key(self, relation: Relation) -> bool:
        """Whether a column of it leads to a patient."""
        return any(Column(relation, one.name) in self.keys for one in self.columns_of(relation))


def find_subjects(tables: Tables) -> tuple[dict[Relation, str], dict[Relation, str]]:
    """Return the relations that describe patients, and those that describe others, with why."""
    found: dict[Relation, str] = {}
    passed: dict[Relation, str] = {}
    for relation, table in tables.tables.items():
        # people may be in one relation, and their names in one beside it
        apart = any(
            target.relation == relation
            and source.relation != relation
            and tables.held(source.relation) & NAMES
            and names.names_subject(source.relation.name)
            for source, target in tables.references.items()
        )
        score, why = _evidence(table, tables.held(relation), names_apart=apart)
        if score >= _ENOUGH:
            found[relation] = why
        elif tables.held(relation) & _PERSONAL:
            passed[relation] = why
    return found, passed


def find_keys(tables: Tables, subjects: Mapping[Relation, str]) -> None:
    """Fill ``tables.keys``: of patients themselves, then what refers to them."""
    roots = _roots(tables, subjects)
    single = len(roots) == 1
    for place, column in tables.columns():
        found = tables.guesses.get(place)
        if found is not None and found.meaning is Meaning.NIR:
            space = f"{tables.subject}.nir"
            tables.keys[place] = Proposal(ColumnClass.IDENTITY, space, found.surety, found.why)
        elif place.relation in subjects:
            own = _own_key(tables, place, column, is_root=place.relation in roots, single=single)
            if own is not None:
                tables.keys[place] = own
    _follow_references(tables)
    _follow_names(tables, subjects)


def _evidence(table: LiveRelation, held: set[Meaning], *, names_apart: bool) -> tuple[int, str]:
    """Return how much speaks for patients, and what speaks for or against them."""
    said: list[str] = []
    score = 0
    points = (
        (4, Meaning.NIR in held, "has a NIR"),
        (3, names.names_subject(table.relation.name), "is named as patients are"),
        (3, Meaning.BIRTH_DATE in held, "has birth dates"),
        (1, bool(held & NAMES), "has names"),
        (1, names_apart, "names of its rows are beside it"),
        (1, bool(held & {Meaning.SEX, Meaning.INSURER, Meaning.BIRTH_PLACE}), ""),
        (-4, Meaning.NIR not in held and names.names_staff(table.relation.name),
         "is named as staff or things are"),
        (-3, Meaning.RPPS in held or _looks(table, Look.RPPS), "has numbers of doctors"),
    )  # fmt: skip
    for weight, holds, why in points:
        if holds:
            score += weight
            said += [why] if why else []
    if not (held & (NAMES | {Meaning.NIR}) or names_apart):
        score = min(score, _ENOUGH - 1)  # of whom it is, nothing tells
    return score, ", ".join(said) or "nothing tells of patients"


def _looks(table: LiveRelation, look: Look) -> bool:
    return any(
        one.looks.seen >= FEW_SEEN and one.looks.share(look) >= MOST for one in table.columns
    )


def _roots(tables: Tables, subjects: Mapping[Relation, str]) -> set[Relation]:
    """Return those whose own number stands for a patient: none is a part or child of another."""
    references = tables.references.items()
    own = {
        relation
        for relation in subjects
        if not tables.tables[relation].parents
        and not any(
            source.relation == relation
            and target.relation in subjects
            and target.relation != relation
            for source, target in references
        )
    }
    return own & {target.relation for _, target in references} or own


def _own_key(
    tables: Tables, place: Column, column: LiveColumn, *, is_root: bool, single: bool
) -> Proposal | None:
    if place in tables.references:
        return None
    found = tables.guesses.get(place)
    is_referenced = place in set(tables.references.values())
    bare = names.is_bare_key(column.name)
    nameless = not any(one.is_primary for one in tables.columns_of(place.relation))
    if is_root and (column.is_primary or is_referenced or (bare and nameless)):
        describes = names.names_subject(place.relation.name)
        space = f"{tables.subject}.id" if single and describes else _space(place)
        why = "the number of patients" if bare else "the key of patients"
        surety = Surety.SURE if column.is_primary or is_referenced else Surety.LIKELY
        if not describes:
            why, surety = "the key of rows that describe patients", Surety.LIKELY
        return Proposal(ColumnClass.KEY, space, surety, why)
    if found is not None and found.meaning is Meaning.IDENTIFIER:
        space = f"{tables.subject}.{_plain(found.phrase)}"
        return Proposal(ColumnClass.KEY, space, found.surety, found.why)
    return None


def _follow_references(tables: Tables) -> None:
    grown = True
    while grown:
        grown = False
        for source, target in tables.references.items():
            found = tables.keys.get(target)
            if found is not None and source not in tables.keys:
                why = f"foreign key to {target}"
                tables.keys[source] = Proposal(found.column_class, found.space, Surety.SURE, why)
                grown = True


def _follow_names(tables: Tables, subjects: Mapping[Relation, str]) -> None:
    """Find keys that have no foreign key: named as those that have one, or as a patient's."""
    types = {place: column.type for place, column in tables.columns()}
    named = {
        place.name: place
        for place in tables.keys
        if not names.is_bare_key(place.name) or names.names_subject(place.name)
    }
    roots = [
        place
        for place, key in tables.keys.items()
        if place.relation in subjects
        and place not in tables.references
        and key.column_class is ColumnClass.KEY
    ]
    for place, column in tables.columns():
        if place in tables.keys or place in tables.references or column.is_primary:
            continue
        same = named.get(place.name)
        if same is not None and fits(column.type, types[same]):
            why = f"named as {same} is, without a foreign key"
            key = tables.keys[same]
            tables.keys[place] = Proposal(key.column_class, key.space, Surety.LIKELY, why)
        elif names.names_subject(place.name) and names.is_bare_key(place.name):
            fitting = {tables.keys[one].space for one in roots if fits(column.type, types[one])}
            if len(fitting) == 1:
                why = "named as the number of a patient, without a foreign key"
                tables.keys[place] = Proposal(ColumnClass.KEY, fitting.pop(), Surety.LIKELY, why)


def _space(place: Column) -> str:
    return f"{_plain(place.relation.name)}.{_plain(place.name)}"


def _plain(name: str) -> str:
    """Return a name as key spaces have them."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return plain if plain[:1].isalpha() else f"k_{plain}"
