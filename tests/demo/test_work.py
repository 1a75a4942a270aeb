"""The morning's work runs and stays small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.demo.desk import Papers
from proxy.demo.report import Findings
from proxy.demo.work import SCENES, morning

if TYPE_CHECKING:
    from proxy.demo.lab import Lab

pytestmark = pytest.mark.integration
STATEMENTS = 280  # "about 300"


def test_direct_work_is_stopped_by_nothing(lab: Lab) -> None:
    """Every statement of every role succeeds, twice, for it is done both ways."""
    direct, again = morning(lab, lab.port), morning(lab, lab.port, round_number=1)

    assert [timing for timing in direct + again if timing.refused] == []
    assert len(direct) == len(again) >= STATEMENTS
    assert {timing.role for timing in direct} == {role for role, _ in SCENES}


def test_latencies_compare_statement_by_statement(lab: Lab) -> None:
    """The median and the 99th percentile of both ways, over the same statements."""
    work = morning(lab, lab.port, round_number=2)
    findings = Findings("PostgreSQL", lab.patients, [], work, work)

    latencies = findings.latencies()

    assert [latency.percentile for latency in latencies] == [50, 99]
    assert all(latency.added_ms == 0 < latency.direct_ms for latency in latencies)
    assert findings.failures() == []


def test_papers_are_of_the_laboratory(lab: Lab) -> None:
    """The patients at hand exist."""
    papers = Papers.of(lab)

    assert {nir.encode() for _, nir, _ in papers.patients} <= lab.keys()
    assert papers.invoices
