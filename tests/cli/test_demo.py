"""``vigie demo``: its options arrive, and what is missing is said."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from proxy.demo import run
from proxy.demo.lab import PATIENTS, SEED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Done


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, dict[str, Any]]]:
    """Return what the demonstration is run with; it ends with status 5."""
    found: list[tuple[int, dict[str, Any]]] = []

    def run_demo(patients: int, **others: Any) -> int:
        found.append((patients, others))
        return 5

    monkeypatch.setattr(run, "run_demo", run_demo)
    return found


def test_options_arrive(
    asked: list[tuple[int, dict[str, Any]]], vigie: Callable[..., Done]
) -> None:
    """Each option is an argument, and the status is the demonstration's."""
    done = vigie("demo", "--patients", "3500", "--keep", "--json", "--seed", "7", "--pg", "16")

    assert done.status == 5
    assert asked == [(3500, {"keep": True, "as_json": True, "seed": 7, "pg": "16"})]


def test_defaults_are_the_demonstration_s(
    asked: list[tuple[int, dict[str, Any]]], vigie: Callable[..., Done]
) -> None:
    """And help names the number of patients that is used."""
    vigie("demo")

    assert asked == [(PATIENTS, {"keep": False, "as_json": False, "seed": SEED, "pg": None})]
    assert str(PATIENTS) in vigie("demo", "--help").out


def test_a_missing_package_is_named(
    vigie: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever installed Vigie alone is told what to install."""
    for name in [name for name in sys.modules if name.startswith("proxy.demo.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)

    done = vigie("demo")

    wanted = "vigie: the demonstration needs psycopg: pip install 'vigie[demo]'\n"
    assert (done.status, done.out, done.err) == (1, "", wanted)
