"""Write grafana/dashboards/soc.json: ``python deploy/dashboards.py``. A test compares the two.

Plain dictionaries in Grafana's classic model (schemaVersion 42), which Grafana 10 to 13 read.
Every panel has a unit and a description that says what to do; every selector has the variables
``job`` and ``instance``; every rate spans ``$__rate_interval`` and every total ``$__range``.
"""
# ruff: noqa: INP001 - a script beside what it makes, not a package

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path(__file__).resolve().parents[1] / "grafana" / "dashboards" / "soc.json"
SCHEMA_VERSION: Final = 42
GRID_COLUMNS: Final = 24
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
SCOPE: Final = 'job=~"$job",instance=~"$instance"'
REFUSED: Final = 'verdict=~"block|terminate"'

Json = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """One expression. ``@`` stands for the selectors of job and instance."""

    text: str
    legend: str = "{{instance}}"

    @property
    def expression(self) -> str:
        """Return the expression as Grafana gets it."""
        return self.text.replace("@", SCOPE)


@dataclass(frozen=True)
class Panel:
    """One panel; ``width`` and ``height`` in cells of the grid."""

    type: str
    title: str
    description: str
    unit: str
    width: int
    height: int
    queries: tuple[Query, ...]
    steps: tuple[tuple[float | None, str], ...] = ((None, "green"),)
    options: tuple[tuple[str, Any], ...] = ()
    stacked: bool = False
    mappings: tuple[tuple[str, str, str], ...] = ()  # value, text, colour


def total(metric: str, labels: str = "", by: str = "") -> str:
    """Return the sum of a counter's increase over the time shown."""
    selector = f"@,{labels}" if labels else "@"
    return f"sum{by and f' by ({by}) '}(increase({metric}{{{selector}}}[$__range]))"


def rate(metric: str, labels: str = "", by: str = "") -> str:
    """Return the sum of a counter's rate per second."""
    selector = f"@,{labels}" if labels else "@"
    return f"sum{by and f' by ({by}) '}(rate({metric}{{{selector}}}[$__rate_interval]))"


def number(title: str, query: str, unit: str, description: str, **more: Any) -> Panel:
    """Return one number, red from 1 on unless said otherwise."""
    steps = more.pop("steps", ((None, "green"), (1, "red")))
    return Panel("stat", title, description, unit, 4, 4, (Query(query),), steps=steps, **more)


def lines(title: str, query: str, legend: str, unit: str, description: str, **more: Any) -> Panel:
    """Return a panel of lines over time."""
    width, height = more.pop("width", 12), more.pop("height", 8)
    queries = (Query(query, legend), *more.pop("further", ()))
    return Panel("timeseries", title, description, unit, width, height, queries, **more)


CALM: Final = ((None, "text"),)

ROWS: Final[tuple[tuple[str, tuple[Panel, ...]], ...]] = (
    (
        "Is somebody taking data?",
        (
            number(
                "Refused statements",
                total("vigie_statements_total", REFUSED),
                "short",
                "Statements with verdict block or terminate in the time shown. In enforce mode "
                "they did not run; in observe mode they did. When red: which rule is below, who "
                "it was is in the audit log.",
            ),
            number(
                "Results cut",
                total("vigie_cuts_total"),
                "short",
                "Running results that were ended because a budget was spent. When red: somebody "
                "received all that their budget allows; treat it as an incident until explained.",
            ),
            number(
                "Highest budget usage",
                "max(vigie_budget_usage_ratio{@})",
                "percentunit",
                "The fullest budget of all principals. When orange (80 %): ask whoever answers "
                "for the role, named below, before it is cut. When red: it is spent.",
                steps=((None, "green"), (0.8, "orange"), (1, "red")),
            ),
            number(
                "Patients charged",
                total("vigie_subjects_charged_total"),
                "short",
                "Patients newly received by some principal in the time shown. No colour: compare "
                "with the same hour of an ordinary day; a jump wants an explanation.",
                steps=CALM,
            ),
            number(
                "Mode",
                'max(vigie_mode{@,mode="observe"})',
                "none",
                "Enforce carries verdicts out. When orange (observe): nothing is stopped, verdicts "
                "are only recorded; end it with --mode enforce once the findings are understood.",
                steps=((None, "green"), (1, "orange")),
                mappings=(("0", "enforce", "green"), ("1", "observe", "orange")),
            ),
            number(
                "Open connections",
                "sum(vigie_frontend_connections_open{@})",
                "short",
                "Applications connected now. No colour: 0 during working hours means that they "
                "are down or go around Vigie; look at pg_stat_activity on the database.",
                steps=CALM,
            ),
        ),
    ),
    (
        "Findings and budgets",
        (
            lines(
                "Findings by rule and severity",
                total("vigie_findings_total", by="rule, severity").replace(
                    "$__range", "$__rate_interval"
                ),
                "{{rule}} ({{severity}})",
                "short",
                "Findings in each step, whatever the verdict. When a rule of high or critical "
                "severity rises: read its records in the audit log, then the runbook.",
                stacked=True,
            ),
            lines(
                "Statements by verdict",
                rate("vigie_statements_total", by="verdict"),
                "{{verdict}}",
                "ops",
                "Judged statements a second. When block rises with allow falling: an application "
                "is being refused its ordinary work; look for the rule on the left.",
                stacked=True,
            ),
            lines(
                "Patients charged by budget",
                f"{rate('vigie_subjects_charged_total', by='budget')} * 3600",
                "{{budget}}",
                "short",
                "Newly received patients, as patients an hour at the current pace. When a line "
                "leaves its daily shape: find the role on the right, then its records.",
            ),
            lines(
                "Budget usage by role",
                "max by (budget, role) (vigie_budget_usage_ratio{@})",
                "{{role}} ({{budget}})",
                "percentunit",
                "Used part of each budget, the highest of the role's principals. A ramp over "
                "hours is work, a jump is an extraction. When over the red line: it is cut.",
                steps=((None, "green"), (0.8, "orange"), (1, "red")),
            ),
            lines(
                "Refusals and cuts",
                total("vigie_findings_total", REFUSED, "rule").replace(
                    "$__range", "$__rate_interval"
                ),
                "refused: {{rule}}",
                "short",
                "When something was stopped, and by which rule or budget. When bars appear: take "
                "their time to the audit log; the runbook is VigieExtractionRefused.",
                further=(
                    Query(
                        total("vigie_cuts_total", by="budget").replace(
                            "$__range", "$__rate_interval"
                        ),
                        "cut: {{budget}}",
                    ),
                ),
                stacked=True,
            ),
            lines(
                "Rows by method of charging",
                rate("vigie_rows_total", by="method"),
                "{{method}}",
                "ops",
                "Rows released a second: free carry nobody's data, keys are counted by patient, "
                "bytes are the coarsest. When bytes rise: work that Vigie cannot count finely; "
                "complete the schema map.",
                stacked=True,
            ),
            lines(
                "Statements for whom",
                rate("vigie_attributed_statements_total", by="naming"),
                "{{naming}}",
                "ops",
                "Statements a second about patients, of roles believed to say for whom they act. "
                "When unnamed ones rise: an application has lost the way to say it, or somebody "
                "uses its role by another program.",
                stacked=True,
            ),
            lines(
                "Masked values",
                rate("vigie_masked_values_total", by="how"),
                "{{how}}",
                "ops",
                "Values released masked a second, by how. When none, but masked roles work: "
                "look whether the rules still name these roles.",
                stacked=True,
            ),
        ),
    ),
    (
        "What Vigie cannot see well",
        (
            lines(
                "Opaque statements by reason",
                rate("vigie_opaque_statements_total", by="reason"),
                "{{reason}}",
                "ops",
                "Statements that could not be understood. When encoding or lexer_setting appear: "
                "rarely innocent. When code or syntax: try vigie explain, complete the schema map.",
                width=8,
            ),
            lines(
                "Disagreements of the witnesses",
                rate("vigie_witness_disagreements_total", by="what"),
                "{{what}}",
                "ops",
                "Two parsers read one statement differently; the pessimistic reading was used. "
                "When not 0: read the templates in the audit log; it is a bug or an evasion.",
                width=8,
            ),
            lines(
                "Connections and logins",
                rate("vigie_frontend_connections_total", by="outcome"),
                "{{outcome}}",
                "ops",
                "Connections a second. When login_failed rises: somebody is guessing passwords, "
                "or an application lost its own. When refused rises: no protocol, or too many.",
                width=8,
            ),
        ),
    ),
    (
        "Is Vigie well?",
        (
            number(
                "Internal errors",
                total("vigie_internal_errors_total"),
                "short",
                "Errors of Vigie's own; in enforce mode these statements were refused. When red: "
                "read the log, then report it with the template of the audit record.",
            ),
            number(
                "Audit records lost",
                total("vigie_audit_write_errors_total"),
                "short",
                "Records that could not be written. When red: mend the disk or the rights now; "
                "for this time there is no evidence.",
            ),
            number(
                "Upstream errors",
                total("vigie_upstream_errors_total"),
                "short",
                "Connections to PostgreSQL that could not be had or were lost. When red: is the "
                "database up, and did its address or pg_hba.conf change?",
            ),
            number(
                "Policy loads",
                "min(vigie_policy_last_load_successful{@})",
                "none",
                "Whether the last load of the policy succeeded. When red: the policy before it "
                "is in force; vigie check lists every problem with its line.",
                steps=((None, "red"), (1, "green")),
                mappings=(("0", "failed", "red"), ("1", "in force", "green")),
            ),
            number(
                "Policy version",
                "max by (version) (vigie_policy_info{@})",
                "none",
                "The hash of the policy in force. More than one name means that instances differ: "
                "load the same policy everywhere.",
                steps=CALM,
                options=(("textMode", "name"),),
            ),
            number(
                "Policy age",
                "max(time() - vigie_policy_last_load_timestamp_seconds{@})",
                "s",
                "Time since the policy in force was loaded. No colour: if it is younger than you "
                "know of, somebody changed it or restarted Vigie.",
                steps=CALM,
            ),
            lines(
                "Analysis time",
                "histogram_quantile(0.5, sum by (le) "
                "(rate(vigie_analysis_seconds_bucket{@}[$__rate_interval])))",
                "half are under",
                "s",
                "Time from the text of a statement to its facts. When p99 stays over 50 ms: see "
                "the facts cache; the runbook is VigieAnalysisSlow.",
                width=8,
                further=(
                    Query(
                        "histogram_quantile(0.99, sum by (le) "
                        "(rate(vigie_analysis_seconds_bucket{@}[$__rate_interval])))",
                        "99 % are under",
                    ),
                    Query(
                        "histogram_quantile(0.99, sum by (le) "
                        "(rate(vigie_state_save_seconds_bucket{@}[$__rate_interval])))",
                        "99 % of state writes are under",
                    ),
                ),
            ),
            lines(
                "Facts cache",
                rate("vigie_facts_cache_total", by="outcome"),
                "{{outcome}}",
                "ops",
                "How facts were found. When miss dominates for long: texts differ in more than "
                "their literals, and analysis costs time; find the application that makes them.",
                width=8,
                stacked=True,
            ),
            lines(
                "Results released",
                rate("vigie_result_bytes_total"),
                "to frontends",
                "Bps",
                "Bytes of results a second. When it rises without statements rising: few "
                "statements take much; look at rows by method and at budgets.",
                width=8,
            ),
            lines(
                "Internal and protocol errors",
                rate("vigie_internal_errors_total", by="where"),
                "internal: {{where}}",
                "ops",
                "When internal errors appear: runbook VigieInternalErrors. When protocol errors "
                "of frontends appear: something that is no PostgreSQL driver is knocking.",
                further=(
                    Query(rate("vigie_protocol_errors_total", by="side"), "protocol: {{side}}"),
                ),
            ),
            lines(
                "Upstream, catalog, audit and state",
                rate("vigie_upstream_errors_total", by="reason"),
                "upstream: {{reason}}",
                "ops",
                "When upstream errors rise: runbook VigieUpstreamDown. When catalog failed rises: "
                "runbook VigieCatalogNotRead. Audit records rise with findings, never without. "
                "When the state is not written: runbook VigieStateNotWritten.",
                further=(
                    Query(rate("vigie_catalog_loads_total", by="outcome"), "catalog: {{outcome}}"),
                    Query(rate("vigie_audit_records_total"), "audit records"),
                    Query(rate("vigie_state_write_errors_total"), "state not written"),
                    Query(rate("vigie_state_compactions_total"), "usage reduced to numbers"),
                    Query(rate("vigie_state_returns_total"), "usage read back"),
                ),
            ),
            lines(
                "Memory of usage",
                "max by (instance) (vigie_state_memory_bytes{@})",
                "{{instance}}",
                "bytes",
                "When it stands at its ceiling and usage is read back all the time: raise "
                "`state_memory_mib`, or shorten the longest windows of budgets of many principals.",
            ),
            lines(
                "Refused and ended connections",
                rate("vigie_connections_refused_total", by="reason"),
                "refused: {{reason}}",
                "ops",
                "When too_many appears: runbook VigieTooManyConnections. When idle ones are ended: "
                "an application leaves sessions open. Stopping is a restart, planned or not.",
                further=(
                    Query(rate("vigie_sessions_ended_total", by="reason"), "ended: {{reason}}"),
                ),
            ),
            lines(
                "Readings of policy and certificates",
                rate("vigie_reloads_total", by="what, outcome"),
                "{{what}}: {{outcome}}",
                "ops",
                "Each SIGHUP. When failed appears: what was in force stays so; the log of Vigie "
                "names each problem, and runbook VigiePolicyLoadFailed what to do.",
            ),
            lines(
                "Where the schema map does not fit",
                "max by (kind) (vigie_schema_drift{@})",
                "{{kind}}",
                "short",
                "When key_unmapped or identity_unmapped is not 0, patients leave that are not "
                "counted: runbook VigieSchemaDrift. The other kinds are names of the map that "
                "stand for nothing.",
            ),
        ),
    ),
)


def dashboard() -> Json:
    """Return the whole dashboard."""
    return {
        "uid": "vigie-soc",
        "title": "Vigie: who takes patients' data",
        "description": "Refusals, cuts, budgets and the health of Vigie, for the SOC.",
        "tags": ["vigie", "soc"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables()},
        "annotations": {"list": [policy_loads()]},
        "links": [],
        "panels": placed(),
    }


def variables() -> list[Json]:
    """Return the variables: data source, job, instance."""
    return [
        {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "current": {},
            "hide": 0,
            "includeAll": False,
            "multi": False,
            "refresh": 1,
        },
        from_labels("job", "Job", "label_values(vigie_build_info, job)"),
        from_labels(
            "instance", "Instance", 'label_values(vigie_build_info{job=~"$job"}, instance)'
        ),
    ]


def from_labels(name: str, label: str, query: str) -> Json:
    """Return a variable with the values of a label; all of them at first."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "current": {"text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "includeAll": True,
        "allValue": ".+",
        "multi": True,
        "refresh": 2,  # on a change of the time range
        "sort": 1,
    }


def policy_loads() -> Json:
    """Return the annotation that marks each load of a policy."""
    query = Query("max by (instance) (vigie_policy_last_load_timestamp_seconds{@} * 1000)")
    return {
        "name": "Policy loads",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": query.expression,
        "titleFormat": "policy loaded on {{instance}}",
        "useValueForTime": True,
    }


def placed() -> list[Json]:
    """Return all panels with ids and places: rows of the grid, filled from the left."""
    panels: list[Json] = []
    top = 0
    for title, members in ROWS:
        panels.append(row(len(panels) + 1, title, top))
        top += 1
        left = height = 0
        for member in members:
            if left + member.width > GRID_COLUMNS:
                left, top, height = 0, top + height, 0
            place = {"x": left, "y": top, "w": member.width, "h": member.height}
            panels.append({"id": len(panels) + 1, "gridPos": place, **drawn(member)})
            left, height = left + member.width, max(height, member.height)
        top += height
    return panels


def row(number_of_panel: int, title: str, top: int) -> Json:
    """Return the heading of a row."""
    return {
        "id": number_of_panel,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": {"x": 0, "y": top, "w": GRID_COLUMNS, "h": 1},
        "panels": [],
    }


def drawn(panel: Panel) -> Json:
    """Return a panel without its place."""
    is_number = panel.type == "stat"
    return {
        "type": panel.type,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": query.expression,
                "legendFormat": query.legend if not is_number else "{{version}}",
                "instant": is_number,
                "range": not is_number,
            }
            for index, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": field_defaults(panel), "overrides": []},
        "options": {**(stat_options() if is_number else line_options()), **dict(panel.options)},
    }


def field_defaults(panel: Panel) -> Json:
    """Return unit, thresholds, mappings and, for lines, how they are drawn."""
    steps = [{"value": value, "color": color} for value, color in panel.steps]
    defaults: Json = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.unit == "short":
        defaults["decimals"] = 0
    if panel.mappings:
        shown = {value: {"text": text, "color": color} for value, text, color in panel.mappings}
        defaults["mappings"] = [{"type": "value", "options": shown}]
    if panel.type == "timeseries":
        defaults["color"] = {"mode": "palette-classic"}
        has_thresholds = len(panel.steps) > 1
        defaults["custom"] = {
            "drawStyle": "bars" if panel.stacked and panel.unit == "short" else "line",
            "fillOpacity": 60 if panel.stacked else 10,
            "lineWidth": 1,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "line" if has_thresholds else "off"},
        }
    else:
        defaults["color"] = {"mode": "thresholds"}
    return defaults


def stat_options() -> Json:
    """Return the options of a number."""
    return {
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "value",
        "wideLayout": True,
    }


def line_options() -> Json:
    """Return the options of lines."""
    return {
        "legend": {
            "calcs": ["max"],
            "displayMode": "list",
            "placement": "bottom",
            "showLegend": True,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def text() -> str:
    """Return the file's content."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
