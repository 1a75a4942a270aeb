"""The leak bound: how each kind of result is charged, and that a doubt is charged more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.plan import BY_BYTES, FIRST_USER_OID, FREE, ChargePlan, KeyColumn, plan_charge
from proxy.terms.budget import Method
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Kind, OutputColumn, Provenance, SideDoor, StatementFacts
from proxy.terms.relation import Relation
from proxy.terms.unknown import UNKNOWN
from proxy.wire.backend import ResultColumn
from tests.data.lab_catalog import LAB

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.sql.catalog import Catalog

    Facts = Callable[..., StatementFacts]

PATIENT: Final = Relation("lab", "patient")
PG_STATS_OID: Final = 12100
FIVE: Final = (("patient.id", b"5"),)


def stored(relation: str, names: str, form: int = 0) -> list[ResultColumn]:
    """Return columns of a relation as RowDescription has them, with table OID and number."""
    entry = LAB.relations[LAB.oids[Relation("lab", relation)]]
    by_name = {name: (number, type_oid) for number, name, type_oid in entry.columns}
    return [
        ResultColumn(name, entry.oid, by_name[name][0], by_name[name][1], form)
        for name in names.split()
    ]


def computed(*names: str) -> list[ResultColumn]:
    """Return columns as RowDescription has those that no table stores."""
    return [ResultColumn(name, 0, 0, 25, 0) for name in names]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("select count(*) from lab.patient", computed("count")),
        ("select 1, now()", computed("?column?", "now")),
        ("select code, libelle from lab.analyse", stored("analyse", "code libelle")),
        ("select mutuelle from lab.patient", stored("patient", "mutuelle")),
        ("select relname from pg_class", [ResultColumn("relname", 1259, 2, 19, 0)]),
        ("select n from lab.mv_stats_mois", stored("mv_stats_mois", "n")),
        ("select from lab.patient", []),
        ("show all", computed("name", "setting", "description")),
    ],
)
def test_free(facts: Facts, text: str, columns: list[ResultColumn]) -> None:
    """What provably carries nothing of a subject costs nothing, and is not looked into."""
    plan = plan_charge(facts(text), columns, LAB)

    assert plan == FREE
    assert plan.is_free


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("select id from lab.patient", stored("patient", "id")),
        ("select value from lab.resultat", stored("resultat", "value")),
        ("select string_agg(id::text, ',') from lab.patient", computed("string_agg")),
    ],
)
def test_bare_keys_and_health_of_nobody_count_as_rows(
    facts: Facts, text: str, columns: list[ResultColumn]
) -> None:
    """Keys that name nobody, or values without a key, disclose no subject; rows are counted."""
    plan = plan_charge(facts(text), columns, LAB)

    assert plan == ChargePlan(Method.FREE, counts_rows=True)
    assert not plan.is_free


def test_keys_in_the_row(facts: Facts) -> None:
    """All keys of a row that is about one subject are keys of that subject, in their formats."""
    columns = stored("patient", "last_name nir id", form=1)

    plan = plan_charge(facts("select last_name, nir, id from lab.patient"), columns, LAB)

    assert plan.method is Method.KEYS
    assert plan.linked
    assert plan.keys == (
        KeyColumn(1, "patient.nir", 1042, 1),
        KeyColumn(2, "patient.id", 20, 1),
    )
    assert plan.values == (0,)


@pytest.mark.parametrize(
    ("text", "columns", "space"),
    [
        (
            "select patient_id, value from lab.resultat",
            stored("resultat", "patient_id value"),
            "patient.id",
        ),
        (
            "select patient_id, last_name from lab.v_patient_resultat",
            stored("v_patient_resultat", "patient_id last_name"),
            "patient.id",
        ),
        (
            "select patient_id, value from lab.resultat_archive",
            stored("resultat_archive", "patient_id value"),
            "patient.id",
        ),
        (
            "select nir, value from lab.v_patient_resultat",
            stored("v_patient_resultat", "nir value"),
            "patient.nir",
        ),
        (
            "select id, last_name from lab.patient union select id, nir from lab.patient",
            computed("id", "last_name"),
            "patient.id",
        ),
    ],
)
def test_keys_through_views_partitions_and_unions(
    facts: Facts, text: str, columns: list[ResultColumn], space: str
) -> None:
    """The key of a view, of a partitioned table or of a union is the key behind it."""
    plan = plan_charge(facts(text), columns, LAB)

    assert plan.method is Method.KEYS
    assert [key.space for key in plan.keys] == [space]


def test_rows_without_a_key(facts: Facts) -> None:
    """Each row may be another subject, and is one."""
    columns = stored("patient", "last_name birth_date mutuelle")

    plan = plan_charge(
        facts("select last_name, birth_date, mutuelle from lab.patient"), columns, LAB
    )

    assert plan == ChargePlan(Method.ROWS, linked=True, values=(0, 1))


@pytest.mark.parametrize("catalog", [LAB, None])
@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("select last_name from lab.patient where id = 5", stored("patient", "last_name")),
        ("select last_name || '' from lab.patient where id = 5", computed("?column?")),
        ("select string_agg(nir, '') from lab.patient where id = 5", computed("string_agg")),
        ("select value from lab.resultat where patient_id = 5", stored("resultat", "value")),
    ],
)
def test_bound_by_keys_of_the_predicates(
    facts: Facts, catalog: Catalog | None, text: str, columns: list[ResultColumn]
) -> None:
    """Whatever is made of them, no more subjects leave than the predicates name."""
    plan = plan_charge(facts(text, catalog), columns, catalog, FIVE)

    assert plan == ChargePlan(Method.BOUND, fixed=FIVE)


@pytest.mark.parametrize(
    ("text", "columns", "method"),
    [
        (
            "select string_agg(nir, '') from lab.patient where id = 5 or true",
            computed("string_agg"),
            Method.BYTES,
        ),
        (
            "select b.last_name from lab.patient a, lab.patient b where a.id = 5",
            stored("patient", "last_name"),
            Method.ROWS,
        ),
        ("select f_unknown(nir) from lab.patient where id = 5", computed("f"), Method.BYTES),
    ],
)
def test_keys_that_do_not_hold_everything_bound_nothing(
    facts: Facts, text: str, columns: list[ResultColumn], method: Method
) -> None:
    """A key in the predicates is no bound for what is read beside it."""
    assert plan_charge(facts(text), columns, LAB, FIVE).method is method


def test_keys_of_which_a_value_is_not_known_bound_nothing(facts: Facts) -> None:
    """Without the values there is nothing to charge once."""
    found = facts("select last_name from lab.patient where id = $1")

    assert found.bounded_by_keys
    assert plan_charge(found, stored("patient", "last_name"), LAB, ()).method is Method.ROWS


@pytest.mark.parametrize(
    ("text", "columns", "packed"),
    [
        ("select string_agg(nir, ',') from lab.patient", computed("string_agg"), (0,)),
        ("select json_agg(p) from lab.patient p", computed("json_agg"), (0,)),
        (
            "select a.last_name || b.last_name from lab.patient a, lab.patient b",
            computed("?column?"),
            (0,),
        ),
        ("select f_unknown(1)", computed("f_unknown"), (0,)),
        (
            "select id, lab.lab_json() from lab.patient",
            [*stored("patient", "id"), *computed("lab_json")],
            (1,),
        ),
    ],
)
def test_bytes_where_a_value_may_hold_many(
    facts: Facts, text: str, columns: list[ResultColumn], packed: tuple[int, ...]
) -> None:
    """Folded, mixed or unknown values are charged by what they can hold."""
    plan = plan_charge(facts(text), columns, LAB)

    assert plan.method is Method.BYTES
    assert plan.packed == packed
    assert not plan.everything


@pytest.mark.parametrize(
    "text", ["do $$ begin execute 'a' || 1; end $$", "select \x01", "select 'open"]
)
def test_opaque_is_charged_by_all_its_bytes(facts: Facts, text: str) -> None:
    """What could not be read is not looked into for what it might be."""
    found = facts(text)

    assert found.opaque is not None
    assert plan_charge(found, stored("patient", "id"), LAB, FIVE) == BY_BYTES


@pytest.mark.parametrize("text", ["copy lab.patient to stdout", "select f_unknown(1)"])
def test_a_result_that_nobody_described_is_charged_by_all_its_bytes(
    facts: Facts, text: str
) -> None:
    """No columns where facts know of some is no proof that nothing leaves."""
    found = facts(text)

    assert plan_charge(found, [], LAB) == BY_BYTES
    assert plan_charge(replace(found, output=UNKNOWN), [], LAB) == BY_BYTES


def test_unlinked_values_may_each_be_another_subject(facts: Facts) -> None:
    """Two occurrences that no key joins: every key and every value counts by itself."""
    text = "select a.id, a.last_name, b.nir, b.phone from lab.patient a, lab.patient b"

    plan = plan_charge(facts(text), stored("patient", "id last_name nir phone"), LAB)

    assert not plan.linked
    assert [key.index for key in plan.keys] == [0, 2]
    assert plan.values == (1, 3)
    assert plan.method is Method.ROWS


def test_unlinked_keys_alone_are_charged_by_keys(facts: Facts) -> None:
    """Each key is a subject; there is no value that could be of yet another."""
    plan = plan_charge(
        facts("select a.nir, b.nir from lab.patient a, lab.patient b"),
        stored("patient", "nir nir"),
        LAB,
    )

    assert (plan.method, plan.linked, plan.values) == (Method.KEYS, False, ())
    assert len(plan.keys) == 2


def test_a_derived_key_is_no_key(facts: Facts) -> None:
    """``reverse(nir)`` cannot be matched with other keys, so its row counts as a row."""
    plan = plan_charge(facts("select reverse(nir) from lab.patient"), computed("reverse"), LAB)

    assert (plan.method, plan.keys, plan.values) == (Method.ROWS, (), (0,))


def test_a_whole_row_is_as_sensitive_as_its_worst_column(facts: Facts) -> None:
    """``SELECT p`` names the table and column 0, which stands for all of them."""
    columns = [ResultColumn("p", LAB.oids[PATIENT], 0, 16408, 0)]

    plan = plan_charge(facts("select p from lab.patient p"), columns, LAB)

    assert (plan.method, plan.values) == (Method.ROWS, (0,))


@pytest.mark.parametrize(
    ("catalog", "text", "columns"),
    [
        (None, "select mutuelle from lab.patient", stored("patient", "mutuelle")),
        (None, "select last_name from lab.patient", stored("patient", "last_name")),
        (LAB, "select ref_tube from lab.v_stock_tubes", stored("v_stock_tubes", "ref_tube")),
        (LAB, "select x from lab.made_since", [ResultColumn("x", 99999, 1, 25, 0)]),
        (
            LAB.with_tainted([Relation("lab", "qc_mesure")]),
            "select automate from lab.qc_mesure",
            stored("qc_mesure", "automate"),
        ),
    ],
)
def test_a_stored_column_that_nobody_classed_may_hold_many(
    facts: Facts, catalog: Catalog | None, text: str, columns: list[ResultColumn]
) -> None:
    """Without a catalog, of an unmapped view, a new table or a copy: by bytes, not one a row."""
    plan = plan_charge(facts(text, catalog), columns, catalog)

    assert (plan.method, plan.packed) == (Method.BYTES, (0,))


def test_a_copy_read_through_a_union_may_hold_many(facts: Facts) -> None:
    """Where the backend names no origin, an unclassed column is as little known."""
    catalog = LAB.with_tainted([Relation("lab", "qc_mesure")])
    text = "select automate from lab.qc_mesure union select automate from lab.qc_mesure"

    plan = plan_charge(facts(text, catalog), computed("automate"), catalog)

    assert (plan.method, plan.packed) == (Method.BYTES, (0,))


@pytest.mark.parametrize(
    ("text", "table_oid"),
    [
        ("select most_common_vals from pg_stats", PG_STATS_OID),
        ("select stavalues1 from pg_statistic", 2619),
        ("select data from pg_largeobject", 2613),
    ],
)
def test_relations_of_postgresql_that_hold_data_are_not_free(
    facts: Facts, text: str, table_oid: int
) -> None:
    """Statistics are full of names, and large objects are anything."""
    columns = [ResultColumn("x", table_oid, 5, 2277, 0)]

    assert plan_charge(facts(text), columns, LAB).packed == (0,)


def test_side_doors_without_data_leave_system_columns_free(facts: Facts) -> None:
    """A session's identity or a notification puts no subject into pg_class."""
    found = replace(
        facts("select relname from pg_class"),
        side_doors=frozenset({SideDoor.NOTIFY, SideDoor.SESSION_IDENTITY}),
    )

    assert plan_charge(found, [ResultColumn("relname", 1259, 2, 19, 0)], LAB) == FREE


def test_what_was_proved_of_another_relation_holds_for_nothing(facts: Facts) -> None:
    """The backend reads patients where the parsers saw results: no bound, nothing linked."""
    found = facts("select patient_id, value from lab.resultat where patient_id = 5")
    assert found.bounded_by_keys
    assert found.one_subject_per_row

    plan = plan_charge(found, stored("patient", "id last_name"), LAB, FIVE)

    assert not plan.linked
    assert plan.fixed == ()
    assert (plan.method, plan.values) == (Method.ROWS, (1,))


def test_columns_that_the_parsers_did_not_count_are_unknown(facts: Facts) -> None:
    """Three columns came where two were seen: none of them is what the parsers say."""
    found = facts("select count(*), 1 from lab.patient")

    plan = plan_charge(found, computed("a", "b", "c"), LAB)

    assert (plan.method, plan.packed) == (Method.BYTES, (0, 1, 2))


def test_columns_that_nobody_understands_are_free_where_no_subject_is_read() -> None:
    """A statement that reads no subject gives none, however its columns are made."""
    found = StatementFacts(Kind.SHOW, output=UNKNOWN)

    assert plan_charge(found, computed("a"), LAB) == FREE


def test_where_nobody_is_in_reach_columns_without_an_origin_are_free() -> None:
    """A relation made within the transaction has an OID that the catalog does not know yet."""
    made = StatementFacts(Kind.SELECT, output=UNKNOWN, returns_rows=True, nobody_in_reach=True)
    elsewhere = replace(made, unknown_relations=frozenset({Relation("", "elsewhere")}))
    columns = [ResultColumn("a", 99_999, 1, 25, 0)]

    assert plan_charge(made, columns, LAB) == FREE
    assert plan_charge(elsewhere, columns, LAB).method is Method.BYTES


@pytest.mark.parametrize(
    ("provenance", "column_class", "expected"),
    [
        (Provenance.NONE, ColumnClass.IDENTITY, FREE),
        (Provenance.DIRECT, ColumnClass.NONE, FREE),
        (Provenance.DIRECT, ColumnClass.QUASI, ChargePlan(Method.ROWS, values=(0,))),
        (Provenance.DIRECT, ColumnClass.UNKNOWN, ChargePlan(Method.BYTES, packed=(0,))),
        (Provenance.DERIVED, ColumnClass.NONE, FREE),
        (Provenance.DERIVED, ColumnClass.IDENTITY, ChargePlan(Method.BYTES, packed=(0,))),
        (Provenance.DERIVED, ColumnClass.HEALTH, ChargePlan(Method.FREE, counts_rows=True)),
        (Provenance.FOLDED, ColumnClass.NONE, FREE),
        (Provenance.FOLDED, ColumnClass.IDENTITY, ChargePlan(Method.BYTES, packed=(0,))),
        (Provenance.UNKNOWN, ColumnClass.NONE, ChargePlan(Method.BYTES, packed=(0,))),
    ],
)
def test_each_provenance_of_a_computed_column(
    provenance: Provenance, column_class: ColumnClass, expected: ChargePlan
) -> None:
    """What the parsers say of a value decides, where the backend names no origin."""
    found = StatementFacts(
        Kind.SELECT,
        subject_relations=frozenset({PATIENT}),
        output=(OutputColumn("x", provenance, column_class),),
    )

    assert plan_charge(found, computed("x"), LAB) == expected


outputs = st.lists(
    st.builds(
        OutputColumn,
        name=st.just("x"),
        provenance=st.sampled_from(Provenance),
        column_class=st.sampled_from(ColumnClass),
        key_space=st.sampled_from([None, "patient.id"]),
    ),
    max_size=3,
).map(tuple)
described = st.lists(
    st.builds(
        ResultColumn,
        name=st.just("x"),
        table_oid=st.sampled_from([0, 1259, 99999, *LAB.relations]),
        attribute_number=st.integers(-2, 14),
        type_oid=st.sampled_from([20, 25, 1042]),
        format=st.integers(0, 1),
    ),
    max_size=3,
)
any_facts = st.builds(
    StatementFacts,
    kind=st.just(Kind.SELECT),
    relations=st.sampled_from([frozenset({PATIENT}), frozenset(LAB.oids)]),
    subject_relations=st.just(frozenset({PATIENT})),
    output=outputs | st.just(UNKNOWN),
    one_subject_per_row=st.booleans(),
    bounded_by_keys=st.booleans(),
)


@given(any_facts, described, st.sampled_from([LAB, None]), st.sampled_from([(), FIVE]))
def test_every_value_that_discloses_is_charged(
    found: StatementFacts,
    columns: list[ResultColumn],
    catalog: Catalog | None,
    fixed: tuple[tuple[str, bytes], ...],
) -> None:
    """For any facts and columns, each disclosing value is under one heading of the plan."""
    plan = plan_charge(found, columns, catalog, fixed)
    if plan.everything or plan.fixed:
        return
    charged = {*plan.values, *plan.packed, *(key.index for key in plan.keys)}

    for index, column in enumerate(columns):
        if column.table_oid < FIRST_USER_OID:
            continue
        if catalog is not None:
            origin = catalog.origin(column.table_oid, column.attribute_number)
            if origin.column_class not in {ColumnClass.IDENTITY, ColumnClass.UNKNOWN}:
                continue
        assert index in charged
        assert not plan.is_free


@pytest.mark.parametrize(
    "text",
    [
        "select value, patient_id::text from lab.resultat",
        "select value, to_json(patient_id) from lab.resultat",
        "select value || '/' || patient_id, 1 from lab.resultat",
        "select value, patient_id::text from resultat union all select value, flag from resultat",
        "select * from (select value, patient_id + 0 from lab.resultat) x",
        "select birth_date::text from patient union select flag from resultat",
        "select concat(birth_date, value) from patient p join resultat r on r.patient_id = p.id",
    ],
)
def test_what_tells_a_subject_is_not_forgotten_beside_health_values(
    facts: Facts, text: str
) -> None:
    """It cannot be read for who it is: each row is another subject, each value if they mix."""
    statement = facts(text)
    assert isinstance(statement.output, tuple)
    columns = computed(*(column.name for column in statement.output))

    plan = plan_charge(statement, columns, LAB)

    assert plan.method in {Method.ROWS, Method.BYTES}
    assert plan.values or plan.packed
