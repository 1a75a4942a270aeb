"""What an attacker is told, as the table shows it."""

from __future__ import annotations

from proxy.demo.intruder import Stop


def test_stop_reads_rule_and_finding() -> None:
    """Whether it comes as an error object or in the output of pg_dump."""
    output = (
        "pg_dump: error: query failed: ERROR:  statement refused: reads every row of lab.patient\n"
        "DETAIL:  Rule EX101, finding 7f3a9c21d0b4.\n"
    )
    stop = Stop.of(output)

    assert (stop.rule, stop.finding, stop.by_vigie) == ("EX101", "7f3a9c21d0b4", True)
    assert "reads every row" in stop.message
    assert not Stop.of("pg_dump: error: connection refused").by_vigie


def test_stop_shows_no_patient() -> None:
    """Keys in an error's text are not shown: the table is for everybody's eyes."""
    stop = Stop.of('value "255081416802538,1840575123001" is out of range for type integer')

    assert "25508" not in stop.message
