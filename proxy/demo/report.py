"""The result of the demonstration: what it found, whether that is as promised, how it is shown."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from proxy.demo.attacks import Outcome
    from proxy.demo.desk import Timing

BUDGETS: Final = {
    "lims_app": 600,
    "secretary": 300,
    "biologist": 1_000,
    "billing": 700,
    "dba": 250,
    "dashboard": 0,
    "export_job": 3_000,
}
"""Distinct patients by role within the demonstration's time: what rules/sites/lab-demo promises."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds at a percentile, directly and through Vigie."""

    percentile: int
    direct_ms: float
    through_ms: float

    @property
    def added_ms(self) -> float:
        """Return what Vigie adds."""
        return self.through_ms - self.direct_ms


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a demonstration measured. Attacks are pairs: directly, then through Vigie."""

    postgres: str
    patients: int
    attacks: list[tuple[Outcome, Outcome]]
    work_direct: list[Timing]
    work_through: list[Timing]

    def blocked(self) -> list[Timing]:
        """Return the legitimate statements that did not go through Vigie."""
        return [timing for timing in self.work_through if timing.refused]

    def received(self) -> dict[str, int]:
        """Return how many distinct patients each role got through Vigie by all its attacks."""
        union: dict[str, set[bytes]] = defaultdict(set)
        for _, through in self.attacks:
            union[through.attack.role] |= through.subjects
        return {role: len(subjects) for role, subjects in sorted(union.items())}

    def failures(self) -> list[str]:
        """Return what is not as promised, one sentence each; empty is success."""
        found = [
            f"{role} received {count:,} patients, its budget is {BUDGETS[role]:,}"
            for role, count in self.received().items()
            if count > BUDGETS[role]
        ]
        found += [
            f"attack {direct.attack.name} got nobody without Vigie: it proves nothing "
            f"({direct.stop.message if direct.stop else 'no error'})"
            for direct, _ in self.attacks
            if not direct.subjects
        ]
        for which, timings in (("without", self.work_direct), ("through", self.work_through)):
            refused = Counter(
                (t.role, t.title, t.refused.rule, t.refused.message) for t in timings if t.refused
            )
            found += [
                f"legitimate work stopped {which} Vigie: {role}, {title} ({count} times): "
                f"{f'{rule} ' if rule else ''}{message}"
                for (role, title, rule, message), count in refused.items()
            ]
        return found

    def latencies(self) -> list[Latency]:
        """Return the median and the 99th percentile over statements that went through both ways."""
        pairs = [
            (direct.seconds * 1e3, through.seconds * 1e3)
            for direct, through in zip(self.work_direct, self.work_through, strict=False)
            if not direct.refused and not through.refused
        ]
        if len(pairs) < 2:  # noqa: PLR2004 - a percentile needs two points
            return []
        cuts = [quantiles(side, n=100) for side in zip(*pairs, strict=True)]
        return [Latency(p, cuts[0][p - 1], cuts[1][p - 1]) for p in (50, 99)]

    def as_json(self) -> dict[str, object]:
        """Return it as values that JSON can hold."""
        return {
            "postgres": self.postgres,
            "patients": self.patients,
            "attacks": [_attack_as_json(*pair) for pair in self.attacks],
            "budgets": [
                {"role": role, "limit": BUDGETS[role], "received": count}
                for role, count in self.received().items()
            ],
            "work": {
                "statements": len(self.work_through),
                "blocked": [asdict(timing) for timing in self.blocked()],
                "latency": [
                    {**asdict(latency), "added_ms": latency.added_ms}
                    for latency in self.latencies()
                ],
            },
            "failures": self.failures(),
            "passed": not self.failures(),
        }


def show(findings: Findings, console: Console) -> None:
    """Print the table, then what it means."""
    table = Table(title=f"Patients that left the laboratory, of {findings.patients:,}")
    table.add_column("attack", no_wrap=True)
    table.add_column("as role", no_wrap=True)
    table.add_column("without\nVigie", justify="right")
    table.add_column("with\nVigie", justify="right")
    table.add_column("stopped by")
    table.add_column("finding", no_wrap=True)
    for direct, through in findings.attacks:
        over = len(through.subjects) > BUDGETS[through.attack.role]
        table.add_row(
            through.attack.title,
            through.attack.role,
            f"{len(direct.subjects):,}",
            Text(f"{len(through.subjects):,}", style="bold red" if over else "bold green"),
            _stopped_by(through),
            through.stop.finding if through.stop else "",
        )
    console.print(table)
    _show_budgets(findings, console)
    _show_work(findings, console)
    failures = findings.failures()
    for failure in failures:
        console.print(Text.assemble(("FAILED ", "bold red"), failure), soft_wrap=True)
    if not failures:
        console.print(
            "[bold green]As promised:[/] every role stayed within its budget, "
            "no legitimate statement was stopped."
        )


def _stopped_by(through: Outcome) -> Text:
    if through.stop is None or not through.stop.by_vigie:
        what = "not stopped by Vigie" if through.subjects else "gave nobody"
        return Text(f"{what}: {through.stop.message if through.stop else 'no error'}")
    message = through.stop.message
    for prefix in ("statement refused: ", "result cut: "):
        if prefix in message:
            kind = prefix.split()[1].rstrip(":")
            message = f"{kind}: {message.split(prefix)[1]}"
    return Text.assemble((f"{through.stop.rule} " if through.stop.rule else "", "bold"), message)


def _show_budgets(findings: Findings, console: Console) -> None:
    parts = [
        f"{role} {count:,} of {BUDGETS[role]:,}" for role, count in findings.received().items()
    ]
    console.print(f"All attacks of a role together: {', '.join(parts)}.", soft_wrap=True)


def _show_work(findings: Findings, console: Console) -> None:
    roles = len({timing.role for timing in findings.work_through})
    blocked = len(findings.blocked())
    console.print(
        f"Legitimate work of {roles} roles: {len(findings.work_through)} statements, "
        f"{blocked} blocked.",
        style="" if blocked == 0 else "bold red",
    )
    latencies = [
        f"p{latency.percentile} {latency.added_ms:+.2f} ms "
        f"({latency.direct_ms:.2f} direct, {latency.through_ms:.2f} through)"
        for latency in findings.latencies()
    ]
    console.print(f"Latency that Vigie adds: {', '.join(latencies)}.", soft_wrap=True)


def _attack_as_json(direct: Outcome, through: Outcome) -> dict[str, object]:
    attack = through.attack
    return {
        "name": attack.name,
        "title": attack.title,
        "role": attack.role,
        "patients_direct": len(direct.subjects),
        "patients_through": len(through.subjects),
        "stop": asdict(through.stop) if through.stop else None,
        "seconds_direct": round(direct.seconds, 3),
        "seconds_through": round(through.seconds, 3),
    }
