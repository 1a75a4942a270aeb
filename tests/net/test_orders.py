"""The folder of orders: what comes, ends or is revoked is noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from proxy import accel
from proxy.errors import ConfigurationError
from proxy.meter.ledger import Ledger
from proxy.metrics import Metrics
from proxy.net import clock
from proxy.net.orders import OrderWatch
from proxy.net.sinks import AuditLog, Sinks
from proxy.policy.orders import read_order
from proxy.settings import Orders
from proxy.stores.orders import make_keys, revoke_order, sign_order
from tests.conversation import context_of
from tests.policy.test_orders import DATA

if TYPE_CHECKING:
    from pathlib import Path


def sinks_of(folder: Path) -> Sinks:
    """Return sinks that write to a file of the folder."""
    log = AuditLog(folder / "audit")
    return Sinks(Metrics(CollectorRegistry()), log, Ledger(), accel.LaneCounts())


async def test_orders_come_and_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In force from begin to end, or until they are revoked; then they are reported."""
    make_keys(tmp_path / "key", tmp_path / "pub")
    context, wall = context_of(), [3000.0]
    monkeypatch.setattr(clock, "wall", lambda: wall[0])
    watch = OrderWatch(Orders(tmp_path, tmp_path / "pub"), context, sinks_of(tmp_path))
    book = context.orders
    first = read_order(json.dumps(DATA))
    second = replace(first, id="WO-20261125-11111111", begins=4000.0)
    seen = []
    for action in ("none", "sign", "later", "revoke", "expire"):
        match action:
            case "sign":
                sign_order(first, tmp_path / "key", tmp_path)
                sign_order(second, tmp_path / "key", tmp_path)
            case "later":
                wall[0] = 4500.0
            case "revoke":
                revoke_order(first.id, tmp_path, by="B", why="over")
            case "expire":
                wall[0] = 5000.0
            case _:
                pass
        await watch.read()
        seen.append([order.id[-4:] for order, _ in book.by_role.get("export_job", [])])

    assert seen == [[], ["abcd"], ["abcd", "1111"], ["1111"], []]
    assert "WO-20261125-0123abcd is in force: 5000 subjects for export_job, by A. Martin" in (
        caplog.text
    )
    assert "WO-20261125-11111111 has ended: 0 of 5000 subjects were received" in caplog.text
    reports = [json.loads(line)["report"] for line in (tmp_path / "audit").read_text().splitlines()]
    assert [(one["order"]["id"], one["ended"], one["used_subjects"]) for one in reports] == [
        (first.id, "revoked by B: over", 0),
        (second.id, "expired", 0),
    ]


def test_a_key_that_cannot_be_read_is_a_problem_of_the_settings(tmp_path: Path) -> None:
    """Without it no order could be told from a forged one."""
    with pytest.raises(ConfigurationError, match=r"orders\.public_key: .*is no public key"):
        OrderWatch(Orders(tmp_path, tmp_path / "pub"), context_of(), sinks_of(tmp_path))
    with pytest.raises(ConfigurationError, match=r"orders\.public_key: is not set"):
        OrderWatch(Orders(tmp_path), context_of(), sinks_of(tmp_path))
