"""``python -m proxy.cli`` as a process, as the demonstration and containers start it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
COMMAND: Final = (sys.executable, "-m", "proxy.cli")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def test_the_project_s_own_configuration_is_sound() -> None:
    """``vigie check`` in the project's folder succeeds and says nothing on standard error."""
    done = run("check")

    assert (done.returncode, done.stderr) == (0, b"")
    assert b"vigie.yaml, mode enforce" in done.stdout


def test_status_and_output_are_those_of_the_verb() -> None:
    """A refused statement is status 3, and piped output has no colours."""
    done = run("explain", "select * from lab.patient")

    assert (done.returncode, done.stderr) == (3, b"")
    assert b"verdict   block: EX101 asks for it" in done.stdout
    assert b"\x1b" not in done.stdout


def test_colours_where_they_are_asked_for() -> None:
    """As on a terminal."""
    done = run("explain", "select 1", FORCE_COLOR="1", TERM="xterm-256color")

    assert b"\x1b[1;32mallow" in done.stdout


def test_an_output_that_cannot_show_a_character() -> None:
    """Is given an escape, not a traceback."""
    done = run("explain", "select 'é'", PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"select '\xe9'" in done.stdout


def test_a_reader_that_goes_away() -> None:
    """``vigie schema | head -1`` ends without a traceback."""
    with subprocess.Popen(
        [*COMMAND, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()

    assert said == b""
    assert process.returncode == 1
