"""Where findings and counts go: each command to its metric, line and log message."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Final

import pytest
from prometheus_client import CollectorRegistry

from proxy import accel
from proxy.audit import AuditRecord
from proxy.audit.record import RecordKind
from proxy.meter.ledger import Charge, Ledger
from proxy.metrics import Metrics
from proxy.net import clock
from proxy.net.sinks import AuditLog, Sinks
from proxy.session import commands as c
from proxy.terms.budget import Budget, Measure, Method
from proxy.terms.facts import Disagreement, Kind, StatementFacts
from proxy.terms.finding import Action, Finding, Judgement, Mode, Severity
from proxy.terms.mask import How
from proxy.terms.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FINDING: Final = Finding("EX104", "Folded", Severity.HIGH, Action.BLOCK, 60, "folds")
SUBJECTS: Final = Budget("EX201", "Patients", Measure.SUBJECTS, frozenset({"secretary"}), 3600, 10)
ROWS: Final = Budget("EX202", "Rows", Measure.ROWS, frozenset({"secretary"}), 3600, 1000)
UNLIMITED: Final = Budget("EX218", "Backup", Measure.SUBJECTS, frozenset({"backup"}), 3600, None)


def record(
    kind: RecordKind = RecordKind.STATEMENT,
    verdict: Action = Action.BLOCK,
    *,
    carried_out: bool = True,
) -> AuditRecord:
    return AuditRecord(
        at=0.0,
        finding_id="0123456789ab",
        session_id="ba9876543210",
        principal=Principal("secretary", "lab", "127.0.0.1"),
        kind=kind,
        verdict=verdict,
        mode=Mode.ENFORCE,
        policy="ab12",
        carried_out=carried_out,
        findings=(FINDING,),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def log(path: Path) -> Iterator[AuditLog]:
    made = AuditLog(path)
    yield made
    made.close()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def sinks(log: AuditLog, ledger: Ledger) -> Sinks:
    metrics = Metrics(CollectorRegistry())
    rules = [("EX104", Severity.HIGH)]
    metrics.policy_loaded(rules, (SUBJECTS, ROWS, UNLIMITED), "ab12", at=0.0)
    return Sinks(metrics, log, ledger, accel.LaneCounts())


def value(sinks: Sinks, name: str, **labels: str) -> float | None:
    return sinks.metrics.registry.get_sample_value(name, labels)


def test_lines_are_appended(path: Path, log: AuditLog) -> None:
    """Each record one line, behind what another process wrote before; closed to others."""
    path.write_text("before\n")
    written = log.write(record()) and log.write(record())

    lines = path.read_text().splitlines()
    assert written
    assert lines[0] == "before"
    assert [json.loads(line)["finding_id"] for line in lines[1:]] == ["0123456789ab"] * 2


def test_the_file_is_not_for_everybody(tmp_path: Path) -> None:
    """A new one can be read by its owner and group alone."""
    AuditLog(tmp_path / "new").close()

    assert (tmp_path / "new").stat().st_mode & 0o007 == 0


def test_without_a_path_it_is_the_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    """One line there; closing it leaves the standard output open."""
    log = AuditLog(None)
    log.write(record())
    log.close()
    os.write(1, b"still open\n")

    out, _ = capfd.readouterr()
    assert json.loads(out.splitlines()[0])["verdict"] == "block"
    assert out.endswith("still open\n")


def test_a_line_is_written_whole(
    path: Path, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one write did not take is written by the next."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda number, text: write(number, text[:7]))
    log.write(record())
    monkeypatch.undo()

    assert json.loads(path.read_text())["policy"] == "ab12"


def test_a_disk_that_is_full_is_told_until_it_is_not(sinks: Sinks, log: AuditLog) -> None:
    """Not ready as long as the last line could not be written; nothing raised."""
    own, log._descriptor = log._descriptor, os.open("/dev/full", os.O_WRONLY)
    sinks.take(c.Emit(record()))
    failing = sinks.readiness()
    os.close(log._descriptor)
    log._descriptor = own
    sinks.take(c.Emit(record()))

    assert failing == ["audit log cannot be written: No space left on device"]
    assert sinks.readiness() == []
    assert value(sinks, "vigie_audit_write_errors_total") == 1
    assert value(sinks, "vigie_audit_records_total") == 1


@pytest.mark.parametrize(
    ("command", "name", "labels"),
    [
        (c.Released(Method.KEYS, 3, 640), "vigie_rows_total", {"method": "keys"}),
        (c.Masked(How.HASH, 3), "vigie_masked_values_total", {"how": "hash"}),
        (c.Released(Method.ROWS, 3, 640), "vigie_result_bytes_total", {}),
        (c.Analysed("miss", 0.001), "vigie_facts_cache_total", {"outcome": "miss"}),
        (c.Analysed("exact", 0.001), "vigie_analysis_seconds_count", {}),
        (c.WasCut("EX201"), "vigie_cuts_total", {"budget": "EX201"}),
        (c.CatalogRead(loaded=True), "vigie_catalog_loads_total", {"outcome": "loaded"}),
        (c.CatalogRead(loaded=False), "vigie_catalog_loads_total", {"outcome": "failed"}),
        (c.LoginFailed(), "vigie_frontend_connections_total", {"outcome": "login_failed"}),
        (c.Refused(), "vigie_frontend_connections_total", {"outcome": "refused"}),
        (c.ProtocolFault("backend", "x"), "vigie_protocol_errors_total", {"side": "backend"}),
        (c.UpstreamFault("lost"), "vigie_upstream_errors_total", {"reason": "lost"}),
        (c.InternalFault("meter", "KeyError"), "vigie_internal_errors_total", {"where": "meter"}),
        (c.Emit(record()), "vigie_audit_records_total", {}),
    ],
    ids=lambda one: type(one).__name__ if not isinstance(one, str | dict) else "",
)
def test_a_command_moves_its_metric(
    sinks: Sinks, command: c.Command, name: str, labels: dict[str, str]
) -> None:
    """From 0, once it is taken."""
    before = value(sinks, name, **labels)
    sinks.take(command)

    assert before == 0
    assert (value(sinks, name, **labels) or 0) > 0


def test_a_judged_statement_is_counted_with_its_findings(sinks: Sinks) -> None:
    """Verdict and kind, rule, the reason it is opaque, and what the parsers saw differently."""
    facts = StatementFacts(
        Kind.SELECT,
        opaque="syntax error",
        disagreements=(Disagreement("kind", "select", "copy_out"),),
    )
    sinks.take(c.Judged(facts, Judgement(Action.BLOCK, 60, (FINDING,))))

    assert value(sinks, "vigie_statements_total", verdict="block", kind="select") == 1
    finding = {"rule": "EX104", "severity": "high", "verdict": "block"}
    assert value(sinks, "vigie_findings_total", **finding) == 1
    assert value(sinks, "vigie_opaque_statements_total", reason="syntax") == 1
    assert value(sinks, "vigie_witness_disagreements_total", what="kind") == 1


@pytest.mark.parametrize(
    ("carried_out", "line"),
    [
        (True, "finding 0123456789ab: block of secretary, EX104"),
        (False, "finding 0123456789ab: block of secretary, EX104 (observed, not carried out)"),
    ],
)
def test_what_was_refused_is_a_line_of_the_log(
    sinks: Sinks, caplog: pytest.LogCaptureFixture, carried_out: bool, line: str
) -> None:
    """Finding, role and rule, without the statement; what was only flagged is not told there."""
    with caplog.at_level(logging.INFO):
        sinks.take(c.Emit(record(carried_out=carried_out)))
        sinks.take(c.Emit(record(verdict=Action.FLAG)))

    assert caplog.messages == [line]


def test_a_cut_counts_the_finding_of_its_budget(sinks: Sinks) -> None:
    """A statement's findings are counted when it is judged, a cut's when it is recorded."""
    finding = {"rule": "EX104", "severity": "high", "verdict": "block"}
    sinks.take(c.Emit(record()))
    before = value(sinks, "vigie_findings_total", **finding)
    sinks.take(c.Emit(record(RecordKind.CUT)))

    assert (before, value(sinks, "vigie_findings_total", **finding)) == (0, 1)


def test_a_record_gets_the_time_of_day(sinks: Sinks, path: Path) -> None:
    """The session below has no clock for people."""
    sinks.take(c.Emit(record()))

    assert json.loads(path.read_text())["at"] > "2024"


def test_usage_and_charges_are_set_before_they_are_shown(sinks: Sinks, ledger: Ledger) -> None:
    """A gauge by budget and role, a counter of patients that never counts twice, nor rows."""
    account = ledger.account(Principal("secretary", "lab"), (SUBJECTS, ROWS))
    other = ledger.account(Principal("secretary", "archive"), (SUBJECTS, ROWS))
    account.admit(Charge(groups=((b"a",), (b"b",)), rows=30), 1.0)
    other.admit(Charge(groups=((b"a",),), rows=1), 1.0)
    sinks.refresh()
    sinks.refresh()
    charged = value(sinks, "vigie_subjects_charged_total", budget="EX201")
    account.admit(Charge(groups=((b"c",),), rows=1), 2.0)
    sinks.refresh()

    assert charged == 3
    assert value(sinks, "vigie_subjects_charged_total", budget="EX201") == 4
    families = {one.name: one for one in sinks.metrics.registry.collect()}
    total = sum(one.value for one in families["vigie_subjects_charged"].samples)
    assert total == 4


@pytest.mark.parametrize(("limit", "used", "ratio"), [(10, 4, 0.4), (0, 0, 0.0), (None, 4, None)])
def test_usage_is_a_part_of_the_budget(
    sinks: Sinks, ledger: Ledger, limit: int | None, used: int, ratio: float | None
) -> None:
    """Of an unlimited budget there is no part; of nothing, all is used with the first."""
    role = "secretary" if limit is not None else "backup"
    budget = Budget(
        "EX201" if limit is not None else "EX218",
        *("Patients", Measure.SUBJECTS, frozenset({role}), 3600, limit),
    )
    ledger.account(Principal(role, "lab"), (budget,)).admit(Charge(anonymous=used), clock.now())
    sinks.refresh()

    assert value(sinks, "vigie_budget_usage_ratio", budget=budget.id, role=role) == ratio
