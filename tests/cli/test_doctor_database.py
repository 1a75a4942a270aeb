"""The doctor's reading of pg_hba.conf: who may come to the database without Vigie."""

from __future__ import annotations

import pytest

from proxy.cli.doctor_database import _hba

OWN = "10.0.0.5"
ANYBODY = "0.0.0.0"  # noqa: S104 - a line of pg_hba.conf, nothing is bound
TABLE = [
    ("host", ["all"], ANYBODY, ANYBODY, "scram-sha-256", "warn"),
    ("host", ["all"], "all", None, "scram-sha-256", "warn"),
    ("hostssl", ["lims_app"], "10.0.0.0", "255.255.255.0", "scram-sha-256", "warn"),
    ("host", ["all"], "samenet", None, "scram-sha-256", "warn"),
    ("host", ["all"], "app.example.test", None, "scram-sha-256", "warn"),
    ("host", ["all"], OWN, "255.255.255.255", "scram-sha-256", None),
    ("host", ["all"], "127.0.0.1", "255.255.255.255", "scram-sha-256", None),
    ("host", ["all"], "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "md5", None),
    ("host", ["all"], "samehost", None, "scram-sha-256", None),
    ("local", ["all"], None, None, "peer", None),
    ("host", ["all"], ANYBODY, ANYBODY, "reject", None),
    ("local", ["all"], None, None, "trust", "fail"),
    ("host", ["all"], "127.0.0.1", "255.255.255.255", "trust", "fail"),
]


@pytest.mark.parametrize("case", TABLE)
def test_a_line_of_pg_hba(case: tuple[str, list[str], str | None, str | None, str, str]) -> None:
    """What lets another machine in, or anybody without a password, is told."""
    names = ("type", "user_name", "address", "netmask", "auth_method")
    row = {"line_number": 9, "database": ["all"], **dict(zip(names, case[:5], strict=True))}
    told = _hba(row, OWN)

    assert (None if told is None else told.level.name.lower()) == case[5]
