"""What the rest of Vigie calls to count: one small method for each thing that happens."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

import proxy
from proxy.metrics import declared
from proxy.metrics.children import Children
from proxy.terms.budget import Measure
from proxy.terms.finding import Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.metrics.declared import Declaration
    from proxy.terms.budget import Budget, Method
    from proxy.terms.facts import Disagreement, Kind
    from proxy.terms.finding import Action, Finding, Severity
    from proxy.terms.mask import How

# The reasons of an opaque statement are short texts; only these classes of them are counted.
_REASONS: Final = (
    ("syntax", "syntax"),
    ("unterminated", "syntax"),
    ("nul", "encoding"),
    ("encoding", "encoding"),
    ("too deep", "too_deep"),
    ("too large", "too_large"),
    ("needs worker", "too_large"),
    ("worker", "too_large"),
    ("standard_conforming_strings", "lexer_setting"),
    ("DO block", "code"),
    ("procedure", "code"),
    ("parameters computed", "code"),
    ("internal", "internal"),
)


class Metrics:
    """Every metric of one running Vigie.

    Args:
        registry: where they are registered; None: one of its own, with process and memory metrics.
        kernel: which implementation of the hot functions is in use.
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, *, kernel: str = "python"
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        if registry is None:
            registry = CollectorRegistry()
            ProcessCollector(registry=registry)
            GCCollector(registry=registry)
        self.registry = registry

        def counters(declaration: Declaration) -> Children[Counter]:
            return Children(Counter, declaration, registry)

        def gauges(declaration: Declaration) -> Children[Gauge]:
            return Children(Gauge, declaration, registry)

        self._connections = Gauge(*_named(declared.CONNECTIONS), registry=registry)
        self._connections_total = counters(declared.CONNECTIONS_TOTAL)
        self._refused = counters(declared.REFUSED)
        self._ended = counters(declared.ENDED)
        self._statements = counters(declared.STATEMENTS)
        self._attributed = counters(declared.ATTRIBUTED)
        self._findings = counters(declared.FINDINGS)
        self._cuts = counters(declared.CUTS)
        self._rows = counters(declared.ROWS)
        self._masked = counters(declared.MASKED)
        self._charged = counters(declared.CHARGED)
        self._usage = gauges(declared.USAGE)
        self._ratios: dict[tuple[str, str], float] = {}
        self._result_bytes = Counter(*_named(declared.RESULT_BYTES), registry=registry)
        self._analysis = Histogram(
            *_named(declared.ANALYSIS),
            buckets=declared.ANALYSIS_BUCKETS_SECONDS,
            registry=registry,
        )
        self._state_saves = Histogram(
            *_named(declared.STATE_SAVES), buckets=declared.SAVE_BUCKETS_SECONDS, registry=registry
        )
        self._state_errors = Counter(*_named(declared.STATE_ERRORS), registry=registry)
        self._state_compactions = Counter(*_named(declared.STATE_COMPACTIONS), registry=registry)
        self._state_memory = Gauge(*_named(declared.STATE_MEMORY), registry=registry)
        self._state_returns = Counter(*_named(declared.STATE_RETURNS), registry=registry)
        self._schema_drift = gauges(declared.SCHEMA_DRIFT)
        self._facts_cache = counters(declared.FACTS_CACHE)
        self._opaque = counters(declared.OPAQUE)
        self._disagreements = counters(declared.DISAGREEMENTS)
        self._internal_errors = counters(declared.INTERNAL_ERRORS)
        self._upstream_errors = counters(declared.UPSTREAM_ERRORS)
        self._protocol_errors = counters(declared.PROTOCOL_ERRORS)
        self._policy = gauges(declared.POLICY)
        self._policy_successful = Gauge(*_named(declared.POLICY_SUCCESSFUL), registry=registry)
        self._policy_timestamp = Gauge(*_named(declared.POLICY_TIMESTAMP), registry=registry)
        self._reloads = counters(declared.RELOADS)
        self._audit_records = Counter(*_named(declared.AUDIT_RECORDS), registry=registry)
        self._audit_errors = Counter(*_named(declared.AUDIT_ERRORS), registry=registry)
        self._catalog_loads = counters(declared.CATALOG_LOADS)
        self._mode = gauges(declared.MODE)
        build = gauges(declared.BUILD)
        build.add(proxy.__version__, platform.python_version(), kernel).set(1)

    def render(self) -> bytes:
        """Return the text of ``/metrics``. Cost: tens of milliseconds; call it off the loop."""
        return generate_latest(self.registry)

    # what is in force

    def mode(self, mode: Mode) -> None:
        """Say which mode is in force."""
        for one in Mode:
            self._mode.child(one).set(one is mode)

    def policy_loaded(
        self,
        rules: Iterable[tuple[str, Severity]],
        budgets: Iterable[Budget],
        version: str,
        *,
        at: float,
    ) -> None:
        """Make the children that the policy closes, and say which policy is in force.

        Roles are known from the budgets that name them; all others are ``other``.

        Units: ``at`` in seconds since 1970.
        """
        budgets = tuple(budgets)
        for rule, severity in (*rules, *((budget.id, budget.severity) for budget in budgets)):
            for verdict in declared.VERDICTS.values():
                self._findings.add(rule, severity, verdict)
        for budget in budgets:
            self._cuts.add(budget.id)
            if budget.measure is Measure.SUBJECTS:
                self._charged.add(budget.id)
            if budget.limit is not None:
                for role in budget.roles or {declared.OTHER}:
                    self._usage.add(budget.id, role)
        self._policy.clear()
        self._policy.add(version).set(1)
        self._policy_successful.set(1)
        self._policy_timestamp.set(at)

    def policy_load_failed(self) -> None:
        """Say that the last policy could not be loaded; the one before stays in force."""
        self._policy_successful.set(0)

    def reloaded(self, what: str, *, succeeded: bool) -> None:
        """Count a reading of the policy, or of the certificates, while Vigie runs."""
        self._reloads.child(what, "loaded" if succeeded else "failed").inc()

    # connections

    def connection_opened(self) -> None:
        """Count a frontend connection that was accepted."""
        self._connections.inc()
        self._connections_total.child("accepted").inc()

    def connection_closed(self) -> None:
        """Count an accepted frontend connection as gone."""
        self._connections.dec()

    def connection_refused(self, reason: str) -> None:
        """Count a frontend connection that Vigie refused, and why."""
        self._connections_total.child("refused").inc()
        self._refused.child(reason).inc()

    def session_ended(self, reason: str) -> None:
        """Count a session that Vigie ended for no fault of its own."""
        self._ended.child(reason).inc()

    def login_failed(self) -> None:
        """Count a login that the backend refused."""
        self._connections_total.child("login_failed").inc()

    def upstream_error(self, reason: str) -> None:
        """Count a backend connection: refused, timeout, unresolved, lost, or other."""
        self._upstream_errors.child(reason).inc()

    def protocol_error(self, side: str) -> None:
        """Count bytes that are no protocol, from the side ``frontend`` or ``backend``."""
        self._protocol_errors.child(side).inc()

    # statements

    def statement(self, verdict: Action, kind: Kind) -> None:
        """Count a judged statement."""
        self.statements(verdict, kind, 1)

    def statements(self, verdict: Action, kind: Kind, count: int) -> None:
        """Count statements that were judged alike."""
        self._statements.child(declared.VERDICTS[verdict], kind).inc(count)

    def attributed(self, naming: str) -> None:
        """Count a statement of who may say for whom it is: named, unnamed, or too_many."""
        self._attributed.child(naming).inc()

    def finding(self, finding: Finding, verdict: Action) -> None:
        """Count a finding under the verdict of its statement."""
        self._findings.child(finding.rule, finding.severity, declared.VERDICTS[verdict]).inc()

    def analysis(self, seconds: float) -> None:
        """Count the time that one text took to become facts."""
        self._analysis.observe(seconds)

    def facts_cache(self, outcome: str, count: int = 1) -> None:
        """Count look-ups of facts: exact, template or miss."""
        self._facts_cache.child(outcome).inc(count)

    def opaque(self, reason: str) -> None:
        """Count an opaque statement by the class of its reason."""
        known = next((name for start, name in _REASONS if reason.startswith(start)), declared.OTHER)
        self._opaque.child(known).inc()

    def disagreement(self, disagreement: Disagreement) -> None:
        """Count what two witnesses saw differently."""
        self._disagreements.child(disagreement.what).inc()

    def catalog_load(self, *, loaded: bool) -> None:
        """Count a reading of the catalog."""
        self._catalog_loads.child("loaded" if loaded else "failed").inc()

    def schema_drift(self, counts: Mapping[str, int]) -> None:
        """Show in how many places the schema map and the databases differ, by kind."""
        for kind, count in counts.items():
            self._schema_drift.child(kind).set(count)

    # results

    def rows(self, method: Method, count: int) -> None:
        """Count rows released."""
        self._rows.child(method).inc(count)

    def masked(self, how: How, count: int) -> None:
        """Count values that left masked."""
        self._masked.child(how).inc(count)

    def result_bytes(self, count: int) -> None:
        """Count bytes of results released."""
        self._result_bytes.inc(count)

    def charged(self, budget_id: str, count: int) -> None:
        """Count subjects charged to a budget; what other budgets measure are no subjects."""
        if self._charged.knows(0, budget_id):
            self._charged.child(budget_id).inc(count)

    def cut(self, budget_id: str) -> None:
        """Count a result that was cut."""
        self._cuts.child(budget_id).inc()

    def usage(self, budget_id: str, role: str, ratio: float) -> None:
        """Raise the usage of a budget; what falls with time is set by ``usage_snapshot``."""
        labels = (budget_id, role)
        if not self._usage.knows(1, role):
            labels = (budget_id, declared.OTHER)
        if ratio > self._ratios.get(labels, -1.0):
            self._ratios[labels] = ratio
            self._usage.child(*labels).set(ratio)

    def usage_snapshot(self, usages: Iterable[tuple[str, str, float]]) -> None:
        """Set the usage of every (budget id, role, ratio); whoever is not in it has used nothing.

        To be called before each rendering: windows slide, so usage falls without any traffic.
        """
        self._ratios.clear()
        for child in self._usage.every():
            child.set(0)
        for budget_id, role, ratio in usages:
            self.usage(budget_id, role, ratio)

    # Vigie itself

    def audit_record(self) -> None:
        """Count an audit record that was written."""
        self._audit_records.inc()

    def audit_write_error(self) -> None:
        """Count an audit record that could not be written."""
        self._audit_errors.inc()

    def state_saved(self, seconds: float) -> None:
        """Count a batch of usage that was kept."""
        self._state_saves.observe(seconds)

    def state_error(self) -> None:
        """Count a batch of usage that could not be kept."""
        self._state_errors.inc()

    def state_memory(self, size_bytes: int, returns: int) -> None:
        """Show what usage takes, and count groups whose subjects were read back."""
        self._state_memory.set(size_bytes)
        self._state_returns.inc(returns)

    def state_compactions(self, count: int) -> None:
        """Count groups whose subjects were reduced to numbers."""
        self._state_compactions.inc(count)

    def internal_error(self, where: str) -> None:
        """Count an error of ours: analysis, policy, meter, session, relay, catalog, audit, http."""
        self._internal_errors.child(where).inc()


def _named(declaration: Declaration) -> tuple[str, str]:
    return declaration.name, declaration.help
