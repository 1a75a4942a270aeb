"""What was done under a work order, and what its roles were refused meanwhile.

Gathered from audit records as they are written, or from a log of them afterwards.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from proxy.audit.record import AuditRecord, RecordKind, timestamp
from proxy.terms.finding import Action, Finding, Severity
from proxy.terms.order import ORDER_RULE, WorkOrder, order_title
from proxy.terms.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.terms.finding import Mode

_MOST: Final = 1000  # of different principals, and of different refusals; others count as one
_OTHERS: Final = "others"
_KINDS: Final = frozenset({RecordKind.STATEMENT.value, RecordKind.CUT.value})
_REFUSALS: Final = frozenset({"block", "terminate"})


@dataclass(slots=True)
class Times:
    """How often, and when first and last, as ISO 8601 in UTC."""

    count: int = 0
    first: str = ""
    last: str = ""

    def note(self, at: str) -> None:
        """Count one more."""
        self.count += 1
        self.first, self.last = min(self.first or at, at), max(self.last, at)


@dataclass(slots=True)
class OrderTrail:
    """The trail of one order. ``uses`` by who; ``refused`` by who and why."""

    order: WorkOrder
    uses: dict[str, Times] = field(default_factory=dict)
    refused: dict[tuple[str, str], Times] = field(default_factory=dict)

    def take(self, record: AuditRecord) -> None:
        """Take a record that is being written."""
        if record.kind.value not in _KINDS or record.principal.role not in self.order.roles:
            return
        principal = record.principal
        who = _who(principal.role, principal.database, principal.address)
        named = [(one.rule, one.title, one.explanation) for one in record.findings]
        refuses = record.carried_out and record.verdict >= Action.BLOCK
        self._note(timestamp(record.at), who, named, refuses=refuses)

    def read(self, lines: Iterable[str]) -> None:
        """Take lines of an audit log: those of its roles, between its begin and its end."""
        begins, ends = timestamp(self.order.begins), timestamp(self.order.ends)
        for line in lines:
            if not any(role in line for role in self.order.roles):
                continue
            try:
                record: dict[str, Any] = json.loads(line)
                principal = record["principal"]
                if record["kind"] not in _KINDS or principal["role"] not in self.order.roles:
                    continue
                if not begins <= record["at"] <= ends:
                    continue
                who = _who(principal["role"], principal["database"], principal["address"])
                named = [(one["rule"], one["title"], one["explanation"])
                         for one in record["findings"]]  # fmt: skip
                refuses = record["carried_out"] and record["verdict"] in _REFUSALS
            except (ValueError, KeyError, TypeError):
                continue
            self._note(record["at"], who, named, refuses=refuses)

    def told(self) -> dict[str, Any]:
        """Return it for JSON, who did most first."""
        uses = sorted(self.uses.items(), key=lambda one: -one[1].count)
        refused = sorted(self.refused.items(), key=lambda one: -one[1].count)
        return {
            "statements": sum(times.count for times in self.uses.values()),
            "used_by": [{"who": who, **_times(times)} for who, times in uses],
            "refused": [{"who": who, "why": why, **_times(times)} for (who, why), times in refused],
        }

    def _note(self, at: str, who: str, named: list[tuple[str, str, str]], *, refuses: bool) -> None:
        if any(
            (rule, title) == (ORDER_RULE, order_title(self.order.id)) for rule, title, _ in named
        ):
            key = who if who in self.uses or len(self.uses) < _MOST else _OTHERS
            self.uses.setdefault(key, Times()).note(at)
        elif refuses:
            why = "; ".join(f"{rule} {explanation}" for rule, _, explanation in named)
            known = (who, why) in self.refused or len(self.refused) < _MOST
            self.refused.setdefault((who, why) if known else (_OTHERS, _OTHERS), Times()).note(at)


def _who(role: str, database: str, address: str) -> str:
    return f"{role}@{database}" + (f" from {address}" if address else "")


def _times(times: Times) -> dict[str, Any]:
    return {"count": times.count, "first": times.first, "last": times.last}


def ended(
    order: WorkOrder, report: Mapping[str, object], *, finding_id: str, mode: Mode, policy: str
) -> AuditRecord:
    """Return the record of an order that has ended; its time is that of the sink."""
    finding = Finding(
        ORDER_RULE, order_title(order.id), Severity.INFO, Action.ALLOW, 0, "work order has ended"
    )
    return AuditRecord(
        at=0.0,
        finding_id=finding_id,
        session_id="",
        principal=Principal(", ".join(sorted(order.roles)), ""),
        kind=RecordKind.ORDER,
        verdict=Action.ALLOW,
        mode=mode,
        policy=policy,
        carried_out=False,
        findings=(finding,),
        relations=tuple(sorted(order.relations)),
        report=report,
    )
