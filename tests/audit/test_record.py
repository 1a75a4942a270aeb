"""AuditRecord: one line of JSON, the score recomputable, no value in it."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any, Final

import pytest

from proxy.audit import AuditRecord, Charged, RecordKind
from proxy.terms.behalf import Behalf
from proxy.terms.budget import Measure, Method
from proxy.terms.finding import Action, Finding, Mode, Severity
from proxy.terms.principal import Certificate, Principal
from proxy.terms.relation import Relation

FINDING: Final = Finding(
    rule="EX104",
    title="Whole-table read of patient data",
    severity=Severity.HIGH,
    action=Action.BLOCK,
    weight=60,
    explanation="reads every row of lab.patient",
    evidence=(("relations", "lab.patient"), ("row_bound", "absent")),
)
RECORD: Final = AuditRecord(
    at=1_800_000_000.25,
    finding_id="00ff00ff00ff",
    session_id="5e5510",
    principal=Principal(
        "secretary",
        "lab",
        "192.0.2.7",
        "psql",
        Certificate("CN=lims,OU=Lab"),
        behalf=Behalf("dr.alice", "validation"),
    ),
    kind=RecordKind.STATEMENT,
    verdict=Action.BLOCK,
    mode=Mode.ENFORCE,
    policy="ab12",
    carried_out=True,
    findings=(FINDING,),
    fingerprint="0123456789abcdef",
    template="SELECT * FROM lab.patient WHERE nom = $1",
    relations=(Relation("lab", "patient"),),
    charge=Charged(Method.KEYS, "EX201", Measure.SUBJECTS, 300),
)


def parsed(record: AuditRecord) -> dict[str, Any]:
    line = record.to_json_line()
    assert line.endswith("\n")
    assert line.count("\n") == 1
    fields: dict[str, Any] = json.loads(line)
    return fields


def test_a_record_says_who_what_and_why() -> None:
    """Every field of the format, version 1."""
    assert parsed(RECORD) == {
        "schema_version": 1,
        "at": "2027-01-15T08:00:00.250000+00:00",
        "finding_id": "00ff00ff00ff",
        "session_id": "5e5510",
        "kind": "statement",
        "principal": {
            "role": "secretary",
            "database": "lab",
            "address": "192.0.2.7",
            "application_name": "psql",
            "certificate": "CN=lims,OU=Lab",
            "end_user": "dr.alice",
            "application": "validation",
        },
        "verdict": "block",
        "mode": "enforce",
        "carried_out": True,
        "score": 60,
        "findings": [
            {
                "rule": "EX104",
                "title": "Whole-table read of patient data",
                "severity": "high",
                "action": "block",
                "weight": 60,
                "explanation": "reads every row of lab.patient",
                "evidence": [
                    {"fact": "relations", "value": "lab.patient"},
                    {"fact": "row_bound", "value": "absent"},
                ],
            }
        ],
        "fingerprint": "0123456789abcdef",
        "template": "SELECT * FROM lab.patient WHERE nom = $1",
        "relations": ["lab.patient"],
        "charge": {
            "method": "keys",
            "budget": "EX201",
            "measure": "distinct_subjects",
            "charged": 300,
        },
        "policy": "ab12",
        "detail": "",
    }


def test_the_score_can_be_recomputed_from_the_line() -> None:
    """For 1,000 records of random findings: the sum of the weights in the line, at most 100."""
    chance = random.Random(20210223)  # noqa: S311 - repeatable is the point

    for _ in range(1000):
        weights = [chance.randint(0, 70) for _ in range(chance.randint(0, 6))]
        findings = tuple(replace(FINDING, weight=weight) for weight in weights)
        fields = parsed(replace(RECORD, findings=findings))

        assert fields["score"] == min(100, sum(f["weight"] for f in fields["findings"]))


@pytest.mark.parametrize(
    "value", ["'Zo\u00eb Marqueur'", "284057505612345", "$$Marqueur$$", "06 12 34 56 78"]
)
def test_no_free_text_brings_a_value_out(value: str) -> None:
    """A value planted in every free text of a record is in no line."""
    text = f"because of {value} here"
    record = replace(
        RECORD,
        principal=replace(RECORD.principal, application_name=text),
        findings=(replace(FINDING, explanation=text, evidence=(("functions", text),)),),
        template=text,
        relations=(Relation("lab", value),),
        detail=text,
    )

    line = record.to_json_line()

    assert "arqueur" not in line
    assert "2840575" not in line
    assert "34 56" not in line
    assert line.count("because of ? here") == 5


def test_no_text_can_forge_a_line() -> None:
    """Line ends and look-alikes in a name of the peer's choice are escaped."""
    forged = 'x"}\n{"schema_version":1,\u2028"verdict":"allow"}\r'
    record = replace(RECORD, principal=Principal(forged, forged, "", forged))

    fields = parsed(record)

    assert record.to_json_line().isascii()
    assert fields["principal"]["role"] == forged
    assert fields["verdict"] == "block"


def test_a_record_without_a_statement_is_short() -> None:
    """A connection that was refused has no findings, no statement and no charge."""
    record = AuditRecord(
        at=0.0,
        finding_id="000000000001",
        session_id="1",
        principal=Principal("", ""),
        kind=RecordKind.CONNECTION,
        verdict=Action.TERMINATE,
        mode=Mode.OBSERVE,
        policy="ab12",
        carried_out=False,
        detail="start-up of 900000 bytes",
    )

    fields = parsed(record)

    assert (fields["score"], fields["findings"], fields["charge"]) == (0, [], None)
    assert fields["detail"] == "start-up of ? bytes"
