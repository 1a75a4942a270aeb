"""Work orders' dates: proven by the text, or not within."""

from __future__ import annotations

from typing import Final

import pytest

from proxy.policy.orders import column_of, read_moment
from proxy.sql.date_range import is_within

COLUMN: Final = column_of("lab.resultat.validated_at")
JANUARY: Final = (read_moment("2021-01-01"), read_moment("2021-02-01"))
INSIDE: Final = "validated_at >= '2021-01-01' and validated_at < '2021-02-01'"
READ: Final = "select value from lab.resultat where "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (READ + INSIDE, True),
        (READ + f"flag = 'H' and ({INSIDE})", True),
        (READ + INSIDE.replace("<", "<=").replace("02-01", "01-31"), True),
        (READ + INSIDE.replace(">=", ">"), True),
        (READ + "validated_at >= date '2021-01-05' and validated_at < '2021-01-06'::date", True),
        (READ + "validated_at between '2021-01-01' and '2021-01-31 23:59:59'", True),
        (f"copy ({READ}{INSIDE}) to stdout", True),
        (f"select r.value from lab.resultat r where {INSIDE}", True),
        (
            (
                "select p.nir from lab.patient p join lab.resultat r on r.patient_id = p.id where "
                "r.validated_at >= '2021-01-01' and r.validated_at < '2021-02-01'"
            ),
            True,
        ),
        (READ + INSIDE.replace("2021-01-01", "2020-12-31"), False),
        (READ + INSIDE.replace("2021-02-01", "2021-02-02"), False),
        (READ + INSIDE.replace("<", "<="), False),
        (READ + INSIDE.replace(" and ", " or "), False),
        (READ + f"not ({INSIDE})", False),
        (READ + "validated_at >= '2021-01-01'", False),
        (READ + "validated_at >= $1 and validated_at < $2", False),
        (READ + "validated_at not between '2021-01-01' and '2021-01-31'", False),
        (READ + "coalesce(validated_at, '2021-01-05') >= '2021-01-01' and " + INSIDE[35:], False),
        (READ + INSIDE + " union all select value from lab.resultat", False),
        (READ + INSIDE + " and exists (select 1 from lab.resultat)", False),
        (f"with r as ({READ}{INSIDE}) select * from r", False),
        (f"select * from ({READ}{INSIDE}) s", False),
        (
            (
                "select value from lab.resultat, lab.facture where "
                "validated_at >= '2021-01-01' and validated_at < '2021-02-01'"
            ),
            False,
        ),
        ("select value from lab.resultat", False),
        ("copy lab.resultat to stdout", False),
        (f"{READ}{INSIDE}; select 1", False),
        ("no sql at all", False),
    ],
)
def test_what_is_within(text: str, expected: bool) -> None:
    """Two conditions that must both hold, on a relation that is read once."""
    assert is_within(text, COLUMN, *JANUARY) is expected
