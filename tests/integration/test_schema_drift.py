"""A database that changes under a running Vigie, so that the schema map no longer fits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from proxy.demo.postgres import SUPERUSER
from tests.fix_vigie import samples, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.demo.lab import Lab
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration


@pytest.fixture
def extracted(lab: Lab) -> Iterator[None]:
    """Leave the laboratory as it was."""
    yield
    with lab.connect(SUPERUSER) as connection:
        connection.execute("drop table if exists staging.extrait")


@pytest.mark.usefixtures("extracted")
def test_a_copy_of_patients_is_told_while_vigie_runs(vigie: StartVigie, lab: Lab) -> None:
    """An audit record says which column, once; the metric stays until it is gone."""
    process = vigie()
    series = 'vigie_schema_drift{kind="identity_unmapped"}'
    with lab.connect(SUPERUSER) as direct, lab.connect("dba", process.port) as through:
        through.execute("select 1")
        assert samples(process)[series] == 0
        # beside Vigie, where nobody is refused; then a change that passes lets it look again
        direct.execute("create table staging.extrait (f1 int, num_ss char(15))")
        through.execute("comment on table staging.extrait is 'x'")
        through.execute("select 1")
        until(lambda: samples(process)[series] == 1, "the metric")
        through.execute("comment on table staging.extrait is 'y'")
        through.execute("select 1")
        direct.execute("drop table staging.extrait")
        through.execute("create table if not exists staging.extrait (f1 int)")
        through.execute("select 1")
        until(lambda: samples(process)[series] == 0, "the end of it")

    (record,) = records(process.audit.read_text("ascii"), "schema_drift")
    (finding,) = record["findings"]
    assert (finding["rule"], finding["severity"], record["verdict"]) == ("EX001", "high", "flag")
    assert finding["explanation"] == (
        "staging.extrait.num_ss: its name says NIR, and it is not in the map"
    )


def records(lines: str, kind: str) -> list[dict[str, Any]]:
    return [one for line in lines.splitlines() if (one := json.loads(line))["kind"] == kind]
