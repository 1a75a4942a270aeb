"""What the score found: one value per case, and the figures made of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

CAUGHT_BELOW: Final = 0.10  # of the patients that leave with nothing in between
FEW: Final = 100


@dataclass(frozen=True, slots=True)
class Judged:
    """How many statements of a case Vigie judged, and of how many it could not have the facts."""

    statements: int = 0
    opaque: int = 0


NOTHING_JUDGED: Final = Judged()


@dataclass(frozen=True, slots=True)
class AttackResult:
    """One attack, direct and through Vigie.

    Args:
        direct, leaked: distinct patients that reached the attacker without and with Vigie.
        budget: what its roles may receive; None: no limit.
        stopped_by: id of the rule or budget, empty if none had to; ``message``: what it said.
        findings: every rule and budget that the audit log names.
        fault: why this run fails the score; empty if it does not.
    """

    id: str
    technique: str
    title: str
    role: str
    direct: int
    leaked: int
    budget: int | None
    stopped_by: str
    finding: str
    message: str
    findings: tuple[str, ...]
    seconds: float
    fault: str = ""
    judged: Judged = NOTHING_JUDGED

    @property
    def is_caught(self) -> bool:
        """Whether less than a tenth of the patients left, as the comparison counts it."""
        return self.leaked < CAUGHT_BELOW * self.direct or self.leaked == 0


@dataclass(frozen=True, slots=True)
class BenignResult:
    """One piece of work, direct and through Vigie.

    ``touched``: blocked, changed, flagged, or empty; ``detail``: what was different.
    """

    id: str
    category: str
    title: str
    role: str
    expected: str
    touched: str
    findings: tuple[str, ...]
    detail: str = ""
    judged: Judged = NOTHING_JUDGED

    @property
    def fault(self) -> str:
        """Why this run fails the score; empty if it does not."""
        if self.touched in {"", self.expected} or (self.touched, self.expected) == (
            "flagged",
            "flag",
        ):
            return ""
        return f"{self.touched}: {self.detail or ', '.join(self.findings)}"


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run, in the terms of the comparison."""

    attacks: int
    caught_percent: float
    nothing_percent: float  # attacks that got no patient at all
    few_percent: float  # attacks that got fewer than FEW
    leaked: int
    leaked_percent: float
    median_leaked: float
    largest_leak: int
    over_budget: int
    work: int
    disturbed_percent: float  # blocked or changed
    flagged: int
    flagged_unexpectedly: int
    opaque_in_attacks_percent: float  # of the statements that were judged
    opaque_in_work_percent: float

    @property
    def net(self) -> float:
        """Caught minus disturbed, in percent points."""
        return round(self.caught_percent - self.disturbed_percent, 1)


def summarise(attacks: Sequence[AttackResult], work: Sequence[BenignResult]) -> Summary:
    """Return the figures; of nothing they are 0."""
    leaks = [result.leaked for result in attacks]
    direct = sum(result.direct for result in attacks)
    flagged = [result for result in work if result.touched == "flagged"]
    return Summary(
        attacks=len(attacks),
        caught_percent=_percent(sum(result.is_caught for result in attacks), len(attacks)),
        nothing_percent=_percent(leaks.count(0), len(attacks)),
        few_percent=_percent(sum(leak < FEW for leak in leaks), len(attacks)),
        leaked=sum(leaks),
        leaked_percent=_percent(sum(leaks), direct),
        median_leaked=median(leaks) if leaks else 0,
        largest_leak=max(leaks, default=0),
        over_budget=sum(r.budget is not None and r.leaked > r.budget for r in attacks),
        work=len(work),
        disturbed_percent=_percent(
            sum(result.touched in {"blocked", "changed"} for result in work), len(work)
        ),
        flagged=len(flagged),
        flagged_unexpectedly=sum(result.expected != "flag" for result in flagged),
        opaque_in_attacks_percent=_opaque([result.judged for result in attacks]),
        opaque_in_work_percent=_opaque([result.judged for result in work]),
    )


def _opaque(judged: Sequence[Judged]) -> float:
    return _percent(sum(one.opaque for one in judged), sum(one.statements for one in judged))


def as_document(attacks: Sequence[AttackResult], work: Sequence[BenignResult]) -> dict[str, Any]:
    """Return everything as it goes into JSON."""
    summary = summarise(attacks, work)
    return {
        "summary": asdict(summary) | {"net": summary.net},
        "attacks": [asdict(result) for result in attacks],
        "work": [asdict(result) for result in work],
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0
