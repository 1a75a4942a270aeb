"""The command line as such: verbs, help, examples, and what is said of a wrong one."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import typer.main
from typer.testing import CliRunner

import proxy
from proxy.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Done

RULES: Final = Path(__file__).resolve().parents[2] / "rules"
VERBS: Final = ("run", "demo", "check", "explain", "budgets", "schema")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example_that_can_be_typed(
    verb: str, vigie: Callable[..., Done]
) -> None:
    """The example stands on a line of its own, and its options are those of the verb."""
    done = vigie(verb, "--help")

    example = done.out.rstrip().splitlines()[-1].strip()
    words = shlex.split(example)
    assert done.status == 0
    assert words[:2] == ["vigie", verb]
    command = typer.main.get_command(app)
    arguments = words[2 : words.index(">") if ">" in words else None]
    context = command.commands[verb].make_context(verb, arguments)  # type: ignore[attr-defined]
    assert context.command.name == verb


def test_help_names_every_verb(vigie: Callable[..., Done]) -> None:
    """--help is the way in."""
    done = vigie("--help")

    listed_lines = [line for line in done.out.split("Commands:")[1].splitlines() if line]
    listed = [line.split()[0] for line in listed_lines]
    assert done.status == 0
    assert set(VERBS) | {"order"} <= set(listed)
    assert not any(line.endswith("...") for line in listed_lines)


def test_no_verb_is_no_success(vigie: Callable[..., Done]) -> None:
    """A script that lost its arguments does not go on as if all were well."""
    done = vigie()

    assert done.status == 2
    assert "Commands:" in done.out


def test_version(vigie: Callable[..., Done]) -> None:
    """The version is the package's."""
    assert vigie("--version").out == f"vigie {proxy.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("run", "--upstraem", "x"),
            "vigie run: no such option: --upstraem (Possible options: --site",
        ),
        (("expla",), "vigie: no such command 'expla'. Did you mean 'explain'?;"),
        (("explain",), "vigie explain: missing argument 'SQL'; see vigie explain --help"),
        (("explain", "a", "b"), "vigie explain: got unexpected extra argument"),
        (("run", "--mode", "off"), "vigie run: invalid value for '--mode': 'off' is not one of"),
        (("demo", "--patients", "0"), "vigie demo: invalid value for '--patients':"),
        (("run", "--listen"), "vigie run: option '--listen' requires an argument;"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    arguments: tuple[str, ...], line: str, vigie: Callable[..., Done]
) -> None:
    """What is wrong, and where help is; status 2, and nothing on standard output."""
    done = vigie(*arguments)

    assert done.status == 2
    assert done.err.startswith(line)
    assert done.err.endswith(f"; see {line.split(':', maxsplit=1)[0]} --help\n")
    assert done.err.count("\n") == 1
    assert done.out == ""


def test_the_schema_is_the_published_one(vigie: Callable[..., Done]) -> None:
    """``vigie schema > rules/schema.json`` changes nothing."""
    done = vigie("schema")

    assert done.out == (RULES / "schema.json").read_text("utf-8")
    assert json.loads(done.out)["title"] == "Vigie rule file"


def test_help_waits_for_nothing_that_a_verb_needs() -> None:
    """Neither parsers nor policy nor the demonstration are imported for a page of help."""
    script = (
        "import sys; from proxy.cli import main; main(['run', '--help']); main(['--version']);"
        "print(sorted({n.split('.')[0] if n.split('.')[0] != 'proxy' else n for n in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )

    loaded = done.stdout.splitlines()[-1]
    heavy = ("sqlglot", "rich", "yaml", "asyncio", "psycopg", "proxy.sql", "proxy.policy")
    assert [name for name in heavy if f"'{name}'" in loaded] == []


def test_a_verb_leaves_its_status_to_whoever_runs_the_application() -> None:
    """The typer application can be run as any other, as tests of other programs do."""
    result = CliRunner().invoke(app, ["schema"])

    assert result.exit_code == 0
    assert result.output.startswith("{")
