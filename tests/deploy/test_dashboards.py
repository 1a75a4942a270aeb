"""The dashboards as Grafana reads them: made by the script, consistent, and telling what to do."""

from __future__ import annotations

import json
import re
from itertools import chain, combinations
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client import CollectorRegistry

from deploy import dashboards
from proxy.metrics import Metrics

ROOT: Final = Path(__file__).resolve().parents[2]
GRAFANA: Final = ROOT / "grafana"
FILES: Final = sorted((GRAFANA / "dashboards").glob("*.json"))
PANEL_TYPES: Final = {"stat", "timeseries"}
UNITS: Final = {"bytes", "short", "none", "percentunit", "s", "Bps", "ops"}

Json = dict[str, Any]


def loaded(path: Path) -> Json:
    dashboard: Json = json.loads(path.read_text("utf-8"))
    return dashboard


def panels(dashboard: Json) -> list[Json]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions(dashboard: Json) -> list[str]:
    targets = chain.from_iterable(panel["targets"] for panel in panels(dashboard))
    notes = (note["expr"] for note in dashboard["annotations"]["list"])
    return [*(target["expr"] for target in targets), *notes]


def declared() -> dict[str, str]:
    """Return the type of every metric by each name that a query can use."""
    names: dict[str, str] = {}
    for family in Metrics(CollectorRegistry()).registry.collect():
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        names |= {family.name + end: family.type for end in ends.get(family.type, [""])}
    return names


def test_the_file_is_what_the_script_writes() -> None:
    """Whoever edits the JSON loses it; whoever edits the script runs it."""
    assert dashboards.TARGET.read_text("utf-8") == dashboards.text()


def test_there_is_nothing_in_grafana_but_dashboards_and_provisioning() -> None:
    """grafana/ can be mounted as it is."""
    found = {path.relative_to(GRAFANA).parts[0] for path in GRAFANA.rglob("*") if path.is_file()}

    assert found == {"dashboards", "provisioning"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_dashboard_has_a_fixed_identity(path: Path) -> None:
    """Uid after the file's name, a schema that Grafana 10 to 13 read, not to be edited."""
    dashboard = loaded(path)

    assert dashboard["uid"] == f"vigie-{path.stem}"
    assert dashboard["schemaVersion"] in {41, 42}
    assert dashboard["editable"] is False
    assert "id" not in dashboard


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_variables_choose_source_job_and_instance(path: Path) -> None:
    """A data source variable; job and instance with several values, read again with the range."""
    variables = {one["name"]: one for one in loaded(path)["templating"]["list"]}

    assert list(variables) == ["datasource", "job", "instance"]
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == (
        "datasource",
        "prometheus",
    )
    for name in ("job", "instance"):
        one = variables[name]
        assert (one["multi"], one["includeAll"], one["allValue"], one["refresh"]) == (
            True,
            True,
            ".+",
            2,
        )
        assert one["datasource"]["uid"] == "${datasource}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_panel_says_what_it_is_and_what_to_do(path: Path) -> None:
    """Title, unit, data source, and a description that is advice."""
    for panel in panels(loaded(path)):
        title, description = panel["title"], panel["description"]
        assert panel["type"] in PANEL_TYPES, title
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, title
        assert panel["datasource"]["uid"] == "${datasource}", title
        assert all(t["datasource"]["uid"] == "${datasource}" for t in panel["targets"]), title
        assert title
        assert len(description.split()) >= 15, title
        assert re.search(r"\b[Ww]hen\b|No colour|differ", description), title


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_ids_and_titles_are_unique_and_links_lead_nowhere_else(path: Path) -> None:
    """Two panels are never confused; the dashboard needs no other page."""
    dashboard = loaded(path)
    identities = [panel["id"] for panel in dashboard["panels"]]
    titles = [panel["title"] for panel in dashboard["panels"]]

    assert len(set(identities)) == len(identities)
    assert len(set(titles)) == len(titles)
    assert dashboard["links"] == []
    assert [p["title"] for p in dashboard["panels"] if p.get("links")] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_two_panels_overlap(path: Path) -> None:
    """Every panel is on the grid, in a place of its own."""
    places = [(panel["title"], panel["gridPos"]) for panel in loaded(path)["panels"]]

    overlapping = [
        (one, other)
        for (one, a), (other, b) in combinations(places, 2)
        if a["x"] < b["x"] + b["w"]
        and b["x"] < a["x"] + a["w"]
        and a["y"] < b["y"] + b["h"]
        and b["y"] < a["y"] + a["h"]
    ]

    assert overlapping == []
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for _, place in places)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_selector_is_scoped_and_every_metric_declared(path: Path) -> None:
    """Each metric of a query exists, with the variables job and instance."""
    known = declared()

    for expression in expressions(loaded(path)):
        names = re.findall(r"\bvigie_\w+", expression)
        selectors = re.findall(r"\bvigie_\w+\{([^}]*)\}", expression)
        assert names, expression
        assert set(names) <= set(known), expression
        assert len(selectors) == len(names), expression
        assert all('job=~"$job",instance=~"$instance"' in one for one in selectors), expression


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_rates_are_of_counters_over_grafanas_own_intervals(path: Path) -> None:
    """No rate of a gauge, no fixed span that breaks when zoomed, no counter without a rate."""
    known = declared()

    for expression in expressions(loaded(path)):
        spans = re.findall(r"\b(?:rate|increase)\((vigie_\w+)\{[^}]*\}\[([^\]]*)\]", expression)
        assert all(known[name] != "gauge" for name, _ in spans), expression
        assert {span for _, span in spans} <= {"$__rate_interval", "$__range"}, expression
        counters = [n for n in re.findall(r"vigie_\w+", expression) if known[n] != "gauge"]
        assert counters == [name for name, _ in spans], expression


def test_every_metric_that_someone_should_act_on_is_shown() -> None:
    """Of all metrics only the version of Vigie itself is in no panel."""
    shown = set(re.findall(r"\bvigie_\w+", " ".join(chain(*map(expressions, map(loaded, FILES))))))
    histograms = {
        f"vigie_{name}_seconds_{part}"
        for name in ("analysis", "state_save")
        for part in ("sum", "count")
    }

    assert set(declared()) - shown == {"vigie_build_info"} | histograms


def test_provisioning_points_at_what_is_there() -> None:
    """A data source with a fixed uid, a provider that lets nobody edit, as compose has them."""
    folder = GRAFANA / "provisioning"
    sources = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())
    providers = yaml.safe_load((folder / "dashboards" / "vigie.yaml").read_text())
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    mounts = compose["services"]["grafana"]["volumes"]

    (source,) = sources["datasources"]
    (provider,) = providers["providers"]

    assert (source["type"], source["uid"]) == ("prometheus", "vigie-prometheus")
    assert source["url"] == "http://prometheus:9090"
    assert provider["allowUiUpdates"] is False
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in mounts
