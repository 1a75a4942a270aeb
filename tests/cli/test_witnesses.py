"""What each witness says of a statement, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.cli.live import Planned
from proxy.cli.witnesses import disagrees, word_bound, word_columns, word_witnesses
from proxy.sql import Analyser
from proxy.sql.planner import Plan
from proxy.terms.relation import Relation
from tests.data.lab_catalog import LAB, LAB_MAP

if TYPE_CHECKING:
    from proxy.terms.facts import StatementFacts


def facts_of(sql: str) -> StatementFacts:
    """Return the facts of one statement in the laboratory."""
    (found,) = Analyser(LAB_MAP).analyse(sql.encode(), encoding="UTF8", catalog=LAB)
    return found


@pytest.mark.parametrize(
    ("sql", "bound"),
    [
        ("select nir from patient where id = 7", "1 by constant keys (patient.id)"),
        ("select nir from patient where id in (1,2,3)", "3 by constant keys (patient.id)"),
        ("select nir from patient where id = $1", "1 by constant keys (patient.id), 1 of them"),
        ("select nir from patient where id = any($1)", "the keys of an array"),
        ("select nir from patient limit 20", "20 by LIMIT or one group"),
        ("select nir from patient limit $1", "$1 by LIMIT, bound later"),
        ("select nir from patient where id > 0", "none: predicates are open"),
        ("select nir from patient", "none: no predicate, no LIMIT"),
        ("do $$ begin execute 'a' || 1; end $$", "none: DO block"),
    ],
)
def test_the_bound_and_why(sql: str, bound: str) -> None:
    """It names what bounds: keys, LIMIT, or nothing."""
    assert word_bound(facts_of(sql)).startswith(bound)


@pytest.mark.parametrize(
    ("sql", "carries"),
    [
        ("select count(*) from patient", ["nothing of a subject"]),
        ("select id from patient", ["a subject key, of patient.id (key) from lab.patient.id"]),
        ("select lower(nir) from patient", ["computed from values of one row (identity) from"]),
        ("select last_name from patient", ["one subject's value, as it is stored (identity)"]),
        ("select json_agg(p) from patient p", ["values of many packed in one (identity)"]),
        ("select strange(1)", ["not known, so anything"]),
    ],
)
def test_what_each_column_carries(sql: str, carries: list[str]) -> None:
    """Provenance, class and sources of each output column."""
    found = [said for _, said in word_columns(facts_of(sql))]

    assert len(found) == len(carries)
    assert all(one.startswith(start) for one, start in zip(found, carries, strict=True))


def test_many_columns_are_counted() -> None:
    """A result of a hundred columns does not fill the screen."""
    shown = word_columns(facts_of("select " + ",".join(["1"] * 100)))

    assert shown[-1] == ("...", "88 more")


def test_what_only_the_planner_reads_is_said() -> None:
    """A relation in the plan that no parser saw is a disagreement."""
    facts = facts_of("select 1")
    planned = Planned(Plan(frozenset({Relation("lab", "patient")}), 20000))
    said = dict(word_witnesses(facts, asked=True, planned=planned))

    assert disagrees(facts, planned)
    assert "DISAGREES: lab.patient" in said["planner"]


def test_what_sqlglot_cannot_read_is_said() -> None:
    """It has no opinion on a statement that it gives back as a Command."""
    said = dict(word_witnesses(facts_of("declare c cursor for select nir from patient"),
                               asked=False, planned=None))  # fmt: skip

    assert said["sqlglot"].startswith("has no opinion")
    assert "lab.patient" in said["grammar"]


def test_bodies_that_were_not_read_are_said_with_the_reason() -> None:
    """A site learns what to write into its schema map."""
    facts = replace(facts_of("select lab.lab_json(), lab.age(now()::date)"),
                    unread=(("lab.lab_json", "is in c"),))  # fmt: skip
    said = dict(word_witnesses(facts, asked=True, planned=None))

    assert said["bodies"] == "known: lab.age; not read: lab.lab_json is in c"
    said = dict(word_witnesses(facts_of("select 1"), asked=True, planned=None))
    assert said["bodies"] == "calls none of the database's own"
