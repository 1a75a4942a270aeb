"""Parsing of large texts, in a process of its own.

The grammar's C code does not check its stack: a chain of 20,000 operators ends the process. So
texts above ``MAX_INLINE_BYTES`` are parsed where that harms nobody, in a thread with a large
stack, and only a reduced tree comes back.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from proxy.sql.grammar import GrammarError, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable

_STACK_BYTES: Final = 512 * 1024 * 1024
_RECURSION: Final = 100_000
_MAX_DEPTH: Final = 350  # what the relay's own reader of JSON can take
_MAX_TREE_BYTES: Final = 2 * 1024 * 1024
_FEW: Final = 16


@dataclass(frozen=True, slots=True)
class WorkerOutcome:
    """What a worker found: the reduced tree as JSON, or why there is none."""

    tree: str | None
    reason: str | None = None
    at: int | None = None


def parse_in_worker(text: str) -> WorkerOutcome:
    """Return the reduced tree of ``text``. To be called in a worker process. Errors: none."""
    outcome: list[WorkerOutcome] = []
    _run_deep(lambda: outcome.append(_parse(text)))
    return outcome[0] if outcome else WorkerOutcome(None, "worker failed")


def _run_deep(work: Callable[[], None]) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(_RECURSION)
    before = threading.stack_size(_STACK_BYTES)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
        sys.setrecursionlimit(limit)


def _parse(text: str) -> WorkerOutcome:
    try:
        tree = json.loads(parse_json(text))
        reduced, depth = _reduce(tree)
    except GrammarError as error:
        return WorkerOutcome(None, error.reason, error.at)
    except (RecursionError, ValueError, MemoryError):
        return WorkerOutcome(None, "too deep")
    if depth > _MAX_DEPTH:
        return WorkerOutcome(None, "too deep")
    encoded = json.dumps(reduced, separators=(",", ":"), ensure_ascii=False)
    if len(encoded) > _MAX_TREE_BYTES:
        return WorkerOutcome(None, "too large")
    return WorkerOutcome(encoded)


def _reduce(node: Any) -> tuple[Any, int]:
    """Return the node with long runs of constants made short, and its depth."""
    if isinstance(node, dict):
        depth, slim = 0, {}
        for key, value in node.items():
            slim[key], below = _reduce(value)
            depth = max(depth, below)
        return slim, depth + 1
    if isinstance(node, list):
        items = _drop_equal_rows(node) if len(node) > _FEW else node
        if len(items) > _FEW and all(_is_constant(item) for item in items):
            values = [_plain(item) for item in items]
            places = [item["A_Const"].get("location", -1) for item in items]
            return [{"Constants": {"values": values, "locations": places}}], 4
        depth, slim_items = 0, []
        for item in items:
            slim_item, below = _reduce(item)
            slim_items.append(slim_item)
            depth = max(depth, below)
        return slim_items, depth + 1
    return node, 0


def _is_constant(node: Any) -> bool:
    if not (isinstance(node, dict) and len(node) == 1 and "A_Const" in node):
        return False
    constant = node["A_Const"]
    return "ival" in constant or "fval" in constant or "sval" in constant


def _plain(node: Any) -> str:
    constant = node["A_Const"]
    if "ival" in constant:
        return str(constant["ival"].get("ival", 0))
    kind = "fval" if "fval" in constant else "sval"
    return str(constant[kind].get(kind, ""))


def _drop_equal_rows(items: list[Any]) -> list[Any]:
    """Return VALUES rows with those of constants only after the first left out."""
    kept, seen = [], False
    for item in items:
        row = item.get("List") if isinstance(item, dict) and len(item) == 1 else None
        if row is not None and all(
            _is_constant(value) or _is_other_constant(value) for value in row.get("items", ())
        ):
            if seen:
                continue
            seen = True
        kept.append(item)
    return kept


def _is_other_constant(node: Any) -> bool:
    return isinstance(node, dict) and set(node) <= {"A_Const", "SetToDefault", "ParamRef"}
