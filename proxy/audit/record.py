"""An audit record: what was decided, about whom, why; one JSON line, no value of a subject in it.

The file of such lines is the evidence of an incident: whoever has a line can recompute the score
from its findings, and name the policy that decided. Clock, ids and files belong to ``proxy.net``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from proxy.audit.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.terms.budget import Measure, Method
    from proxy.terms.finding import Action, Finding, Mode
    from proxy.terms.principal import Principal
    from proxy.terms.relation import Relation

SCHEMA_VERSION: Final = 1
SCORE_CEILING: Final = 100


class RecordKind(StrEnum):
    """What a record is about."""

    STATEMENT = "statement"
    CUT = "cut"
    CONNECTION = "connection"
    SCHEMA_DRIFT = "schema_drift"  # the database does not fit the schema map
    ORDER = "order"  # a work order has ended
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class Charged:
    """What was charged, or was about to be when a result was cut."""

    method: Method
    budget: str | None = None  # the budget that was spent
    measure: Measure | None = None
    charged: int = 0


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One decision that is worth keeping.

    Args:
        at: seconds since 1970, from the clock of the caller.
        finding_id: 12 hex digits, also told to the frontend.
        session_id: the same for all records of a session.
        fingerprint, template: of the statement; empty if there is none.
        carried_out: whether the verdict was; never in observe mode.
    """

    at: float
    finding_id: str
    session_id: str
    principal: Principal
    kind: RecordKind
    verdict: Action
    mode: Mode
    policy: str
    carried_out: bool
    findings: tuple[Finding, ...] = ()
    fingerprint: str = ""
    template: str = ""
    relations: tuple[Relation, ...] = ()
    charge: Charged | None = None
    detail: str = ""  # of a connection or an internal error; redacted
    report: Mapping[str, object] | None = None  # of a work order; holds no value of a subject

    @property
    def score(self) -> int:
        """The weights of the findings added up, at most 100."""
        return score_of(finding.weight for finding in self.findings)

    def to_json_line(self) -> str:
        """Return the record as one line of JSON with its line end.

        Whatever is free text is redacted once more, so that a value that slipped in does not get
        out. Escaped to ASCII: no text can look like another line.
        """
        charge = self.charge
        record: dict[str, object] = {
            "schema_version": SCHEMA_VERSION,
            "at": timestamp(self.at),
            "finding_id": self.finding_id,
            "session_id": self.session_id,
            "kind": self.kind.value,
            "principal": _principal(self.principal),
            "verdict": self.verdict.name.lower(),
            "mode": self.mode.value,
            "carried_out": self.carried_out,
            "score": self.score,
            "findings": [_finding(finding) for finding in self.findings],
            "fingerprint": self.fingerprint,
            "template": redact(self.template),
            "relations": sorted(redact(str(relation)) for relation in self.relations),
            "charge": charge and _charge(charge),
            "policy": self.policy,
            "detail": redact(self.detail),
        }
        if self.report is not None:
            record["report"] = self.report
        return json.dumps(record, ensure_ascii=True, separators=(",", ":")) + "\n"


def score_of(weights: Iterable[int]) -> int:
    """Return the score of these weights: their sum, between 0 and 100."""
    return max(0, min(SCORE_CEILING, sum(weights)))


def timestamp(at: float) -> str:
    """Return seconds since 1970 as ISO 8601 in UTC, to the microsecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")


def _principal(principal: Principal) -> dict[str, str]:
    return {
        # Who acted is the point of a record, and roles are often numbers: not redacted.
        "role": principal.role,
        "database": principal.database,
        "address": principal.address,
        "application_name": redact(principal.application_name),
        "certificate": principal.certificate.subject if principal.certificate else "",
        "end_user": principal.behalf.end_user,
        "application": principal.behalf.application,
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule,
        "title": finding.title,
        "severity": finding.severity.value,
        "action": finding.action.name.lower(),
        "weight": finding.weight,
        "explanation": redact(finding.explanation),
        "evidence": [{"fact": fact, "value": redact(value)} for fact, value in finding.evidence],
    }


def _charge(charge: Charged) -> dict[str, object]:
    return {
        "method": charge.method.value,
        "budget": charge.budget,
        "measure": charge.measure.value if charge.measure else None,
        "charged": charge.charged,
    }
