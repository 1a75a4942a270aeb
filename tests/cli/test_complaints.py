"""Problems on standard error."""

from __future__ import annotations

import pytest

from proxy.cli.complaints import complain, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a.yaml:1:2: clé", "a.yaml:1:2: clé"),
        ("two\nlines\tand \x1b[31mred", r"two\nlines\tand \x1b[31mred"),
        ("\u202ereversed \udcff", r"\u202ereversed \udcff"),
    ],
)
def test_one_line(text: str, line: str) -> None:
    """What a file holds can neither break a line nor steer a terminal."""
    assert one_line(text) == line


def test_each_problem_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, in their order."""
    complain(["first", "second\n"])

    assert capsys.readouterr() == ("", "first\nsecond\\n\n")
