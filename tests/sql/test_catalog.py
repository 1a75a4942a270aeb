"""The catalog: names as the session resolves them, and what columns are, by OID."""

from __future__ import annotations

from copy import deepcopy
from typing import Final

import pytest

from proxy.sql import Analyser, Catalog, build_catalog
from proxy.sql.kept import kept_of
from proxy.terms.column_class import ColumnClass
from proxy.terms.relation import Relation
from tests.data.lab_catalog import LAB, LAB_MAP, LAB_RESULTS

PATIENT: Final = Relation("lab", "patient")


def oid(name: str) -> int:
    """Return the OID of a relation of the laboratory."""
    return LAB.oids[Relation("lab", name)]


def facts(text: str, catalog: Catalog) -> frozenset[Relation]:
    """Return the subject relations of a statement under a catalog."""
    found = Analyser(LAB_MAP).analyse(text.encode(), encoding="UTF8", catalog=catalog)
    return found[0].subject_relations


@pytest.mark.parametrize(
    ("relation", "number", "column_class", "space", "subject"),
    [
        ("patient", 1, "key", "patient.id", True),
        ("patient", 2, "identity", "patient.nir", True),
        ("patient", 14, "none", None, True),
        ("patient", 0, "identity", None, True),
        ("patient", 99, "unknown", None, True),
        ("medecin", 3, "none", None, False),
        ("resultat_urgent", 2, "key", "patient.id", True),
        ("resultat_archive_2020", 4, "health", None, True),
        ("v_stock_tubes", 1, "unknown", None, True),
        ("v_patient_resultat", 2, "identity", "patient.nir", True),
        ("mv_stats_mois", 4, "none", None, False),
    ],
)
def test_origin(
    relation: str, number: int, column_class: str, space: str | None, subject: bool
) -> None:
    """A column of RowDescription is what the map, the parent or the view says."""
    found = LAB.origin(oid(relation), number)
    assert (found.column_class, found.key_space, found.subject) == (
        ColumnClass(column_class),
        space,
        subject,
    )


def test_origin_of_what_is_not_there() -> None:
    """PostgreSQL's own relations are harmless; an unheard-of OID is not."""
    assert LAB.origin(1259, 2).column_class is ColumnClass.NONE
    assert LAB.origin(99999, 1).column_class is ColumnClass.UNKNOWN


def test_views_and_children_are_opened() -> None:
    """A view reads its bases; a parent reads its children, unless ONLY."""
    bases = {Relation("lab", name) for name in ("v_worklist", "echantillon", "patient")}
    assert facts("select * from v_worklist", LAB) == bases
    both = {Relation("lab", "resultat"), Relation("lab", "resultat_urgent")}
    assert facts("select * from resultat", LAB) == both
    assert facts("select * from only resultat", LAB) == {Relation("lab", "resultat")}


def test_a_renamed_relation_stays_what_it_was() -> None:
    """The OID holds: neither a new table name nor a new column name frees it."""
    results = deepcopy(LAB_RESULTS)
    for row in results[1]:
        if row[2] == "patient":
            row[2] = "param_automate"
    for row in results[2]:
        if row[0] == str(oid("patient")) and row[2] == "nir":
            row[2] = "libelle"
    renamed = build_catalog(results, LAB_MAP, LAB)
    assert renamed.version != LAB.version
    assert renamed.origin(oid("patient"), 2).column_class is ColumnClass.IDENTITY
    moved = Relation("lab", "param_automate")
    assert facts("select libelle from param_automate", renamed) == {moved}


def test_equal_content_is_the_same_catalog() -> None:
    """Reading the same again changes nothing; the version is the content's."""
    assert build_catalog(LAB_RESULTS, LAB_MAP, LAB) is LAB
    assert build_catalog(LAB_RESULTS, LAB_MAP).version == LAB.version


def test_tainted_copies_are_subject_relations() -> None:
    """A copy of subjects' data is as unknown as data can be, also when read again later."""
    copy = Relation("lab", "qc_mesure")
    tainted = LAB.with_tainted([copy])
    assert facts("select value from qc_mesure", tainted) == {copy}
    assert tainted.origin(oid("qc_mesure"), 1).column_class is ColumnClass.UNKNOWN
    results = deepcopy(LAB_RESULTS)
    results[1].append(["20000", "pg_temp_3", "t1", "r", "t"])
    results[2].append(["20000", "1", "a", "25"])
    later = build_catalog(results, LAB_MAP, LAB.with_tainted([Relation("pg_temp", "t1")]))
    assert later.origin(20000, 1).column_class is ColumnClass.UNKNOWN


def test_shadowing_follows_the_search_path() -> None:
    """A temporary relation comes first; an unknown path means any of the name."""
    results = deepcopy(LAB_RESULTS)
    results[0][0][0] = "pg_temp_3\npg_catalog\nlab"
    results[1].append(["20000", "pg_temp_3", "analyse", "v", "t"])
    results[2].append(["20000", "1", "a", "25"])
    results[3].append(["20000", str(oid("patient"))])
    shadowed = build_catalog(results, LAB_MAP)
    assert PATIENT in facts('select * from "analyse"', shadowed)
    assert PATIENT not in facts("select * from lab.analyse", shadowed)
    assert PATIENT in facts('select * from "analyse"', shadowed.with_search_path(None))
    assert PATIENT in facts("select * from pg_temp.analyse", shadowed)


def test_functions_of_the_database_are_unknown() -> None:
    """An overload of a built-in may be the one that runs; trigram functions are harmless."""
    results = deepcopy(LAB_RESULTS)
    results[5].append(["30000", "lab", "lower", "f", "v", "sql", "f", ""])
    results[7].append(["lab", "@@@@", ""])
    overloaded = build_catalog(results, LAB_MAP)

    def unknown(text: str, catalog: Catalog) -> frozenset[str]:
        found = Analyser(LAB_MAP).analyse(text.encode(), encoding="UTF8", catalog=catalog)
        return found[0].unknown_functions

    assert unknown("select lower('x')", LAB) == frozenset()
    assert unknown("select lower('x')", overloaded) == {"lower"}
    assert unknown("select pg_catalog.lower('x')", overloaded) == frozenset()
    assert unknown("select similarity('a','b'), 'a' % 'b'", LAB) == frozenset()
    assert unknown("select 1 @@@@ 2", overloaded) == {"operator @@@@"}
    assert unknown("select 1 operator(staging.+) 2", LAB) == {"operator staging.+"}


def test_results_of_another_shape_are_an_error() -> None:
    """A catalog from half an answer would know too little."""
    with pytest.raises(ValueError, match="10 results"):
        build_catalog(LAB_RESULTS[:3], LAB_MAP)


def test_nobody_is_in_reach_where_no_relation_holds_subjects() -> None:
    """What cannot be understood takes nobody from such a database; a way out of it changes that."""
    results = deepcopy(LAB_RESULTS)
    results[1] = [["20000", "app", "job", "r", "p"]]
    results[2] = [["20000", "1", "id", "23"]]
    results[3], results[4] = [], []
    results[5] = [["30000", "app", "f", "f", "v", "c", "f", ""]]
    alone = build_catalog(results, LAB_MAP)
    job = Relation("app", "job")
    linked, foreign = deepcopy(results), deepcopy(results)
    linked[5].append(["30001", "public", "dblink", "f", "v", "c", "f", "dblink"])
    foreign[1][0][3] = "f"
    analyser = Analyser(LAB_MAP)

    def in_reach(text: str, catalog: Catalog) -> bool:
        (found,) = analyser.analyse(text.encode(), encoding="UTF8", catalog=catalog)
        return found.reads_subjects

    for text in ("do $$ begin perform f(); end $$", "select app.f()", "selec 1"):
        assert not in_reach(text, alone)
        assert in_reach(text, LAB)
        assert in_reach(text, build_catalog(linked, LAB_MAP))
        assert in_reach(text, build_catalog(foreign, LAB_MAP))
        assert in_reach(text, alone.with_tainted([job]))
        assert in_reach(text, alone.with_fresh({Relation("app", "copy"): True}))
        assert not in_reach(text, alone.with_fresh({Relation("app", "copy"): False}))
        copy, held = Relation("app", "copy"), frozenset({job})
        assert not in_reach(text, alone.with_changes(frozenset({copy}), {copy: False}))
        assert in_reach(text, alone.with_changes(frozenset({copy}), {copy: True}))
        assert in_reach(text, alone.with_changes(held, {copy: False}))


def test_what_was_found_outlives_the_process_with_the_oid() -> None:
    """A renamed relation and a renamed copy are known again; after DROP the OID is nobody's."""
    results = deepcopy(LAB_RESULTS)
    results[1].append(["30000", "staging", "copy", "r", "p"])
    results[2].append(["30000", "1", "c1", "25"])
    copy = Relation("staging", "copy")
    before = build_catalog(results, LAB_MAP, tainted=frozenset({copy}))
    kept = kept_of(before)
    for row in results[1]:
        row[2] = {"copy": "innocent", "patient": "parameters"}.get(row[2] or "", row[2])
    after = build_catalog(results, LAB_MAP, kept=kept)
    plain = build_catalog(results, LAB_MAP)

    assert after.origin(30000, 1).column_class is ColumnClass.UNKNOWN
    assert after.origin(oid("patient"), 2).column_class is ColumnClass.IDENTITY
    assert plain.origin(30000, 1).column_class is ColumnClass.NONE
    results[1] = [row for row in results[1] if row[0] != "30000"]
    assert all(one.oid != 30000 for one in kept_of(build_catalog(results, LAB_MAP, after)))


def test_an_oid_of_another_cluster_is_another_relation() -> None:
    """Neither the name nor most columns are the same."""
    results = deepcopy(LAB_RESULTS)
    kept = kept_of(build_catalog(results, LAB_MAP))
    results[1] = [[oid, "app", f"t{oid}", "r", "p"] for oid, *_ in results[1]]
    results[2] = [[oid, "1", "x", "16"] for oid, *_ in results[1]]
    results[3] = results[4] = []

    assert not build_catalog(results, LAB_MAP, kept=kept).subjects
