"""What the laboratory did agrees with whom it did it for."""

from __future__ import annotations

from datetime import date

from proxy.demo.analyses import HCG, catalogue
from proxy.demo.people import People
from proxy.demo.records import ORDERS_TODAY, Records

TODAY = date(2026, 3, 2)
PATIENTS = 1000


def made(seed: int = 3) -> tuple[People, dict[str, list[list[str]]]]:
    people = People(seed, TODAY)
    people.block(1, PATIENTS)
    records = Records(people, PATIENTS, seed, TODAY)
    tables = records.block(1, records.orders) | records.rest()
    return people, {
        name: [r.split("\t") for r in rows.splitlines()] for name, rows in tables.items()
    }


def test_results_agree_with_patient_and_catalogue() -> None:
    """PSA is of men, hCG of women of the age; unit, range and flag are those of the analysis."""
    people, tables = made()
    known = catalogue()
    for row in tables["resultat"]:
        patient, code, value, text, unit, flag = int(row[1]), *row[3:7], row[9]
        analysis = known[code]
        assert code != HCG or people.female[patient]
        assert code != "2857-1" or not people.female[patient]
        if analysis.high is None or analysis.low is None:
            assert text in {"positif", "negatif"}
            assert (value, flag) == (r"\N", r"\N")
        else:
            number = float(value)
            assert unit == analysis.unit
            assert flag == (
                "H" if number > analysis.high else "L" if number < analysis.low else "N"
            )


def test_most_values_are_within_their_range() -> None:
    """About one in seven lies outside: a laboratory sees the ill, but not only."""
    flags = [row[9] for row in made()[1]["resultat"]]

    assert 0.6 < flags.count("N") / len(flags) < 0.95


def test_every_reference_leads_somewhere() -> None:
    """Samples belong to orders, results to samples, all to patients who exist; numbers are once."""
    _, tables = made()
    orders = {row[0]: row[1] for row in tables["prescription"]}
    samples = {row[0]: row[2] for row in tables["echantillon"]}

    assert samples == orders
    assert all(samples[row[2]] == row[1] for row in tables["resultat"])
    assert all(orders[row[2]] == row[1] for row in tables["facture"])
    assert len({row[0] for row in tables["resultat"]}) == len(tables["resultat"])
    assert all(1 <= int(patient) <= PATIENTS for patient in orders.values())


def test_today_waits_to_be_validated() -> None:
    """The day's samples are there, their results not yet validated."""
    _, tables = made()
    fresh = [row for row in tables["echantillon"] if row[7] == "received"]

    assert len(fresh) >= ORDERS_TODAY
    assert {row[5][:10] for row in fresh} == {str(TODAY)}


def test_same_seed_same_records() -> None:
    """The data depends on seed and day alone."""
    assert made(5)[1] == made(5)[1]
    assert made(5)[1] != made(6)[1]
