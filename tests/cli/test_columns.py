"""Columns: as wide as their widest text, whatever the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.cli.columns import write_columns

if TYPE_CHECKING:
    import pytest


def test_columns_stand_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers to the right, no blanks at the end of a line, nothing cut."""
    write_columns([["name", "used"], ["a" * 100, "7"], ["b", "1000"]], right={1})

    wide = "a" * 100
    assert capsys.readouterr().out.splitlines() == [
        "name".ljust(100) + "  used",
        f"{wide}     7",
        "b".ljust(100) + "  1000",
    ]
