"""Who used a work order, and what was refused meanwhile: as it happens, and from the log."""

from __future__ import annotations

import json
from dataclasses import replace

from proxy.audit import AuditRecord
from proxy.audit.order_trail import OrderTrail, ended
from proxy.audit.record import RecordKind, timestamp
from proxy.policy.orders import read_order
from proxy.terms.finding import Action, Finding, Mode, Severity
from proxy.terms.order import ORDER_RULE, order_title
from proxy.terms.principal import Principal
from tests.policy.test_orders import DATA

ORDER = read_order(json.dumps(DATA))
USE = Finding(ORDER_RULE, order_title(ORDER.id), Severity.INFO, Action.ALLOW, 0, "is inside")
WIDER = Finding("EX106", "Copy", Severity.HIGH, Action.BLOCK, 60, "copies lab.patient out")


def record(
    at: float, finding: Finding, *, role: str = "export_job", carried_out: bool = True
) -> AuditRecord:
    """Return the record of a statement."""
    return AuditRecord(
        at=ORDER.begins + at,
        finding_id="0123456789ab",
        session_id="ba9876543210",
        principal=Principal(role, "lab", "10.0.0.7"),
        kind=RecordKind.STATEMENT,
        verdict=finding.action,
        mode=Mode.ENFORCE,
        policy="ab12",
        carried_out=carried_out and finding.action >= Action.BLOCK,
        findings=(finding,),
    )


OTHER = replace(USE, title=order_title("WO-20260101-00000000"))
RECORDS = [
    record(1, USE),
    record(2, WIDER),
    record(3, WIDER),
    record(4, USE),
    record(5, WIDER, role="secretary"),
    record(6, WIDER, carried_out=False),
    record(7, OTHER),
]
WHO = "export_job@lab from 10.0.0.7"


def test_the_trail_is_the_same_as_it_happens_and_from_the_log() -> None:
    """Uses by who, refusals by who and why; of other roles, orders, times and modes nothing."""
    live, later = OrderTrail(ORDER), OrderTrail(ORDER)
    for one in RECORDS:
        live.take(one)
    outside = [record(-5, USE), record(ORDER.ends, USE)]
    damaged = ["", "export_job\n", '{"kind": "statement", "principal": "export_job"}\n']
    later.read([*damaged, *(one.to_json_line() for one in [*outside, *RECORDS])])

    told = live.told()
    assert later.told() == told
    assert told["statements"] == 2
    ((used),) = told["used_by"]
    assert (used["who"], used["count"]) == (WHO, 2)
    moments = (timestamp(ORDER.begins + 1), timestamp(ORDER.begins + 4))
    assert (used["first"], used["last"]) == moments
    ((refused),) = told["refused"]
    assert (refused["who"], refused["why"], refused["count"]) == (
        WHO,
        "EX106 copies lab.patient out",
        2,
    )


def test_many_principals_are_counted_together() -> None:
    """A log of a million addresses does not fill the memory."""
    trail = OrderTrail(ORDER)
    for number in range(1100):
        one = record(1, USE)
        trail.take(replace(one, principal=replace(one.principal, address=f"10.0.{number}")))

    assert len(trail.uses) == 1001
    assert trail.uses["others"].count == 100


def test_the_end_is_a_record_with_its_report() -> None:
    """Numbers and moments are told as they are; they are nobody's."""
    report = {"used_subjects": 123456, "ended": "expired"}

    line = ended(ORDER, report, finding_id="f", mode=Mode.ENFORCE, policy="p").to_json_line()

    found = json.loads(line)
    assert found["kind"] == "order"
    assert found["report"] == report
    assert found["findings"][0]["title"] == order_title(ORDER.id)
    assert "report" not in json.loads(RECORDS[0].to_json_line())
