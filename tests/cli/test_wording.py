"""Budgets and charges in words."""

from __future__ import annotations

import pytest

from proxy.cli.reading import read_statements
from proxy.cli.wording import word_budget, word_charge, word_window
from proxy.terms.budget import Budget, Measure
from tests.data.lab_catalog import LAB_MAP


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 s"),
        (90, "90 s"),
        (60, "60 s"),
        (600, "10 min"),
        (3600, "1 h"),
        (86400, "24 h"),
        (604800, "7 d"),
    ],
)
def test_windows(seconds: int, words: str) -> None:
    """In the largest unit of which there are several, or one hour."""
    assert word_window(seconds) == words


def test_budgets() -> None:
    """What is counted, how much, and in which time."""
    limited = Budget("EX201", "t", Measure.ROWS, frozenset(), 3600, 20)
    counted = Budget("EX202", "t", Measure.SUBJECTS, frozenset(), 60, None)

    assert word_budget(limited) == "at most 20 rows about subjects in 1 h"
    assert word_budget(counted) == "distinct subjects in 60 s are counted, never cut"


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("select count(*) from lab.patient", "nothing, no value of a subject leaves in rows"),
        ("delete from lab.patient", "nothing, it returns no rows"),
        ("select id, last_name from lab.patient", "each distinct subject once, by id"),
        (
            "select last_name from lab.patient where id in (1, 2, 3)",
            "each subject that the predicates name once, at most 3",
        ),
        (
            "select last_name from lab.patient where id = any($1)",
            "each subject that the predicates name once",
        ),
        ("select last_name from lab.patient", "each row as one more subject"),
        ("select id from lab.patient", "rows only, no subject is disclosed"),
        (
            "select string_agg(nir, ',') from lab.patient",
            "by the bytes of string_agg, one subject for every 6",
        ),
        ("select * from lab.patient", "as the columns behind * ask for, which the database tells"),
        ("do $$ begin execute 'a' || 1; end $$", "by its bytes, one subject for every 6"),
        ("selec", "by its bytes, one subject for every 6"),
        ("fetch 5 from c", "as its cursor's statement"),
        ("execute p", "as the statement it runs"),
    ],
)
def test_charges(sql: str, words: str) -> None:
    """By the method that the meter would choose, as far as the text tells."""
    (facts,) = read_statements(sql.encode(), LAB_MAP)

    assert word_charge(facts, 6) == words
