"""The tree itself: names, documents, versions and pins hold together."""

from __future__ import annotations

import ast
import importlib.util
import re
import tokenize
import tomllib
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

import proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCES: Final = sorted((ROOT / "proxy").rglob("*.py"))
TESTS: Final = sorted((ROOT / "tests").rglob("test_*.py"))
ADRS: Final = sorted((ROOT / "docs" / "adr").glob("*.md"))
MADE_BY_TOOLS: Final = {
    ".cache", ".git", ".hypothesis", ".venv", "build", "dist", "node_modules", "__pycache__",
}  # fmt: skip
TEXTS: Final = {
    ".cfg", ".conf", ".env", ".ini", ".json", ".lock", ".md", ".py", ".service", ".sh", ".sql",
    ".toml", ".txt", ".yaml", ".yml", "",
}  # fmt: skip

# One word, one meaning (CONTRIBUTING, "Words"); each of these has a better name.
NAMES_TO_AVOID: Final = frozenset(
    [
        "anomaly",
        "blacklist",
        "client",
        "common",
        "engine",
        "handler",
        "helper",
        "helpers",
        "malicious",
        "manager",
        "misc",
        "packet",
        "processor",
        "quota",
        "server",
        "service",
        "suspicious",
        "util",
        "utils",
        "whitelist",
    ]
)
# PostgreSQL's own names stay as they are, and those of the standards.
FOREIGN_NAMES: Final = {
    *("client_addr", "client_encoding", "server_encoding", "server_version"),
    "server_key",  # RFC 5802
}
# Where a word is not ours: the database server that the demonstration starts, and its clients.
EXEMPT_FOLDERS: Final = ("demo",)

CODE_LINES: Final = 350
FUNCTION_LINES: Final = 60


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def project_files() -> Iterator[Path]:
    """Every text file of the project that no tool made."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        made = any(p in MADE_BY_TOOLS or p.endswith(("_cache", ".egg-info")) for p in parts)
        if not made and path.is_file() and path.suffix in TEXTS:
            yield path


def project_settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def development_checks() -> list[str]:
    """Return the commands of ``make check`` as dev.py has them."""
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.CHECKS)


def defined_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of everything that a module names itself."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case _:
                pass


def code_lines(path: Path) -> int:
    """Count the lines that hold code: no blanks, comments or docstrings."""
    layout = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
    }
    lines: set[int] = set()
    before = tokenize.NEWLINE
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            is_docstring = token.type == tokenize.STRING and before in layout
            if token.type not in layout | {tokenize.ENDMARKER} and not is_docstring:
                lines.update(range(token.start[0], token.end[0] + 1))
            if token.type not in {tokenize.COMMENT, tokenize.NL}:
                before = token.type
    return len(lines)


def words(name: str) -> set[str]:
    """Split snake_case and CamelCase into lower-case words."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_every_module_says_what_it_is(path: Path) -> None:
    """A module's docstring is a sentence, not a placeholder."""
    docstring = ast.get_docstring(parsed(path)) or ""

    assert len(docstring.split()) >= 2, f"{relative(path)} has no docstring worth reading"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_names_follow_the_vocabulary(path: Path) -> None:
    """No identifier uses a word that has a better name; nor does a file."""
    if path.relative_to(ROOT / "proxy").parts[0] in EXEMPT_FOLDERS:
        return
    names = [(0, path.stem), *defined_names(parsed(path))]

    found = {
        f"{relative(path)}:{line}: {name}"
        for line, name in names
        if (words(name) & NAMES_TO_AVOID and name not in FOREIGN_NAMES)
        or name in {"is_ok", "patient_id"}
    }

    assert found == set()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_files_and_functions_stay_small(path: Path) -> None:
    """A file or function that outgrows its bound wants to be two."""
    nodes = ast.walk(parsed(path))
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]

    long = {f.name for f in functions if (f.end_lineno or f.lineno) - f.lineno >= FUNCTION_LINES}

    assert long == set()
    assert code_lines(path) <= CODE_LINES


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_tests_stand_where_their_source_stands(path: Path) -> None:
    """tests/a/test_b.py tests proxy/a/b.py (or the package proxy/a/b), so that both are found."""
    folder = path.relative_to(ROOT / "tests").parent
    subject = ROOT / "proxy" / folder / path.stem.removeprefix("test_")
    mirrors = subject.with_suffix(".py").is_file() or subject.is_dir()
    elsewhere = folder.parts[:1] in [
        ("integration",),
        ("deploy",),
        ("rules",),
        ("score",),
        ("prove",),
        ("fuzz",),
    ]

    assert mirrors or elsewhere or folder == Path(), relative(path)


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_every_test_has_a_sentence(path: Path) -> None:
    """The docstring of a test says to a stranger what holds."""
    tests = [
        node
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]

    assert [t.name for t in tests if not ast.get_docstring(t)] == []


def test_no_file_names_a_machine() -> None:
    """Nothing depends on where it was written or on one package registry."""
    marks = ("/" + "work/", "/" + "farm/", "/" + "root/", "/opt/" + "pypi", "../" + "shared")
    registries = ("pypi.org/" + "simple", "files.python" + "hosted", "registry.npm" + "js")
    options = ("--index" + "-url", "--extra-index" + "-url", "--find" + "-links")
    refused = re.compile("|".join(map(re.escape, marks + registries + options)))

    found = [
        f"{relative(path)}:{number}"
        for path in project_files()
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if refused.search(line)
    ]

    assert found == []


def test_decisions_are_numbered_and_complete() -> None:
    """ADRs are numbered without a gap, and each says status, context, decision, cost, rejected."""
    numbers = [path.name[:4] for path in ADRS]
    wanted = {"Context", "Decision", "Cost", "Rejected"}

    assert numbers == [f"{n:04}" for n in range(1, len(ADRS) + 1)]
    for path in ADRS:
        text = path.read_text("utf-8")
        assert text.startswith(f"# {path.name[:4]}: "), path.name
        assert "\nStatus: " in text, path.name
        assert wanted <= set(re.findall(r"^## (\w+)$", text, re.MULTILINE)), path.name


def test_links_between_documents_lead_somewhere() -> None:
    """A relative link of a document names a file that exists."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]

    broken = [
        f"{relative(document)}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
        if not (document.parent / target).exists()
    ]

    assert broken == []


def test_the_changelog_knows_the_version() -> None:
    """The newest version of CHANGELOG.md is the package's, and has its section on verdicts."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    sections = re.findall(
        r"^## \[(\d[^\]]*)\][^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )

    version, body = sections[0]

    assert version == proxy.__version__
    assert "### Verdicts" in body


def test_the_lock_pins_every_dependency_exactly() -> None:
    """requirements.lock is names and versions alone, and leaves no direct dependency open."""
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    project = project_settings()["project"]
    extras = project["optional-dependencies"]
    del extras["fuzz"]  # only for who asks for it: it is not there for every Python
    wanted = [*project["dependencies"], *chain(*extras.values())]
    names = {re.split(r"[<>=!~\[; ]", name)[0].lower().replace("_", "-") for name in wanted}

    locked = {pin.split("==")[0] for pin in pins}

    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==[^ @]+( ;.+)?", pin)] == []
    assert names - {"vigie"} - locked == set()


def test_commit_hooks_run_what_the_check_runs() -> None:
    """.pre-commit-config.yaml and ``make check`` are one list of commands."""
    settings = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = [hook["entry"] for repo in settings["repos"] for hook in repo["hooks"]]

    assert hooks == [f".venv/bin/{command}" for command in development_checks()]


def test_every_exclusion_of_the_linter_has_a_reason() -> None:
    """Each code that ruff is told to ignore stands on a line with the reason beside it."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    section = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.pydocstyle]")]
    codes = [line for line in section.splitlines() if re.match(r'\s+"[A-Z]', line)]

    assert codes
    assert [line for line in codes if not re.search(r'",\s+# \w', line)] == []
