"""Findings, verdicts and judgements."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Action(IntEnum):
    """What a rule asks for; ordered, so that the strongest wins."""

    ALLOW = 0
    FLAG = 1
    BLOCK = 2
    TERMINATE = 3


class Severity(StrEnum):
    """How serious a finding is for the SOC."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Mode(StrEnum):
    """Whether verdicts are carried out."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


@dataclass(frozen=True, slots=True)
class Finding:
    """This rule (or budget) held for these facts."""

    rule: str  # EX104
    title: str
    severity: Severity
    action: Action
    weight: int
    explanation: str  # one sentence without literals
    evidence: tuple[tuple[str, str], ...] = ()  # (fact, value) pairs that decided
    hint: str = ""  # what the frontend may do instead; "": the usual


@dataclass(frozen=True, slots=True)
class Judgement:
    """The one answer for a statement: findings, their sum, and what follows."""

    verdict: Action
    score: int  # 0 to 100: the weights of the findings added up, at most 100
    findings: tuple[Finding, ...] = ()

    @property
    def decisive(self) -> Finding | None:
        """The finding to name to the frontend: the strongest action, then the heaviest."""
        return max(self.findings, key=lambda f: (f.action, f.weight), default=None)
