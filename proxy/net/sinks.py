"""Where findings and counts go: the audit log, the metrics, the log of Vigie itself."""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.net import clock
from proxy.session import commands as c
from proxy.session.lane_book import KIND_NUMBERS, METHOD_NUMBERS
from proxy.terms.finding import Action

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proxy.accel.lane_state import LaneCounts
    from proxy.audit import AuditRecord
    from proxy.meter.ledger import Ledger
    from proxy.metrics import Metrics

_log: Final = logging.getLogger(__name__)
_MODE: Final = 0o640
_COUNTED_HERE: Final = frozenset({"cut", "schema_drift"})  # findings of no statement's judgement


class AuditLog:
    """A file that lines are appended to, each by one write; None: the standard output.

    Errors: OSError, if the file cannot be opened.
    """

    def __init__(self, path: Path | None) -> None:
        if path is None:
            self._descriptor = sys.stdout.fileno()
            self._own = False
        else:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, _MODE)
            self._own = True
        self.failing = ""  # why the last line could not be written

    def write(self, record: AuditRecord) -> bool:
        """Append a record; whether it could be written."""
        line = record.to_json_line().encode("ascii")
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError as error:
            self.failing = error.strerror or type(error).__name__
            return False
        self.failing = ""
        return True

    def close(self) -> None:
        """Close the file."""
        if self._own:
            os.close(self._descriptor)


class Sinks:
    """Takes the commands of sessions that are not about bytes."""

    def __init__(
        self, metrics: Metrics, audit: AuditLog, ledger: Ledger, lanes: LaneCounts
    ) -> None:
        self.metrics = metrics
        self._lanes = lanes
        self._lanes_told = ((0,) * len(lanes.statements), (0,) * len(lanes.rows), 0)
        self._audit = audit
        self._ledger = ledger
        self._compactions_told = 0
        self._returns_told = 0
        self._told: Counter[str] = Counter()  # charged units that were counted
        self.listeners: list[Callable[[AuditRecord], None]] = []  # told of each record

    def take(self, command: c.Command) -> None:
        """Count it, write it, or log it."""
        metrics = self.metrics
        match command:
            case c.Judged(facts, judgement):
                metrics.statement(judgement.verdict, facts.kind)
                for finding in judgement.findings:
                    metrics.finding(finding, judgement.verdict)
                if facts.opaque is not None:
                    metrics.opaque(facts.opaque)
                for disagreement in facts.disagreements:
                    metrics.disagreement(disagreement)
            case c.Attributed(naming):
                metrics.attributed(naming)
            case c.Analysed(cached, seconds):
                metrics.facts_cache(cached)
                metrics.analysis(seconds)
            case c.Released(method, rows, size_bytes):
                metrics.rows(method, rows)
                metrics.result_bytes(size_bytes)
            case c.Masked(how, values):
                metrics.masked(how, values)
            case c.Emit(record):
                self._write(replace(record, at=clock.wall()))
            case c.WasCut(budget):
                metrics.cut(budget)
            case c.CatalogRead(loaded, drift):
                metrics.catalog_load(loaded=loaded)
                if drift is not None:
                    metrics.schema_drift(drift)
            case c.LoginFailed():
                metrics.login_failed()
            case c.Refused(reason):
                metrics.connection_refused(reason)
            case c.Ended(reason):
                metrics.session_ended(reason)
            case c.ProtocolFault(side, reason):
                metrics.protocol_error(side)
                _log.warning("protocol error of the %s: %s", side, reason)
            case c.UpstreamFault(reason):
                metrics.upstream_error(reason)
                _log.error("database connection: %s", reason)
            case c.InternalFault(where, error, traceback):
                metrics.internal_error(where)
                _log.error("internal error in %s: %s\n%s", where, error, traceback)
            case _:
                pass

    def refresh(self) -> None:
        """Set what changes with time alone, before metrics are shown."""
        now = clock.now()
        self.metrics.usage_snapshot(
            (usage.budget, usage.role, _ratio(usage.used, usage.limit))
            for usage in self._ledger.usage(now)
            if usage.limit is not None
        )
        self._count_lanes()
        new = self._ledger.charged - self._told
        for budget, units in new.items():
            self.metrics.charged(budget, units)
        self._told += new
        compactions = self._ledger.book.compactions
        self.metrics.state_compactions(compactions - self._compactions_told)
        self._compactions_told = compactions
        returns = self._ledger.book.returns
        self.metrics.state_memory(self._ledger.book.memory_bytes, returns - self._returns_told)
        self._returns_told = returns

    def _count_lanes(self) -> None:
        """Count what went through fast lanes since the last time."""
        statements, rows, size = self._lanes_told
        counts = self._lanes
        now, rows_now = tuple(counts.statements), tuple(counts.rows)
        for kind, number in KIND_NUMBERS.items():
            if now[number] != statements[number]:
                self.metrics.statements(Action.ALLOW, kind, now[number] - statements[number])
        self.metrics.facts_cache("template", sum(now) - sum(statements))
        for method, number in METHOD_NUMBERS.items():
            self.metrics.rows(method, rows_now[number] - rows[number])
        self.metrics.result_bytes(counts.size_bytes - size)
        self._lanes_told = (now, rows_now, counts.size_bytes)

    def readiness(self) -> list[str]:
        """Return why findings cannot be kept; nothing if they can."""
        failing = self._audit.failing
        return [f"audit log cannot be written: {failing}"] if failing else []

    def _write(self, record: AuditRecord) -> None:
        for listener in self.listeners:
            listener(record)
        for finding in record.findings:
            if record.kind in _COUNTED_HERE:
                self.metrics.finding(finding, record.verdict)
        if self._audit.write(record):
            self.metrics.audit_record()
        else:
            self.metrics.audit_write_error()
            _log.error("audit record %s could not be written", record.finding_id)
        if record.verdict >= Action.BLOCK:
            shown = ", ".join(finding.rule for finding in record.findings)
            state = "" if record.carried_out else " (observed, not carried out)"
            _log.warning(
                "finding %s: %s of %s, %s%s",
                record.finding_id,
                record.verdict.name.lower(),
                record.principal.role,
                shown,
                state,
            )


def _ratio(used: int, limit: int | None) -> float:
    """Return the used part; a budget of nothing is spent as soon as something is used."""
    if limit:
        return used / limit
    return 1.0 if used else 0.0
