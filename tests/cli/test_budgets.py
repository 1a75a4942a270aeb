"""vigie budgets: read beside the process that writes, or after it has ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from proxy.meter.book import Book
from proxy.meter.ledger import Charge, Ledger
from proxy.net import clock
from proxy.stores.moments import Moment
from proxy.stores.sqlite import SqliteStore
from proxy.terms.principal import Principal
from tests.cli.conftest import SITE
from tests.rules.test_stories import POLICY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Done

NOW: Final = 1_000_000.0


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "moment", lambda: Moment(NOW + 120, 220.0, "boot"))


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A state of some work, as a kill leaves it."""
    store = SqliteStore(tmp_path / "state.sqlite", b"secret")
    ledger = Ledger(Book(is_kept=True))
    for role, count in (("secretary", 150), ("lims_app", 6), ("nobody", 99), ("backup", 5000)):
        account = ledger.account(Principal(role, "lab"), POLICY.budgets_for(role))
        groups = tuple((b"%012d" % number,) for number in range(count))
        assert account.admit(Charge(groups=groups, questions=1), NOW) is None
    batch = ledger.take_batch(NOW)
    assert batch is not None
    store.keep(batch, Moment(NOW, 100.0, "boot"))
    store.close()
    return store.path


@pytest.fixture
def running(killed: Path) -> Iterator[SqliteStore]:
    """The same state while it is being written."""
    store = SqliteStore(killed, b"secret")
    yield store
    store.close()


def test_the_most_used_come_first(running: SqliteStore, vigie: Callable[..., Done]) -> None:
    """By principal: used, limit, window, and how much comes back when."""
    done = vigie("budgets", "--site", SITE, "--state", str(running.path))

    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert (done.status, done.err) == (0, "")
    assert lines[0] == "budget whose counts used limit window comes back"
    assert lines[1] == "EX201 nobody@lab distinct subjects 99 100 1 h 99 in 58 min"
    assert lines[2] == "EX212 secretary@lab distinct subjects 150 300 1 h 150 in 58 min"
    assert lines[-1] == "EX218 backup@lab distinct subjects 5000 none 1 h 5000 in 58 min"
    assert {line.split()[0] for line in lines[1:]} == {
        "EX201",
        "EX203",
        "EX211",
        "EX212",
        "EX218",
        "EX231",
    }


def test_one_role_as_json(running: SqliteStore, vigie: Callable[..., Done]) -> None:
    """For scripts."""
    done = vigie(
        *("budgets", "--site", SITE, "--state", str(running.path)), "--role", "lims_app", "--json"
    )

    found = json.loads(done.out)
    assert found["running"] is True
    assert found["budgets"][0] == {
        "budget": "EX211",
        "measure": "distinct_subjects",
        "per": {"role": "lims_app@lab"},
        "bound": None,
        "used": 6,
        "limit": 600,
        "window_seconds": 3600,
        "frees": 6,
        "frees_in_seconds": 3500,
    }
    assert [one["budget"] for one in found["budgets"]] == ["EX211", "EX231"]


def test_after_a_kill_what_was_reserved_is_used(killed: Path, vigie: Callable[..., Done]) -> None:
    """As the next start will count it."""
    done = vigie("budgets", "--site", SITE, "--state", str(killed), "--role", "secretary", "--json")

    found = json.loads(done.out)
    assert found["running"] is False
    assert found["budgets"][0]["used"] == 150 + 300 // 16


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ("memory", "state memory: usage is in the process that runs; ask it by SQL"),
        ("/nowhere/x.sqlite", "state /nowhere/x.sqlite does not exist; name it with --state"),
    ],
)
def test_without_a_state_there_is_nothing_to_show(
    vigie: Callable[..., Done], state: str, problem: str
) -> None:
    """It says where to look instead."""
    done = vigie("budgets", "--site", SITE, "--state", state)

    assert done.status == 1
    assert problem in done.err
