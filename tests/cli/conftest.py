"""What the tests of the command line share: the project's folder, and a way to call ``vigie``."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from proxy.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).resolve().parents[2]
SITE: Final = str(ROOT / "rules" / "sites" / "lab-demo")


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment nor a terminal's colours change what a test sees."""
    for name in ("VIGIE_CONFIG", "VIGIE_SITE", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in the project's folder, where vigie.yaml is."""
    monkeypatch.chdir(ROOT)


@pytest.fixture
def vigie(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Done]:
    """Return a function that carries out a command line within this process."""

    def call(*arguments: str, given: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        status = main(arguments)
        out, err = capsys.readouterr()
        return Done(status, out, err)

    return call
