"""An invented identity agrees with itself, and fills the columns it knows."""

from __future__ import annotations

import random
from datetime import date

import pytest

from proxy.cli.canary_identity import Identity, invent
from proxy.demo.names import LAST_NAMES
from proxy.demo.nir import is_nir

TODAY = date(2026, 11, 25)


def chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - to get the same again


@pytest.mark.parametrize("seed", range(40))
def test_the_values_agree(seed: int) -> None:
    """The NIR has the right key, and says the sex and month of birth that the row says."""
    values = invent(chance(seed), TODAY).values
    nir, born = str(values["nir"]), values["birth_date"]

    assert is_nir(nir)
    assert isinstance(born, date)
    assert nir[:5] == f"{2 if values['sex'] == 'F' else 1}{born.year % 100:02d}{born.month:02d}"
    assert 24 <= TODAY.year - born.year <= 85


def test_the_family_name_is_nobodys() -> None:
    """It would not be a canary if a real patient had its name."""
    known = {name.replace("\v", " ") for name in LAST_NAMES}
    invented = {str(invent(chance(n), TODAY).values["last_name"]) for n in range(100)}

    assert invented & known == set()
    assert len(invented) > 80


def test_columns_are_known_in_french_and_english() -> None:
    """Marks are those values that are held, and that name one patient alone."""
    identity = Identity({"nir": "285057800608436", "last_name": "X", "city": "Vannes"})

    assert identity.value_for("NUM_SECU") == "285057800608436"
    assert identity.value_for("ville") == "Vannes"
    assert identity.value_for("medecin_id") is None
    assert identity.marks_in(frozenset({"nom", "ville"})) == ("X",)
