"""vigie order: from the key to the report, as one types it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from proxy.meter.book import Book
from proxy.meter.ledger import Charge, Ledger
from proxy.policy.orders import read_order
from proxy.stores.moments import Moment
from proxy.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Done

    Vigie = Callable[..., Done]


@pytest.fixture
def home(tmp_path: Path, vigie: Vigie, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with keys, a folder of orders, and settings by environment."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "orders").mkdir()
    for name, value in {
        "VIGIE_ORDERS__FOLDER": "orders",
        "VIGIE_ORDERS__PUBLIC_KEY": "vigie-orders.pub",
        "VIGIE_STATE": "./state.sqlite",
    }.items():
        monkeypatch.setenv(name, value)
    done = vigie("order", "keygen")
    assert (done.status, done.err) == (0, "")
    return tmp_path


def issue(vigie: Vigie, *more: str) -> Done:
    return vigie(
        *("order", "issue", "--key", "vigie-orders.key", "--role", "export_job"),
        *("--subjects", "500", "--relations", "lab.patient,lab.resultat"),
        *("--columns", "lab.patient.nir, lab.resultat.value", "--for", "4h"),
        *("--reason", "SI-DEP", "--by", "A. Martin", *more),
    )


def use(home: Path, order_id: str, count: int) -> None:
    """Receive so many subjects under an order."""
    document = json.loads((home / "orders" / f"{order_id}.order.json").read_text())
    order = read_order(document["order"])
    ledger = Ledger(Book(is_kept=True))
    account = ledger.order_account(order.id, "export_job", order.budget)
    account.admit(Charge(groups=tuple((b"%012d" % n,) for n in range(count))), order.begins)
    batch = ledger.take_batch(order.begins)
    assert batch is not None
    store = SqliteStore(home / "state.sqlite", b"secret")
    store.keep(batch, Moment(order.begins, 0.0))
    store.close()


@pytest.mark.usefixtures("home")
def test_an_order_from_its_issue_to_its_report(home: Path, vigie: Vigie) -> None:
    """Issued, listed, used, shown, revoked, reported."""
    dates = ("--dates", "lab.resultat.validated_at:2025-01-01..2026-01-01")
    issued = issue(vigie, *dates)
    order_id = issued.out.strip()
    use(home, order_id, 120)
    listed = json.loads(vigie("order", "list", "--json").out)
    table = vigie("order", "list").out
    revoked = vigie("order", "revoke", order_id, "--by", "B", "--why", "over")
    report = json.loads(vigie("order", "report", order_id, "--json").out)
    shown = vigie("order", "show", order_id).out

    assert (issued.status, revoked.status) == (0, 0)
    assert [(one["order"], one["state"], one["used"]) for one in listed] == [
        (order_id, "in force", 120)
    ]
    assert order_id in table
    assert report["state"] == "revoked"
    assert (report["used"], report["subjects"], report["revoked_by"]) == (120, 500, "B")
    assert report["dates"].startswith("lab.resultat.validated_at 2025-01-01")
    assert "reason     SI-DEP" in shown


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (("--for", "forever"), "--for: 'forever', expected 30min, 4h or 2d"),
        (("--dates", "2025"), "--dates: '2025', expected COLUMN:FROM..BEFORE such as"),
        (("--columns", "nir"), "order: columns"),
        (("--key", "vigie-orders.pub"), "has mode 0644, expected 0600"),
        (("--folder", "nowhere"), "cannot be written: No such file or directory"),
    ],
)
def test_a_wrong_order_is_not_issued(vigie: Vigie, more: tuple[str, str], problem: str) -> None:
    """It says which option, and what it expected."""
    done = issue(vigie, *more)

    assert done.status == 1
    assert problem in done.err


@pytest.mark.usefixtures("home")
def test_what_is_not_there(vigie: Vigie) -> None:
    """An order that nobody issued; one that is not signed by this key."""
    unknown = vigie("order", "show", "WO-20260101-00000000")

    assert unknown.status == 1
    assert "is not in the folder, see vigie order list" in unknown.err
    assert vigie("order", "list").out == "no work orders\n"
