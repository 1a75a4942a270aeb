"""The laboratory as it stands in the database."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import psycopg
import pytest

from proxy.demo.lab import ROLES, generate

if TYPE_CHECKING:
    from proxy.demo.lab import Lab

pytestmark = pytest.mark.integration


def test_every_patient_is_loaded(lab: Lab) -> None:
    """COPY took all rows, and the keys read back are theirs."""
    with lab.connect("dba") as connection:
        counts = connection.execute(
            "select (select count(*) from lab.patient), (select count(*) from lab.mv_patient), "
            "(select count(distinct nir) from lab.v_patient_resultat) > 50"
        ).fetchone()

    assert counts == (lab.patients, lab.patients, True)
    assert len(lab.keys()) == lab.patients


def test_roles_may_do_what_their_programs_do_and_no_more(lab: Lab) -> None:
    """The application reads and writes; the wall's figures see no patient."""
    with lab.connect("lims_app") as connection:
        connection.execute("select * from lab.v_stock_tubes limit 1")
    with (
        lab.connect("dashboard") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("select * from lab.patient limit 1")
    assert set(ROLES) < set(lab.passwords)


def test_rows_say_that_they_are_invented(lab: Lab) -> None:
    """Whoever finds the table reads that nobody in it is real."""
    with lab.connect("dba") as connection:
        row = connection.execute("select obj_description('lab.patient'::regclass)").fetchone()

    assert row is not None
    assert row[0].startswith("Synthetic patients")


def test_same_seed_same_day_same_laboratory() -> None:
    """200 patients twice: the same rows in the same order."""
    day = date(2026, 3, 2)

    assert list(generate(200, 9, day)) == list(generate(200, 9, day))
    assert list(generate(200, 9, day)) != list(generate(200, 8, day))
