"""Synthetic patients agree with themselves."""

from __future__ import annotations

from datetime import date

import pytest

from proxy.demo.names import TOWNS
from proxy.demo.nir import has_luhn_key, is_nir
from proxy.demo.people import DOCTORS, People, plain

TODAY = date(2026, 3, 2)
FIELDS = 14


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    return [line.split("\t") for line in People(7, TODAY).block(1, 2000).splitlines()]


def test_nir_says_what_the_row_says(rows: list[list[str]]) -> None:
    """Sex, year and month of birth stand in the NIR, whose key is right; each is once."""
    for row in rows:
        nir, birth_date, sex = row[1], row[4], row[5]
        assert len(row) == FIELDS
        assert is_nir(nir)
        assert nir[0] == {"M": "1", "F": "2"}[sex]
        assert nir[1:3] == birth_date[2:4]
        assert nir[3:5] == birth_date[5:7]
    assert len({row[1] for row in rows}) == len(rows)


def test_birth_dates_are_dates_of_the_living(rows: list[list[str]]) -> None:
    """Everybody was born within a hundred years before the laboratory's last day."""
    dates = [date.fromisoformat(row[4]) for row in rows]

    assert all(0 < (TODAY - born).days < 36_525 for born in dates)


def test_corsica_has_letters_since_1976(rows: list[list[str]]) -> None:
    """Born in Corsica before 1976 is department 20, since then 2A or 2B."""
    corsican = [(row[1][5:7], int(row[4][:4])) for row in rows if row[1][5:7] in {"20", "2A", "2B"}]

    assert corsican
    assert all((place == "20") == (year < 1976) for place, year in corsican)


def test_contacts_are_nobodys(rows: list[list[str]]) -> None:
    """Phones are of the blocks kept for fiction, addresses of the domain kept for examples."""
    assert {row[9][:6] for row in rows} <= {"063998", "026191"}
    assert all(len(row[9]) == 10 for row in rows)
    assert all(row[10].isascii() and row[10].endswith("@example.test") for row in rows)
    assert {(row[7], row[8]) for row in rows} <= set(TOWNS)


def test_same_seed_same_patients_however_they_are_cut() -> None:
    """The data depends on seed and day alone."""
    whole, parts = People(1, TODAY), People(1, TODAY)

    assert whole.block(1, 200) == parts.block(1, 77) + parts.block(78, 200)
    assert People(2, TODAY).block(1, 200) != People(1, TODAY).block(1, 200)


def test_prescribers_have_rpps_numbers() -> None:
    """Eleven digits with Luhn's key, each once."""
    numbers = [line.split("\t")[1] for line in People(1, TODAY).doctors().splitlines()]

    assert len(set(numbers)) == DOCTORS
    assert all(len(number) == 11 and has_luhn_key(number) for number in numbers)


def test_plain_name_is_fit_for_an_address() -> None:
    """Accents and apostrophes go."""
    assert plain("L'HOSTIS") == "lhostis"
    assert plain("Maëlle") == "maelle"
