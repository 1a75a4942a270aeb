"""What each column of the tables seems to be.

In doubt a column is proposed with the more sensitive class, as unsure: a review strikes out what is
too much, and does not see what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy.policy.draft import names
from proxy.policy.draft.guess import Surety, guess, guess_beside_nir, guess_of_person, is_packed
from proxy.policy.draft.keys import NAMES, Proposal, Tables, find_keys, find_subjects
from proxy.policy.draft.live_schema import Look
from proxy.policy.draft.names import CLASSES, Meaning
from proxy.terms.column_class import ColumnClass
from proxy.terms.relation import Column, Relation

if TYPE_CHECKING:
    from proxy.policy.draft.guess import Guess
    from proxy.policy.draft.live_schema import LiveColumn, LiveRelation, LiveSchema

_TABLES: Final = frozenset("rpf")
_OF_A_PERSON: Final = frozenset({Meaning.BIRTH_DATE, Meaning.BIRTH_PLACE, Meaning.SEX}) | NAMES
_MAY_HOLD: Final = frozenset({Meaning.FREE_TEXT, Meaning.HEALTH})


@dataclass(slots=True)
class Draft:
    """Proposals by relation and column, in the catalog's order.

    ``passed``: relations with people's data that are taken for somebody else's, and why.
    """

    subject: str
    relations: dict[Relation, dict[str, Proposal]] = field(default_factory=dict)
    passed: dict[Relation, str] = field(default_factory=dict)


def propose_tables(schema: LiveSchema, subject: str) -> Draft:
    """Return proposals for tables, partitions and foreign tables; for views see ``views``."""
    found = {name: one for name, one in schema.relations.items() if one.kind in _TABLES}
    guesses = {
        Column(name, column.name): told
        for name, one in found.items()
        for column in one.columns
        if (told := guess(column)) is not None
    }
    tables = Tables(subject, found, schema.references, guesses)
    subjects, passed = find_subjects(tables)
    find_keys(tables, subjects)
    draft = Draft(subject)
    for name, table in found.items():
        proposer = _Columns(tables, table, is_subject=name in subjects)
        proposals = {
            column.name: proposal
            for column in table.columns
            if (proposal := proposer.propose(column)) is not None
        }
        if proposals:
            draft.relations[name] = proposals
    _inherit(schema, draft)
    draft.passed = {name: why for name, why in passed.items() if name not in draft.relations}
    return draft


class _Columns:
    """Proposes for the columns of one table."""

    def __init__(self, tables: Tables, table: LiveRelation, *, is_subject: bool) -> None:
        self._tables = tables
        self._table = table
        self._is_subject = is_subject
        self._has_key = tables.has_key(table.relation)

    def propose(self, column: LiveColumn) -> Proposal | None:
        place = Column(self._table.relation, column.name)
        key = self._tables.keys.get(place)
        if key is not None:
            return key
        if not (self._is_subject or self._has_key):
            return self._held(column)
        found = self._tables.guesses.get(place)
        if found is None and self._is_subject:
            found = guess_of_person(column)
            if found is None and Meaning.NIR in self._tables.held(self._table.relation):
                found = guess_beside_nir(column)
        held = self._held(column)
        if held is not None and (found is None or found.meaning in _MAY_HOLD):
            return held
        if place in self._tables.references:
            return self._reference(place)
        return self._packed(column) if found is None else self._told(column, found)

    @staticmethod
    def _held(column: LiveColumn) -> Proposal | None:
        """Return what follows from identities within longer texts."""
        looks = column.looks
        for look, what in ((Look.HOLDS_NIR, "NIRs"), (Look.HOLDS_CONTACT, "addresses or phones")):
            if look in looks.counts:
                why = f"{looks.share(look):.0%} of {looks.seen} values hold {what}"
                sure = Surety.SURE if look is Look.HOLDS_NIR else Surety.LIKELY
                return Proposal(ColumnClass.IDENTITY, None, sure, why)
        return None

    @staticmethod
    def _packed(column: LiveColumn) -> Proposal | None:
        if not is_packed(column):
            return None
        why = "may hold anything, beside a patient's key"
        return Proposal(ColumnClass.IDENTITY, None, Surety.UNSURE, why)

    def _reference(self, place: Column) -> Proposal | None:
        """Return what a reference to something else than a patient tells."""
        target = self._tables.references[place].relation
        if self._tables.has_key(target) or not names.names_health(target.name):
            return None
        why = f"foreign key to {target}, which tells what was looked for"
        return Proposal(ColumnClass.HEALTH, None, Surety.LIKELY, why)

    def _told(self, column: LiveColumn, found: Guess) -> Proposal | None:
        meaning, column_class = found.meaning, CLASSES[found.meaning]
        if meaning is Meaning.HEALTH:
            return self._health(column, found)
        if meaning is Meaning.FREE_TEXT:
            return self._free_text(column, found)
        if names.is_of_others(column.name):
            return None
        if column_class is ColumnClass.NONE:
            return None
        if meaning is Meaning.IDENTIFIER:
            staff = names.names_staff(self._table.relation.name)
            if staff or self._is_subject or found.surety is not Surety.SURE:
                return None  # a subject's own are among the keys
            space = f"{self._tables.subject}.{found.phrase.replace(' ', '_')}"
            return Proposal(column_class, space, Surety.UNSURE, f"{found.why}, beside a key")
        if self._is_subject:
            return Proposal(column_class, None, found.surety, found.why)
        whose = names.names_subject(column.name) or names.names_subject(self._table.relation.name)
        if not whose and names.names_staff(self._table.relation.name):
            return None
        surety = Surety.LIKELY if whose or meaning in _OF_A_PERSON else Surety.UNSURE
        return Proposal(column_class, None, surety, f"{found.why}, beside a patient's key")

    def _health(self, column: LiveColumn, found: Guess) -> Proposal | None:
        if names.numbers_something(column.name, found.phrase):
            return None
        is_health = names.names_health(self._table.relation.name)
        weak = found.phrase in names.WEAK and not is_health
        surety = Surety.UNSURE if weak else min(found.surety, Surety.LIKELY + is_health)
        where = "in a relation of such a name" if is_health else "beside a patient's key"
        return Proposal(ColumnClass.HEALTH, None, Surety(surety), f"{found.why}, {where}")

    def _free_text(self, column: LiveColumn, found: Guess) -> Proposal | None:
        if names.is_key_like(column.name):
            return None
        if names.names_health(self._table.relation.name):
            why = f"{found.why}, in a relation of a name that tells of health"
            return Proposal(ColumnClass.HEALTH, None, Surety.LIKELY, why)
        why = "free text beside a patient's key: names may be in it"
        return Proposal(ColumnClass.IDENTITY, None, Surety.UNSURE, why)


def _inherit(schema: LiveSchema, draft: Draft) -> None:
    """Give partitions and inheriting tables what those above them have, the highest first."""
    done: set[Relation] = set()

    def settle(name: Relation) -> None:
        if name in done:
            return
        done.add(name)
        table = schema.relations[name]
        found = dict(draft.relations.get(name, {}))
        for parent in table.parents:
            settle(parent)
            for column, one in draft.relations.get(parent, {}).items():
                why = f"as in {parent}"
                found[column] = Proposal(one.column_class, one.space, one.surety, why)
        if found:
            order = [column.name for column in table.columns]
            draft.relations[name] = {one: found[one] for one in order if one in found}

    for name in schema.relations:
        settle(name)
