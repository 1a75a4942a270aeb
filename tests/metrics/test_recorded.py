"""Metrics: counted where they belong, born at 0, bounded whatever comes, and documented."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from prometheus_client import CollectorRegistry

from proxy.metrics import Metrics
from proxy.terms.budget import Budget, Measure, Method
from proxy.terms.facts import Disagreement, Kind
from proxy.terms.finding import Action, Finding, Mode, Severity

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
RULES: Final = (("EX104", Severity.HIGH), ("EX901", Severity.CRITICAL))
BUDGETS: Final = (
    Budget("EX201", "Patients an hour", Measure.SUBJECTS, frozenset({"secretary"}), 3600, 300),
    Budget("EX202", "Backup", Measure.SUBJECTS, frozenset({"backup"}), 3600, None),
    Budget("EX203", "Rows an hour", Measure.ROWS, frozenset(), 3600, 20_000),
)
FINDING: Final = Finding("EX104", "Whole table", Severity.HIGH, Action.BLOCK, 60, "reads all")


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics(CollectorRegistry())
    made.policy_loaded(RULES, BUDGETS, "ab12", at=1_800_000_000.0)
    return made


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def exposed(metrics: Metrics) -> dict[str, tuple[str, frozenset[str]]]:
    """Return (type, labels) of every metric by the name a query would use."""
    found = {}
    for family in metrics.registry.collect():
        labels = {name for sample in family.samples for name in sample.labels}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = (family.type, frozenset(labels - {"le"}))
    return found


def test_the_document_lists_exactly_the_declared_metrics(metrics: Metrics) -> None:
    """docs/metrics.md has a row for each metric, with its type and labels, and no other."""
    row = re.compile(r"^\| `(vigie_\w+)` \| (\w+) \| ([^|]*)\|", re.MULTILINE)
    rows = row.findall(DOCUMENT.read_text("utf-8"))

    documented = {
        name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows
    }

    assert documented == exposed(metrics)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("vigie_statements_total", {"verdict": "block", "kind": "select"}),
        ("vigie_statements_total", {"verdict": "terminate", "kind": "replication"}),
        ("vigie_findings_total", {"rule": "EX104", "severity": "high", "verdict": "block"}),
        ("vigie_findings_total", {"rule": "EX201", "severity": "critical", "verdict": "block"}),
        ("vigie_cuts_total", {"budget": "EX201"}),
        ("vigie_subjects_charged_total", {"budget": "EX202"}),
        ("vigie_budget_usage_ratio", {"budget": "EX201", "role": "secretary"}),
        ("vigie_rows_total", {"method": "keys"}),
        ("vigie_masked_values_total", {"how": "hash"}),
        ("vigie_opaque_statements_total", {"reason": "syntax"}),
        ("vigie_internal_errors_total", {"where": "meter"}),
        ("vigie_upstream_errors_total", {"reason": "refused"}),
        ("vigie_frontend_connections_total", {"outcome": "login_failed"}),
        ("vigie_audit_write_errors_total", {}),
    ],
)
def test_a_counter_is_born_at_zero(metrics: Metrics, name: str, labels: dict[str, str]) -> None:
    """Closed sets are there before anything happens, or the first event shows no increase."""
    assert value(metrics, name, **labels) == 0


def test_only_budgets_of_subjects_count_subjects(metrics: Metrics) -> None:
    """A budget of rows can be cut and used up, but charges no patients."""
    assert value(metrics, "vigie_subjects_charged_total", budget="EX203") is None
    assert value(metrics, "vigie_cuts_total", budget="EX203") == 0
    assert value(metrics, "vigie_budget_usage_ratio", budget="EX203", role="other") == 0


def test_an_unlimited_budget_has_no_usage(metrics: Metrics) -> None:
    """A ratio of nothing is not shown, not even as 0."""
    labels = {"budget": "EX202", "role": "backup"}

    assert value(metrics, "vigie_budget_usage_ratio", **labels) is None


def test_no_created_series_are_exposed(metrics: Metrics) -> None:
    """The _created twins of counters would double the scrape for nothing."""
    assert b"_created" not in metrics.render()


def test_each_method_counts_its_own_metric(metrics: Metrics) -> None:
    """What the relay calls arrives where the dashboards look for it."""
    metrics.statement(Action.BLOCK, Kind.SELECT)
    metrics.attributed("named")
    metrics.finding(FINDING, Action.BLOCK)
    metrics.cut("EX201")
    metrics.rows(Method.KEYS, 7)
    metrics.charged("EX201", 5)
    metrics.result_bytes(700)
    metrics.analysis(0.0002)
    metrics.facts_cache("template")
    metrics.disagreement(Disagreement("kind", "select", "copy_out"))
    metrics.internal_error("meter")
    metrics.upstream_error("timeout")
    metrics.protocol_error("frontend")
    metrics.connection_refused("too_many")
    metrics.session_ended("idle")
    metrics.reloaded("policy", succeeded=False)
    metrics.login_failed()
    metrics.audit_record()
    metrics.audit_write_error()
    metrics.catalog_load(loaded=True)
    metrics.catalog_load(loaded=False)

    counted = {
        re.sub(r"vigie_|_total", "", sample.name): sample.value
        for family in metrics.registry.collect()
        if family.type == "counter"
        for sample in family.samples
        if sample.value
    }

    assert counted == {
        "statements": 1,
        "attributed_statements": 1,
        "findings": 1,
        "cuts": 1,
        "rows": 7,
        "subjects_charged": 5,
        "result_bytes": 700,
        "facts_cache": 1,
        "witness_disagreements": 1,
        "internal_errors": 1,
        "upstream_errors": 1,
        "protocol_errors": 1,
        "frontend_connections": 1,
        "connections_refused": 1,
        "sessions_ended": 1,
        "reloads": 1,
        "audit_records": 1,
        "audit_write_errors": 1,
        "catalog_loads": 1,
    }
    assert value(metrics, "vigie_analysis_seconds_bucket", le="0.00025") == 1


def test_open_connections_come_and_go(metrics: Metrics) -> None:
    """The gauge is what is open now, the counter what ever came."""
    metrics.connection_opened()
    metrics.connection_opened()
    metrics.connection_closed()

    assert value(metrics, "vigie_frontend_connections_open") == 1
    assert value(metrics, "vigie_frontend_connections_total", outcome="accepted") == 2


@pytest.mark.parametrize(
    ("reason", "counted"),
    [
        ("syntax error", "syntax"),
        ("encoding", "encoding"),
        ("nul", "encoding"),
        ("too deep", "too_deep"),
        ("worker failed", "too_large"),
        ("standard_conforming_strings is off", "lexer_setting"),
        ("DO block runs code that cannot be read", "code"),
        ("internal KeyError", "internal"),
        ("something new", "other"),
    ],
)
def test_reasons_of_opaque_statements_are_classes(
    metrics: Metrics, reason: str, counted: str
) -> None:
    """The text of a reason never becomes a label."""
    metrics.opaque(reason)

    assert value(metrics, "vigie_opaque_statements_total", reason=counted) == 1


def test_nothing_that_comes_in_makes_a_series(metrics: Metrics) -> None:
    """Values outside the closed sets are one series, ``other``, however many there are."""

    def feed(start: int) -> None:
        for number in range(start, start + 50):
            name = f"peer-{number}"
            metrics.finding(Finding(name, "", Severity.LOW, Action.FLAG, 1, ""), Action.FLAG)
            metrics.cut(name)
            metrics.charged(name, 1)
            metrics.usage("EX201", name, 0.5)
            metrics.opaque(name)
            metrics.internal_error(name)
            metrics.upstream_error(name)

    feed(0)
    before = metrics.render().count(b"\n")
    feed(50)
    text = metrics.render()

    assert text.count(b"\n") == before
    assert b"peer-" not in text
    assert value(metrics, "vigie_cuts_total", budget="other") == 100


def test_usage_is_the_highest_of_a_role_and_falls_with_the_snapshot(metrics: Metrics) -> None:
    """Between two renderings usage only rises; a snapshot shows what slid out of the window."""
    labels = {"budget": "EX201", "role": "secretary"}
    metrics.usage("EX201", "secretary", 0.8)
    metrics.usage("EX201", "secretary", 0.2)
    highest = value(metrics, "vigie_budget_usage_ratio", **labels)
    metrics.usage_snapshot([("EX201", "secretary", 0.1), ("EX201", "somebody", 0.3)])

    assert highest == 0.8
    assert value(metrics, "vigie_budget_usage_ratio", **labels) == 0.1
    assert value(metrics, "vigie_budget_usage_ratio", budget="EX201", role="other") == 0.3

    metrics.usage_snapshot([])

    assert value(metrics, "vigie_budget_usage_ratio", **labels) == 0


def test_one_mode_is_in_force(metrics: Metrics) -> None:
    """Exactly one mode is 1."""
    metrics.mode(Mode.ENFORCE)
    metrics.mode(Mode.OBSERVE)

    assert value(metrics, "vigie_mode", mode="observe") == 1
    assert value(metrics, "vigie_mode", mode="enforce") == 0


def test_a_failed_load_keeps_the_policy_in_force(metrics: Metrics) -> None:
    """The version stays, the flag falls; the next good load replaces both and keeps the counts."""
    metrics.cut("EX201")
    metrics.policy_load_failed()

    assert value(metrics, "vigie_policy_last_load_successful") == 0
    assert value(metrics, "vigie_policy_info", version="ab12") == 1

    metrics.policy_loaded(RULES, BUDGETS, "cd34", at=1_800_000_060.0)

    assert value(metrics, "vigie_policy_last_load_successful") == 1
    assert value(metrics, "vigie_policy_info", version="ab12") is None
    assert value(metrics, "vigie_policy_info", version="cd34") == 1
    assert value(metrics, "vigie_policy_last_load_timestamp_seconds") == 1_800_000_060.0
    assert value(metrics, "vigie_cuts_total", budget="EX201") == 1


def test_a_registry_of_its_own_shows_the_process_too() -> None:
    """Without a registry given, restarts can be seen (process_start_time_seconds)."""
    assert b"process_start_time_seconds" in Metrics().render()
