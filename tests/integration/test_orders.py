"""A work order lets an announced export pass, and nothing beside it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from proxy.cli import main
from proxy.demo.tap import Tap
from proxy.stores.orders import make_keys

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.demo.lab import Lab
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

EXPORT = b"copy (select id, nir from lab.patient) to stdout"
WIDER = b"copy (select id, nir, last_name from lab.patient) to stdout"


def copied(lab: Lab, port: int, text: bytes) -> int:
    """Return how many rows a COPY gives."""
    with (
        lab.connect("export_job", port) as connection,
        connection.cursor() as cursor,
        cursor.copy(text) as rows,
    ):
        return sum(bytes(block).count(b"\n") for block in rows)


@pytest.mark.parametrize("subjects", [1000, 50])
def test_an_announced_export(
    lab: Lab, vigie: StartVigie, tmp_path: Path, subjects: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused before it is ordered; then it passes to the ordered number, and no column more."""
    folder = tmp_path / "orders"
    folder.mkdir()
    make_keys(tmp_path / "key", tmp_path / "pub")
    environment = {
        "VIGIE_ORDERS__FOLDER": str(folder),
        "VIGIE_ORDERS__PUBLIC_KEY": str(tmp_path / "pub"),
    }
    process = vigie("--state", str(tmp_path / "state.sqlite"), environment=environment)
    with pytest.raises(psycopg.Error, match="query refused"):
        copied(lab, process.port, EXPORT)
    status = main(
        [
            *("order", "issue", "--key", str(tmp_path / "key"), "--folder", str(folder)),
            *("--role", "export_job", "--subjects", str(subjects), "--relations", "lab.patient"),
            *("--columns", "lab.patient.id,lab.patient.nir", "--for", "1h"),
            *("--reason", "SI-DEP", "--by", "A. Martin"),
        ]
    )
    assert status == 0
    order_id = capsys.readouterr().out.strip()
    deadline = time.monotonic() + 30
    while f"{order_id} is in force" not in process.log:
        assert time.monotonic() < deadline, process.log
        time.sleep(0.05)
    with Tap(process.port) as tap:
        if subjects >= lab.patients:
            assert copied(lab, tap.port, EXPORT) == lab.patients
        else:
            with pytest.raises(psycopg.Error, match="as its work order allows"):
                copied(lab, tap.port, EXPORT)
        received = len(tap.subjects(lab.keys()))
        with pytest.raises(psycopg.Error, match="query refused"):
            copied(lab, tap.port, WIDER)

    options = ("--folder", str(folder), "--public-key", str(tmp_path / "pub"))
    assert main(["order", "revoke", order_id, *options[:2], "--by", "B", "--why", "done"]) == 0
    while '"kind":"order"' not in process.audit.read_text():
        assert time.monotonic() < deadline + 30, process.log
        time.sleep(0.05)
    (ended,) = (
        json.loads(line)["report"]
        for line in process.audit.read_text().splitlines()
        if '"kind":"order"' in line
    )
    capsys.readouterr()
    told = ("--audit", str(process.audit), "--state", str(tmp_path / "state.sqlite"), "--json")
    assert main(["order", "report", order_id, *options, *told]) == 0
    report = json.loads(capsys.readouterr().out)

    assert ended["used_subjects"] == received
    assert ended["ended"] == "revoked by B: done"
    assert ended["used_by"] == report["used_by"]
    assert [one["who"].partition("@")[0] for one in ended["used_by"]] == ["export_job"]
    assert any("EX106" in one["why"] for one in ended["refused"])
    assert received == min(subjects, lab.patients)
    assert f'"title":"Work order {order_id}"' in process.audit.read_text()
