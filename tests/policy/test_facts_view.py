"""Facts as rules see them."""

from __future__ import annotations

import pytest

from proxy.policy.facts_view import BOUND, FACTS, FactType, FactValue, FactValues
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import (
    Disagreement,
    Kind,
    OutputColumn,
    Parameter,
    Provenance,
    SideDoor,
    StatementFacts,
)
from proxy.terms.principal import Certificate, Principal
from proxy.terms.relation import Relation
from proxy.terms.unknown import UNKNOWN

CERTIFICATE = Certificate("CN=lims,OU=Lab", "lims", frozenset({"lims.lab.test"}))
APP = Principal("lims_app", "lab", "10.0.0.7", "lis", CERTIFICATE)
FULL = StatementFacts(
    Kind.SELECT,
    relations=frozenset({Relation("lab", "patient"), Relation("", "q")}),
    output=(
        OutputColumn("a", Provenance.DIRECT, ColumnClass.KEY),
        OutputColumn("b", Provenance.FOLDED, ColumnClass.IDENTITY),
        OutputColumn("c", Provenance.NONE, ColumnClass.HEALTH),
    ),
    row_bound=Parameter(2),
    estimated_rows=7,
    estimated_share=2,
    bound_keys=3,
    side_doors=frozenset({SideDoor.REMOTE}),
    disagreements=(Disagreement("relations", "a", "b"),),
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "select"),
        ("relations", frozenset({"lab.patient", "q"})),
        ("output_classes", frozenset({"key", "identity"})),
        ("folded_classes", frozenset({"identity"})),
        ("row_bound", BOUND),
        ("side_doors", frozenset({"remote"})),
        ("disagreements", frozenset({"relations"})),
        ("opaque", False),
        ("opaque_reason", None),
        ("role", "lims_app"),
        ("database", "lab"),
        ("address", "10.0.0.7"),
        ("application_name", "lis"),
        ("certificate", "CN=lims,OU=Lab"),
        ("certificate_name", "lims"),
        ("certificate_alternatives", frozenset({"lims.lab.test"})),
    ],
)
def test_values(name: str, value: FactValue) -> None:
    """Facts are texts, sets of texts, numbers or yes and no."""
    assert FactValues(FULL, APP)[name] == value


def test_unknown_output_is_unknown_and_not_a_class() -> None:
    """Rules that ask for classes then match, because unknown does."""
    values = FactValues(StatementFacts(Kind.SELECT, output=UNKNOWN), APP)

    assert values["output_classes"] is UNKNOWN
    assert values["folded_classes"] is UNKNOWN


def test_of_an_opaque_statement_only_what_was_seen_is_known() -> None:
    """Nothing seen is not nothing there."""
    facts = StatementFacts(
        Kind.CALL, opaque="procedure", side_doors=frozenset({SideDoor.FILE}), returns_rows=True
    )
    values = FactValues(facts, APP)

    known = {name for name in FACTS if values[name] is not UNKNOWN}

    assert known == {
        *(
            "kind",
            "nobody_in_reach",
            "opaque",
            "opaque_reason",
            "reads_subjects",
            "returns_rows",
            "side_doors",
        ),
        *("role", "database", "application_name", "address"),
        *("certificate", "certificate_name", "certificate_alternatives"),
        *("end_user", "application", "bound"),
        *("catalog_steps", "catalog_templates", "wrong_statements", "new_template"),
        *("burst", "off_hours", "new_end_users"),
    }


def test_every_fact_is_documented_and_has_the_type_it_says() -> None:
    """A value of a fact is of the type that chooses its operators."""
    types: dict[FactType, tuple[type, ...]] = {
        FactType.TEXT: (str, type(None)),
        FactType.SET: (frozenset,),
        FactType.NUMBER: (int, type(BOUND)),
        FactType.BOOLEAN: (bool,),
    }

    for name, fact in FACTS.items():
        value = FactValues(FULL, APP)[name]
        assert fact.doc, name
        assert isinstance(value, types[fact.type]), name
        if fact.values and isinstance(value, frozenset):
            assert value <= fact.values


def test_without_a_certificate_its_names_are_absent() -> None:
    """A rule can ask for that: ``absent`` and an empty set, never unknown."""
    values = FactValues(FULL, Principal("lims_app", "lab"))

    assert values["certificate"] is None
    assert values["certificate_name"] is None
    assert values["certificate_alternatives"] == frozenset()
