"""Where the schema map and a catalog do not fit."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from proxy.policy.draft.live_schema import LiveColumn, LiveRelation, LiveSchema, Look, Looks
from proxy.policy.drift import DriftKind, count_by_kind, drift_of_values, find_drift
from proxy.sql import build_catalog
from proxy.terms.column_class import ColumnClass
from proxy.terms.relation import Column, Relation
from tests.data.lab_catalog import LAB, LAB_MAP, LAB_RESULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.terms.schema_map import SchemaMap

Results = list[list[list[str | None]]]


def column(name: str) -> Column:
    schema, relation, bare = name.split(".")
    return Column(Relation(schema, relation), bare)


def with_table(*columns: str, name: str = "new", parent: str = "") -> Callable[[Results], None]:
    """Add a table to the catalog; ``columns``: name:type."""

    def change(results: Results) -> None:
        results[1].append(["18000", "lab", name, "r", "p"])
        for number, one in enumerate(columns, 1):
            column_name, _, type_oid = one.partition(":")
            results[2].append(["18000", str(number), column_name, type_oid])
        if parent:
            results[4].append([parent, "18000"])

    return change


def with_column(table: str, name: str, type_oid: str) -> Callable[[Results], None]:
    return lambda results: results[2].append([table, "40", name, type_oid])


def with_reference(source: str, number: str) -> Callable[[Results], None]:
    """Let a column of a table reference lab.patient.id."""
    return lambda results: results[9].append([source, number, "16406", "1"])


def without(oid: str) -> Callable[[Results], None]:
    def change(results: Results) -> None:
        results[1][:] = [row for row in results[1] if row[0] != oid]

    return change


def renamed(old: str, new: str) -> Callable[[Results], None]:
    def change(results: Results) -> None:
        for row in results[2]:
            row[2] = new if row[:1] == ["16406"] and row[2] == old else row[2]

    return change


class Case(NamedTuple):
    """Changes of the database, and what is told of them."""

    changes: tuple[Callable[[Results], None], ...]
    told: set[tuple[DriftKind, str]]
    schema_map: SchemaMap = LAB_MAP


GONE, COLUMN, TYPE = DriftKind.RELATION_GONE, DriftKind.COLUMN_GONE, DriftKind.TYPE_CHANGED
KEY, IDENTITY = DriftKind.KEY_UNMAPPED, DriftKind.IDENTITY_UNMAPPED
TYPED = replace(LAB_MAP, types={column("lab.patient.id"): "integer"})
SAID_NONE = replace(
    LAB_MAP, classes={**LAB_MAP.classes, column("lab.new.no_secu"): ColumnClass.NONE}
)

TABLE = {
    "nothing": Case((), set()),
    "a table gone": Case((without("16522"),), {(GONE, "lab.facture")}),
    "a column renamed": Case((renamed("phone", "x"),), {(COLUMN, "lab.patient.phone")}),
    "another type than the map says": Case((), {(TYPE, "lab.patient.id")}, TYPED),
    "a new table with a NIR": Case(
        (with_table("id:20", "NUM_SS:1043"),), {(IDENTITY, "lab.new.NUM_SS")}
    ),
    "one that the map says is of nobody": Case((with_table("no_secu:25"),), set(), SAID_NONE),
    "a number that cannot be a NIR": Case((with_table("nir:16", "ss:1082"),), set()),
    "a new table of doctors": Case((with_table("last_name:25", "phone:25", "rpps:25"),), set()),
    "a new partition": Case((with_table("id:20", "patient_id:20", parent="16560"),), set()),
    "a new name in a mapped table": Case(
        (with_column("16406", "nom_marital", "25"),), {(IDENTITY, "lab.patient.nom_marital")}
    ),
    "a doctor's name in a mapped table": Case((with_column("16406", "nom_medecin", "25"),), set()),
    "a new foreign key": Case(
        (with_table("sejour_id:20", "qui:20"), with_reference("18000", "2")),
        {(KEY, "lab.new.qui")},
    ),
    "one in a mapped table": Case(
        (with_column("16522", "assure", "20"), with_reference("16522", "40")),
        {(KEY, "lab.facture.assure")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
def test_what_is_told(case: Case) -> None:
    """Each change by its kind and place, and nothing that is no change."""
    results = deepcopy(LAB_RESULTS)
    for change in case.changes:
        change(results)

    found = find_drift(case.schema_map, build_catalog(results, case.schema_map))

    assert {(one.kind, one.place) for one in found} == case.told


def test_a_type_is_compared_with_what_it_was() -> None:
    """A map that says no types learns of a change from one reading to the next."""
    results = deepcopy(LAB_RESULTS)
    for row in results[2]:
        row[3] = "25" if row[0] == "16406" and row[2] == "id" else row[3]

    (found,) = find_drift(LAB_MAP, build_catalog(results, LAB_MAP), LAB)

    assert str(found) == "lab.patient.id: is text, was bigint"


def test_another_database_has_no_part_in_the_map() -> None:
    """Where no mapped relation is, none is gone; a NIR is still told."""
    results = deepcopy(LAB_RESULTS)
    results[1:] = [[], [], [], [], [], [], [], [[""]], []]
    with_table("nir:25")(results)

    found = find_drift(LAB_MAP, build_catalog(results, LAB_MAP))

    assert [str(one) for one in found] == [
        "lab.new.nir: its name says NIR, and it is not in the map"
    ]
    assert count_by_kind(found)[GONE] == 0


def test_values_tell_what_names_do_not() -> None:
    """A column of any name whose sampled values are NIRs."""
    relation = Relation("lab", "tmp")
    columns = (
        LiveColumn("c1", "text", looks=Looks(50, 50, {Look.NIR: 49})),
        LiveColumn("c2", "text", looks=Looks(50, 50, {Look.PHONE: 50})),
        LiveColumn("c3", "text", looks=Looks(2, 2, {Look.NIR: 2})),
    )
    schema = LiveSchema({relation: LiveRelation(relation, "r", columns)})

    assert [one.place for one in drift_of_values(LAB_MAP, schema)] == ["lab.tmp.c1"]
