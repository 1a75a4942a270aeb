"""The analyser as a whole: total, cached, and never fooled by a cache or by one parser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.sql import Analyser
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Kind, Literal, Provenance
from proxy.terms.relation import Relation
from tests.data.lab_catalog import LAB, LAB_MAP

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.terms.facts import StatementFacts

    Facts = Callable[[str], StatementFacts]

_WORDS: Final = (
    "select nir from patient where id = 1 ( ) , ' \" $a$ $1 -- /* */ union all with as insert into"
    " update set values copy to stdout x. .* [ ] :: text ; \x00 \xa0 limit array( exists( over ()"
    " group by case when then end join on using"
)
PATIENT: Final = Relation("lab", "patient")


def analyse(text: bytes, encoding: str = "UTF8") -> tuple[StatementFacts, ...]:
    """Return the facts of a text with a new analyser."""
    return Analyser(LAB_MAP).analyse(text, encoding=encoding, catalog=LAB)


@pytest.mark.parametrize(
    "text",
    [
        "select $1||$2||nir from patient where nir<>$1||$a$ -- $a$",
        "select $a\u00a0b$ , ' $a\u00a0b$, nir from patient -- '",
        "select 1 as \u00a0$a$, nir from patient --$a$",
        "select 5 #-- '\n 3, nir from patient -- '",
    ],
)
def test_a_table_that_one_parser_loses(facts: Facts, text: str) -> None:
    """The grammar sees the relation; that sqlglot does not is a disagreement."""
    found = facts(text)
    assert found.subject_relations == {PATIENT}
    assert [one.what for one in found.disagreements] == ["relations"]


@pytest.mark.parametrize(
    "text",
    [
        "insert into audit(action,patient_id) values($1,$2)",
        "insert into audit(action,patient_id) values ($1,$2),($3,$4)",
        "select nir from patient where id in ($1,$2,$3)",
        "with patient as (select * from patient) select nir from patient",
        "select xmlagg(xmlforest(nir)) from patient",
        "select * from rows from (generate_series(1,2)) x",
        "begin isolation level repeatable read read only",
        "select u.x from unnest(array[1]) u(x), lab.patient",
        'select "P".nir from lab.patient "P"',
    ],
)
def test_everyday_texts_make_no_disagreement(facts: Facts, text: str) -> None:
    """Where sqlglot cannot read what drivers send, it has no opinion."""
    assert facts(text).disagreements == ()


@pytest.mark.parametrize(
    ("text", "encoding", "reason"),
    [
        (b"select 1\0; select nir from patient", "UTF8", "nul"),
        (b"select '\xff'", "UTF8", "encoding"),
        (b"select E'\x95\\' union all select nir from patient -- '", "SJIS", "encoding"),
        (b"select " + b"nir||" * 1000 + b"nir from patient", "UTF8", "too deep"),
        (b"selec secret", "UTF8", "syntax error at or near"),
    ],
)
def test_what_cannot_be_read_is_opaque(text: bytes, encoding: str, reason: str) -> None:
    """Opaque facts say why, without a literal of the text."""
    (found,) = analyse(text, encoding)
    assert (found.kind, found.opaque) == (Kind.OPAQUE, reason)
    assert found.reads_subjects


def test_nonstandard_strings_are_opaque() -> None:
    """With standard_conforming_strings off the text means something else."""
    (found,) = Analyser(LAB_MAP).analyse(
        b"select 1", encoding="UTF8", catalog=LAB, standard_conforming_strings=False
    )
    assert found.opaque


def test_single_byte_encodings_are_read() -> None:
    """LATIN1 holds every byte; the statement is seen as the server sees it."""
    (found,) = analyse(b"select nir as \xe9 from patient", "LATIN1")
    assert found.subject_relations == {PATIENT}


def test_statements_of_one_text() -> None:
    """Each statement has its own facts and text; what an earlier one makes is known."""
    first, second, third = analyse(
        "select 'é'; create temp table x as select nir from patient; table x".encode()
    )
    assert first.text == "select 'é'"
    assert second.stages
    assert third.subject_relations
    assert third.unknown_relations == frozenset()


def test_a_template_gives_each_text_its_own_literals(analyser: Analyser) -> None:
    """Keys and limits are read again; facts that depend on other literals are not shared."""

    def ask(text: str) -> StatementFacts:
        return analyser.analyse(text.encode(), encoding="UTF8", catalog=LAB)[0]

    one = ask("select nir from patient where id=1 limit 10")
    two = ask("select nir from patient where id=22 limit 7")
    assert one.key_filters[0].values == (Literal("1", 0),)
    assert two.key_filters[0].values == (Literal("22", 0),)
    assert (one.row_bound, two.row_bound) == (10, 7)
    assert one.fingerprint == two.fingerprint
    assert "22" not in two.template
    assert ask("select nir from patient where last_name like 'x%'").subject_filter == "selective"
    assert ask("select nir from patient where last_name like '%x'").subject_filter == "open"
    assert not ask("select set_config('search_path','on',false)").side_doors
    assert ask("select set_config('role','on',false)").side_doors
    folded = ask("select percentile_disc('{0.1}') within group (order by nir) from patient")
    single = ask("select percentile_disc(0.1) within group (order by nir) from patient")
    assert isinstance(folded.output, tuple)
    assert isinstance(single.output, tuple)
    assert folded.output[0].provenance is Provenance.FOLDED
    assert single.output[0].provenance is Provenance.DERIVED


def test_the_cache_does_not_outlive_the_catalog(analyser: Analyser) -> None:
    """Another search_path or catalog gives other facts for the same text."""
    text = b"select nir from patient"

    def relations(path: tuple[str, ...] | None) -> frozenset[Relation]:
        catalog = LAB.with_search_path(path)
        return analyser.analyse(text, encoding="UTF8", catalog=catalog)[0].subject_relations

    assert relations(("lab",)) == {PATIENT}
    assert relations(("public",)) == frozenset()
    assert relations(None) == {PATIENT}
    (unknown,) = analyser.analyse(text, encoding="UTF8", catalog=None)
    assert unknown.subject_relations == {PATIENT}


def test_without_a_catalog_names_are_taken_for_the_worst() -> None:
    """A name that only the map could know is a subject relation, any other is unknown."""
    plain = Analyser(LAB_MAP)

    def ask(text: bytes) -> StatementFacts:
        return plain.analyse(text, encoding="UTF8", catalog=None)[0]

    assert ask(b"select * from patient").subject_relations == {PATIENT}
    assert ask(b"select * from medecin").unknown_relations == {Relation("", "medecin")}
    assert not ask(b"select relname from pg_class").reads_subjects
    assert ask(b"select my_function()").unknown_functions == {"my_function"}
    assert not ask(b"select now(), upper('x')").reads_subjects


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(_WORDS.split(" ")),
        max_size=25,
    )
)
def test_any_text_has_facts(words: list[str]) -> None:
    """Whatever comes gives facts: at the worst opaque ones, and never by a fault of ours."""
    text = " ".join(words).encode()
    for catalog in (LAB, None):
        found = Analyser(LAB_MAP).analyse(text, encoding="UTF8", catalog=catalog)
        assert found
        assert not any((one.opaque or "").startswith("internal") for one in found)


@pytest.mark.parametrize(
    "first",
    ["select * from patient", "select 1", "select nir from patient", "select * from pg_class"],
)
@pytest.mark.parametrize("step", ["select * from {0} a, {0} b", "select 1 from {0} a, {0} b"])
def test_what_doubles_at_every_step_is_bounded(first: str, step: str) -> None:
    """Forty WITH queries that use the one before twice: a kilobyte of text, not a day's work."""
    parts = [f"c0 as ({first})"]
    parts += [f"c{number + 1} as ({step.format(f'c{number}')})" for number in range(40)]
    (facts,) = analyse(f"with {', '.join(parts)} select * from c40".encode())

    assert facts.opaque is not None or len(facts.relations) <= 1
    assert facts.opaque is not None or isinstance(facts.output, tuple)


@pytest.mark.parametrize(
    "put",
    [
        "insert into q (v) select nir from patient",
        "insert into q (id) select id from patient",
        "update q set v = p.nir from patient p",
        "merge into q using patient p on true when not matched then insert (v) values (p.nir)",
    ],
)
def test_what_is_copied_within_one_text_is_not_lost(put: str) -> None:
    """A table made, filled and read by three statements of one Query."""
    text = f"create temp table q (id bigint, v text); {put}; select * from q"
    *_, read = analyse(text.encode())

    assert read.classes == {ColumnClass.UNKNOWN}
    *_, read = analyse(b"create temp table q (id int); insert into q values (1); table q")
    assert read.classes <= {ColumnClass.NONE}
