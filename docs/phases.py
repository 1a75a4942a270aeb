"""Write the phases into docs/protocol-coverage.md: ``python docs/phases.py``. A test compares them.

A diagram for Mermaid and two tables, from the tables of ``proxy.session.phases``, which the session
goes by.
"""
# ruff: noqa: INP001 - a script beside what it makes, not a package

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.session.pending import OwnQueryPending, PlanPending
from proxy.session.phases import (
    ANSWERS,
    AT_ANY_TIME,
    BACKEND_MOVES,
    FRONTEND,
    FRONTEND_MOVES,
    LOGIN,
    Fate,
    Flow,
)
from proxy.wire import backend, frontend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TARGET: Final = Path(__file__).resolve().parent / "protocol-coverage.md"
BEGIN: Final = "<!-- phases: written by docs/phases.py -->"
END: Final = "<!-- end of phases -->"
_SECTION: Final = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
_NAMES: Final = {"AUTHENTICATION": "Authentication", "PASSWORD": "PasswordMessage"}
_OWN: Final = (OwnQueryPending, PlanPending)


def name(tag: frontend.Tag | backend.Tag) -> str:
    """Return the name of a message as PostgreSQL's documentation has it."""
    return _NAMES.get(tag.name) or "".join(part.capitalize() for part in tag.name.split("_"))


def names(tags: Iterable[frontend.Tag | backend.Tag]) -> str:
    """Return the names of messages, sorted."""
    return ", ".join(sorted(map(name, tags)))


def diagram() -> Iterator[str]:
    """Yield the lines of the diagram: > is what the frontend sends, < what the backend sends."""
    yield "stateDiagram-v2"
    for flow in Flow:
        yield f'    state "{flow.value}" as {flow.name}'
    yield "    [*] --> OPENING"
    yield "    OPENING --> AUTHENTICATION: > StartupMessage"
    for moves, sign in ((FRONTEND_MOVES, ">"), (BACKEND_MOVES, "<")):
        edges: dict[tuple[Flow, Flow], list[frontend.Tag | backend.Tag]] = {}
        for (before, tag), after in moves.items():
            edges.setdefault((before, after), []).append(tag)
        for (before, after), tags in edges.items():
            if after is not Flow.CLOSED:  # from everywhere, by Terminate
                yield f"    {before.name} --> {after.name}: {sign} {names(tags)}"
    yield "    READY --> CLOSED: > Terminate, a protocol error, FATAL"
    yield "    CLOSED --> [*]"


def frontend_rows() -> Iterator[str]:
    """Yield the rows of what may come from the frontend."""
    rows: dict[tuple[tuple[frontend.Tag, Fate], ...], list[Flow]] = {}
    for flow, fates in FRONTEND.items():
        rows.setdefault(tuple(sorted(fates.items())), []).append(flow)
    for row, flows in rows.items():
        said = [
            f"{names(tag for tag, one in row if one is fate)}: {fate.value}"
            for fate in Fate
            if any(one is fate for _, one in row)
        ]
        shown = "; ".join(said) or "untagged messages alone"
        yield f"| {', '.join(flow.value for flow in flows)} | {shown} |"


def backend_rows() -> Iterator[str]:
    """Yield the rows of what may come from the backend."""
    yield f"| at any time after the login | {names(AT_ANY_TIME)} |"
    yield f"| StartupMessage | {names(map(backend.Tag, LOGIN))} |"
    for kind, tags in ANSWERS.items():
        if kind not in _OWN:
            shown = kind.__name__.removesuffix("Pending").replace("Function", "FunctionCall")
            yield f"| {shown} | {names(map(backend.Tag, tags))} |"


def section() -> str:
    """Return the section with its marks."""
    lines = [
        BEGIN,
        "```mermaid",
        *diagram(),
        "```",
        "",
        "| phase | what the frontend may send, and what becomes of it |",
        "|---|---|",
        *frontend_rows(),
        "",
        "| in answer to | what the backend may send |",
        "|---|---|",
        *backend_rows(),
        END,
    ]
    return "\n".join(lines)


def text() -> str:
    """Return the document with the section as it should be."""
    return _SECTION.sub(lambda _: section(), TARGET.read_text("utf-8"))


if __name__ == "__main__":
    TARGET.write_text(text(), "utf-8")
