"""The state at the start: a secret nobody else can read, and a ledger that goes on."""

from __future__ import annotations

import contextlib
import stat
from typing import TYPE_CHECKING, Any, Final

import pytest
from prometheus_client import CollectorRegistry

from proxy.errors import ConfigurationError
from proxy.meter.ledger import Charge
from proxy.metrics import Metrics
from proxy.net import clock
from proxy.net.state import open_state, read_secret
from proxy.settings import Settings
from proxy.settings.address import Address
from proxy.stores.moments import Moment
from proxy.terms.budget import Budget, Measure
from proxy.terms.principal import Principal

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.meter.ledger import Ledger

BUDGET: Final = Budget("EX201", "Patients", Measure.SUBJECTS, frozenset(), 3600, 100)
APP: Final = Principal("app", "lab")


def settings(**changes: Any) -> Settings:
    return Settings(listen=(Address("h", 1),), upstream=Address("h", 2), **changes)


def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def test_the_secret_is_the_one_that_is_set(tmp_path: Path) -> None:
    """From the environment or a file, cut to what the hash takes; in memory a new one each time."""
    path = tmp_path / "secret"
    path.touch(0o600)
    path.write_bytes(b"  from a file\n")

    assert read_secret(settings(secret="x" * 100)) == b"x" * 64
    assert read_secret(settings(secret_file=path)) == b"from a file"
    assert len(read_secret(settings())) == 32
    assert read_secret(settings()) != read_secret(settings())


@pytest.mark.parametrize("named", [True, False])
def test_a_secret_is_made_once(tmp_path: Path, named: bool) -> None:
    """Where it is looked for, or beside the state; its owner alone can read it."""
    path = tmp_path / "new" / ("key" if named else "state.sqlite.secret")
    where = settings(
        state=str(tmp_path / "new" / "state.sqlite"), secret_file=path if named else None
    )
    first = read_secret(where)

    assert len(first) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_secret(where) == first


@pytest.mark.parametrize(
    ("mode", "content", "problem"),
    [
        (0o640, b"x", "has mode 0640, expected 0600: others can read it"),
        (0o604, b"x", "has mode 0604"),
        (0o600, b"", "is empty"),
        (0o600, b" \n", "is empty"),
    ],
)
def test_a_secret_that_is_none_is_refused(
    tmp_path: Path, mode: int, content: bytes, problem: str
) -> None:
    """Not started with what everybody knows, or may know."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(mode)

    with pytest.raises(ConfigurationError, match=problem):
        read_secret(settings(secret_file=path))


@pytest.mark.parametrize("name", ["secret_file", "state"])
def test_what_cannot_be_opened_is_a_problem_of_the_settings(tmp_path: Path, name: str) -> None:
    """Named, with the reason: here a folder stands in the place of the file."""
    where = {"state": str(tmp_path / "state.sqlite"), "secret": "s", name: tmp_path}
    if name == "secret_file":
        where["secret"] = None
    wrong = settings(**{**where, "state": str(where["state"])})

    with (
        contextlib.ExitStack() as stack,
        pytest.raises(ConfigurationError, match=rf"^{name}:? .* cannot be"),
    ):
        open_state(wrong, metrics(), stack)


def charge(ledger: Ledger, key: bytes) -> int:
    account = ledger.account(APP, [BUDGET])
    assert account.admit(Charge(groups=((key,),)), clock.now()) is None
    return account.usage(clock.now())[0].used


def test_usage_goes_on_after_an_orderly_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A patient known before costs nothing; a wall clock that went back frees nothing."""
    where = settings(state=str(tmp_path / "state.sqlite"))
    used = []
    for wall, boot in ((10_000.0, "a"), (3.0, "b"), (12_000.0, "c"), (14_000.0, "d")):
        monkeypatch.setattr(clock, "moment", lambda at=wall, boot=boot: Moment(at, 1.0, boot))
        with contextlib.ExitStack() as stack:
            ledger, _, _, _ = open_state(where, metrics(), stack)
            used.append(charge(ledger, b"twelve-bytes"))
            if not used[1:]:
                used.append(charge(ledger, b"another-one!"))

    assert used == [1, 2, 2, 2, 1]
