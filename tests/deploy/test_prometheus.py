"""The configuration of Prometheus and its alerts, as promtool sees them; and their runbooks."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from prometheus_client import CollectorRegistry

from proxy.metrics import Metrics

if TYPE_CHECKING:
    from tests.deploy.conftest import Needs

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "deploy" / "prometheus"
RUNBOOKS: Final = ROOT / "docs" / "runbooks.md"
PROMETHEUS_OWN: Final = {"up", "process_start_time_seconds"}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"),
        ("test", "rules", "tests/alerts.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_is_content(needs: Needs, arguments: tuple[str, ...]) -> None:
    """Configuration, alerts and the tests of the alerts pass."""
    done = subprocess.run(
        [needs("promtool"), *arguments], cwd=FOLDER, check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_is_content_with_the_metrics(needs: Needs) -> None:
    """Names and types follow Prometheus's conventions."""
    done = subprocess.run(
        [needs("promtool"), "check", "metrics"],
        input=Metrics(CollectorRegistry()).render(),
        check=False,
        capture_output=True,
    )

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_an_alert_can_be_acted_on(alert: dict[str, Any]) -> None:
    """Severity, summary, description, and a runbook section that exists."""
    headings = {
        line[3:].lower() for line in RUNBOOKS.read_text("utf-8").splitlines() if line[:3] == "## "
    }
    runbook, _, anchor = alert["annotations"]["runbook"].partition("#")

    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["description"].endswith(".")
    assert runbook == "docs/runbooks.md"
    assert anchor == alert["alert"].lower()
    assert anchor in headings


def test_every_runbook_has_its_alert() -> None:
    """No section is left of an alert that is gone."""
    sections = re.findall(r"^## (\w+)$", RUNBOOKS.read_text("utf-8"), re.MULTILINE)

    assert sorted(sections) == sorted(alert["alert"] for alert in alerts())


def test_every_metric_of_an_alert_is_declared() -> None:
    """An alert on a metric that does not exist would never fire."""
    families = Metrics(CollectorRegistry()).registry.collect()
    ends = ("", "_total", "_bucket")
    known = {family.name + end for family in families for end in ends} | PROMETHEUS_OWN

    used = {
        name
        for alert in alerts()
        for name in re.findall(r"\b(vigie_\w+|process_\w+|up)\b(?=[\[{ ])", alert["expr"])
    }

    assert used - known == set()
    assert len(used) > 8


def test_every_alert_is_tested_to_fire() -> None:
    """tests/alerts.test.yml expects each alert at some time, and none on a quiet morning."""
    tests = yaml.safe_load((FOLDER / "tests" / "alerts.test.yml").read_text("utf-8"))["tests"]
    fired = {
        step["alertname"]
        for test in tests
        for step in test.get("alert_rule_test", [])
        if step["exp_alerts"]
    }

    assert fired == {alert["alert"] for alert in alerts()}
    assert "count(ALERTS)" in tests[0]["promql_expr_test"][0]["expr"]


def test_what_the_incident_asks_for_is_critical_and_at_once() -> None:
    """A refused extraction and a cut wake somebody without a delay."""
    by_name = {alert["alert"]: alert for alert in alerts()}

    for name in ("VigieExtractionRefused", "VigieBudgetCut"):
        assert by_name[name]["labels"]["severity"] == "critical"
        assert "for" not in by_name[name]
