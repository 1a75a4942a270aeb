"""Every metric, declared once: name, type, help text, labels and the values these may have.

A label has a closed set of values, or one that the policy closes (``BY_POLICY``: rules, budgets,
roles). A value outside its set counts as ``other``, so nothing that a peer sends can make a series.
Never a label: SQL text, a subject key, an address, an application name, a role no policy names.

Source: Prometheus documentation, "Metric and label naming", "Writing exporters".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from proxy.terms.budget import Method
from proxy.terms.facts import Kind
from proxy.terms.finding import Action, Mode
from proxy.terms.mask import How

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHER: Final = "other"
BY_POLICY: Final[tuple[str, ...]] = ()

VERDICTS: Final = {action: action.name.lower() for action in Action}
ANALYSIS_BUCKETS_SECONDS: Final = (
    *(0.0001, 0.00025, 0.0005),
    *(0.001, 0.0025, 0.005),
    *(0.01, 0.025, 0.05, 0.1),
)
SAVE_BUCKETS_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Type(Enum):
    """The types of Prometheus that are used."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Declaration:
    """One metric. ``labels``: each with its closed set of values, in the order of the labels."""

    name: str
    type: Type
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


BUILD: Final = Declaration(
    "vigie_build_info",
    Type.GAUGE,
    "Always 1: version of Vigie, version of Python, kernel in use.",
    {"version": BY_POLICY, "python": BY_POLICY, "kernel": BY_POLICY},
)
MODE: Final = Declaration(
    "vigie_mode",
    Type.GAUGE,
    "1 for the mode in force: enforce carries verdicts out, observe only records them.",
    {"mode": tuple(Mode)},
)
CONNECTIONS: Final = Declaration(
    "vigie_frontend_connections_open", Type.GAUGE, "Frontend connections open now."
)
CONNECTIONS_TOTAL: Final = Declaration(
    "vigie_frontend_connections_total",
    Type.COUNTER,
    "Frontend connections: accepted, refused by Vigie, login failed at the backend.",
    {"outcome": ("accepted", "refused", "login_failed")},
)
REFUSED: Final = Declaration(
    "vigie_connections_refused_total",
    Type.COUNTER,
    "Frontend connections that Vigie refused: for what they asked, or because of a limit.",
    {"reason": ("start_up", "too_many", "too_many_of_role", "stopping")},
)
ENDED: Final = Declaration(
    "vigie_sessions_ended_total",
    Type.COUNTER,
    "Sessions that Vigie ended by a timeout or because it was stopping.",
    {"reason": ("idle", "idle_in_transaction", "login_timeout", "stopping")},
)
STATEMENTS: Final = Declaration(
    "vigie_statements_total",
    Type.COUNTER,
    "Statements judged, by verdict (in observe mode: recorded, not carried out) and kind.",
    {"verdict": tuple(VERDICTS.values()), "kind": tuple(Kind)},
)
ATTRIBUTED: Final = Declaration(
    "vigie_attributed_statements_total",
    Type.COUNTER,
    "Statements about subjects, of roles that are believed to say for whom: whether they did.",
    {"naming": ("named", "unnamed", "too_many")},
)
FINDINGS: Final = Declaration(
    "vigie_findings_total",
    Type.COUNTER,
    "Findings, by rule or budget, its severity, and the verdict of the statement.",
    {"rule": BY_POLICY, "severity": BY_POLICY, "verdict": tuple(VERDICTS.values())},
)
CUTS: Final = Declaration(
    "vigie_cuts_total",
    Type.COUNTER,
    "Running results that were ended because a budget was spent.",
    {"budget": BY_POLICY},
)
ROWS: Final = Declaration(
    "vigie_rows_total",
    Type.COUNTER,
    "Rows released to frontends, by the method they were charged with.",
    {"method": tuple(Method)},
)
MASKED: Final = Declaration(
    "vigie_masked_values_total",
    Type.COUNTER,
    "Values released masked, by how: whole, partial, hash.",
    {"how": tuple(How)},
)
CHARGED: Final = Declaration(
    "vigie_subjects_charged_total",
    Type.COUNTER,
    "Units charged to a budget of distinct subjects: patients not yet received in its window.",
    {"budget": BY_POLICY},
)
USAGE: Final = Declaration(
    "vigie_budget_usage_ratio",
    Type.GAUGE,
    "Used part of a budget (1 = spent), the highest among the principals of the role.",
    {"budget": BY_POLICY, "role": BY_POLICY},
)
RESULT_BYTES: Final = Declaration(
    "vigie_result_bytes_total", Type.COUNTER, "Bytes of results released to frontends."
)
ANALYSIS: Final = Declaration(
    "vigie_analysis_seconds",
    Type.HISTOGRAM,
    "Time from the text of a statement to its facts, cached or not.",
)
FACTS_CACHE: Final = Declaration(
    "vigie_facts_cache_total",
    Type.COUNTER,
    "Look-ups of facts: found by exact text, by template, or not.",
    {"outcome": ("exact", "template", "miss")},
)
OPAQUE: Final = Declaration(
    "vigie_opaque_statements_total",
    Type.COUNTER,
    "Statements about which facts could not be had, by reason.",
    {
        "reason": (
            *("syntax", "encoding", "too_deep", "too_large", "code"),
            *("lexer_setting", "internal", OTHER),
        )
    },
)
DISAGREEMENTS: Final = Declaration(
    "vigie_witness_disagreements_total",
    Type.COUNTER,
    "Statements in which sqlglot and PostgreSQL's grammar saw different things.",
    {"what": ("statement_count", "kind", "relations", "functions", OTHER)},
)
INTERNAL_ERRORS: Final = Declaration(
    "vigie_internal_errors_total",
    Type.COUNTER,
    "Errors of Vigie's own. In enforce mode the statement was refused.",
    {
        "where": (
            *("analysis", "policy", "meter", "session", "relay"),
            *("catalog", "audit", "http", OTHER),
        )
    },
)
UPSTREAM_ERRORS: Final = Declaration(
    "vigie_upstream_errors_total",
    Type.COUNTER,
    "Backend connections that could not be had or were lost.",
    {"reason": ("refused", "timeout", "unresolved", "tls", "lost", OTHER)},
)
PROTOCOL_ERRORS: Final = Declaration(
    "vigie_protocol_errors_total",
    Type.COUNTER,
    "Bytes that are not the PostgreSQL protocol, by the side they came from.",
    {"side": ("frontend", "backend")},
)
POLICY: Final = Declaration(
    "vigie_policy_info",
    Type.GAUGE,
    "1 for the version hash of the policy in force.",
    {"version": BY_POLICY},
)
POLICY_SUCCESSFUL: Final = Declaration(
    "vigie_policy_last_load_successful",
    Type.GAUGE,
    "1 if the last load of the policy succeeded; at 0 the policy before it is in force.",
)
POLICY_TIMESTAMP: Final = Declaration(
    "vigie_policy_last_load_timestamp_seconds",
    Type.GAUGE,
    "When the policy in force was loaded, in seconds since 1970.",
)
RELOADS: Final = Declaration(
    "vigie_reloads_total",
    Type.COUNTER,
    "Readings of the policy and the certificates while Vigie runs (SIGHUP).",
    {"what": ("policy", "certificates"), "outcome": ("loaded", "failed")},
)
AUDIT_RECORDS: Final = Declaration(
    "vigie_audit_records_total", Type.COUNTER, "Audit records written."
)
AUDIT_ERRORS: Final = Declaration(
    "vigie_audit_write_errors_total", Type.COUNTER, "Audit records that could not be written."
)
STATE_SAVES: Final = Declaration(
    "vigie_state_save_seconds",
    Type.HISTOGRAM,
    "Time to write what was charged to the state file, once for all that waits.",
)
STATE_ERRORS: Final = Declaration(
    "vigie_state_write_errors_total",
    Type.COUNTER,
    "Writings of the state file that failed.",
)
STATE_COMPACTIONS: Final = Declaration(
    "vigie_state_compactions_total",
    Type.COUNTER,
    "Usage of a group reduced to numbers because too many subjects were known by their keys.",
)
STATE_MEMORY: Final = Declaration(
    "vigie_state_memory_bytes", Type.GAUGE, "What usage takes of memory, about."
)
STATE_RETURNS: Final = Declaration(
    "vigie_state_returns_total",
    Type.COUNTER,
    "Groups whose subjects were read back from the state file before something was decided.",
)
SCHEMA_DRIFT: Final = Declaration(
    "vigie_schema_drift",
    Type.GAUGE,
    "Places where the schema map does not fit the databases, as their catalogs were last read.",
    {
        "kind": (
            *("relation_gone", "column_gone", "type_changed"),
            *("key_unmapped", "identity_unmapped"),
        )
    },
)
CATALOG_LOADS: Final = Declaration(
    "vigie_catalog_loads_total",
    Type.COUNTER,
    "Readings of the database's catalog.",
    {"outcome": ("loaded", "failed")},
)
