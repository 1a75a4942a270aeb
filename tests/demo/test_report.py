"""The verdict of the demonstration on itself."""

from __future__ import annotations

import io

from rich.console import Console

from proxy.demo.attacks import Attack, Outcome
from proxy.demo.desk import Timing
from proxy.demo.intruder import Intruder, Stop
from proxy.demo.report import Findings, show

STOP = Stop("42501", "statement refused: reads every row of lab.patient", "EX101", "7f3a9c21d0b4")


def nothing(_intruder: Intruder) -> None:
    """Attack without attacking."""


def pair(
    through: int, *, first: int = 0, role: str = "billing", stop: Stop | None = STOP
) -> tuple[Outcome, Outcome]:
    """Return an attack that got 5,000 directly and ``through`` of them, from ``first`` on."""
    attack = Attack(f"dump-{first}", "dump by SELECT", role, nothing)
    got = frozenset(b"%015d" % n for n in range(first, first + through))
    everybody = frozenset(b"%015d" % n for n in range(5000))
    return Outcome(attack, everybody, None, 1, 0.1), Outcome(attack, got, stop, 1, 0.1)


def findings(*attacks: tuple[Outcome, Outcome], refused: Stop | None = None) -> Findings:
    direct = [Timing("billing", "list", n / 1000, None) for n in range(1, 101)]
    through = [Timing("billing", "list", n / 1000 + 0.002, None) for n in range(1, 100)]
    through.append(Timing("billing", "list", 0.1, refused))
    return Findings("PostgreSQL 15", 5000, list(attacks), direct, through)


def shown(what: Findings) -> str:
    output = io.StringIO()
    show(what, Console(file=output, width=140))
    return output.getvalue()


def test_within_the_budget_is_as_promised() -> None:
    """The limit itself is still within; the table names rule and finding."""
    result = findings(pair(700))

    assert result.failures() == []
    assert result.as_json()["passed"] is True
    text = shown(result)
    assert "EX101" in text
    assert "7f3a9c21d0b4" in text
    assert "As promised" in text


def test_attacks_of_a_role_share_its_budget() -> None:
    """Two attacks, each within: together they are over, for a budget counts the role's patients."""
    same = findings(pair(400), pair(400))
    others = findings(pair(400), pair(400, first=400))

    assert same.failures() == []
    assert others.failures() == ["billing received 800 patients, its budget is 700"]
    assert "FAILED" in shown(others)


def test_an_attack_that_gets_nobody_directly_proves_nothing() -> None:
    """A broken attack must not pass for a stopped one."""
    broken, _ = pair(0)
    empty = Outcome(broken.attack, frozenset(), None, 1, 0.1)

    assert findings((empty, empty)).failures() == [
        "attack dump-0 got nobody without Vigie: it proves nothing (no error)"
    ]


def test_a_blocked_statement_of_the_work_is_a_failure() -> None:
    """The line says whose, which, how often, and by which rule."""
    result = findings(refused=STOP)

    (failure,) = result.failures()
    assert failure.startswith("legitimate work stopped through Vigie: billing, list (1 times)")
    assert failure.endswith("EX101 statement refused: reads every row of lab.patient")
    assert "1 blocked" in shown(result)


def test_added_latency_is_the_difference_of_percentiles() -> None:
    """Statements refused on one way are left out on both."""
    latencies = findings(refused=STOP).latencies()

    assert [round(latency.added_ms, 6) for latency in latencies] == [2, 2]
