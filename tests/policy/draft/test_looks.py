"""What values look like, counted."""

from __future__ import annotations

from datetime import date

import pytest

from proxy.policy.draft.live_schema import Look
from proxy.policy.draft.looks import looks_of

TODAY = date(2026, 1, 1)
TABLE = [
    ("184127645108946", {Look.NIR}),
    ("1 84 12 76 451 089 46", {Look.NIR}),
    ("184122A45108926", {Look.NIR_SHAPE}),  # its key is wrong
    ("1841276451089", {Look.NIR_SHAPE}),  # without its key
    ("10000000009", {Look.RPPS}),
    ("10000000008", set()),
    ("0612345678", {Look.PHONE}),
    ("+33 6 12 34 56 78", {Look.PHONE}),
    ("a.b@example.test", {Look.EMAIL}),
    ("FR7630006000011234567890189", {Look.IBAN}),
    ("35000", {Look.POSTCODE}),
    ("1970-05-17", {Look.BIRTH_DATE}),
    ("17/05/1970", {Look.BIRTH_DATE}),
    ("2025-12-31", set()),
    ("2070-01-01", set()),
    ("F", {Look.SEX}),
    ("dossier de Mme X, 184127645108946, vu", {Look.HOLDS_NIR}),
    ('{"to": "someone@example.test", "note": 1}', {Look.HOLDS_CONTACT}),
    ("rien de particulier a signaler pour ce tube", set()),
]


@pytest.mark.parametrize(("value", "looks"), TABLE)
def test_one_value(value: str, looks: set[Look]) -> None:
    """Each form is known by its shape, and by its key where it has one."""
    assert set(looks_of([value], TODAY).counts) == looks


def test_blank_values_are_not_looked_at() -> None:
    """A column that is empty in most rows is judged by the others."""
    found = looks_of([None, "", "  ", "0612345678", "0612345678"], TODAY)

    assert (found.seen, found.distinct, found.share(Look.PHONE)) == (2, 1, 1.0)
