"""Reading of the grammar's JSON tree.

A node is a dict; where a node's kind is open it is wrapped: ``{"ColumnRef": {...}}``. Fields of
their default value are left out.

Source: libpg_query 18, ``srcdata/struct_defs.json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Node: TypeAlias = dict[str, Any]
LONG_LIST: Final = "Constants"  # not the grammar's: many constants that a worker put together


def unwrap(node: Node) -> tuple[str, Node]:
    """Return the kind and the body of a wrapped node; an empty node has the kind ''."""
    for kind, body in node.items():
        return kind, body if isinstance(body, dict) else {}
    return "", {}


def body_of(node: Node | None, kind: str) -> Node | None:
    """Return the body if the node is of this kind, else None."""
    if node is None:
        return None
    body = node.get(kind)
    return body if isinstance(body, dict) else None


def strings(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Return the values of a list of String nodes; others are ''."""
    return tuple(str(node.get("String", {}).get("sval", "")) for node in nodes)


def qualified(nodes: Sequence[Node]) -> tuple[str, str]:
    """Return (schema, name) of a list of String nodes; the schema is '' if there is none."""
    parts = strings(nodes)
    return (parts[-2] if len(parts) > 1 else ""), (parts[-1] if parts else "")


def constant_text(constant: Node) -> str | None:
    """Return the value of an A_Const body as text; None for NULL."""
    for kind in ("sval", "fval", "bsval"):
        if kind in constant:
            return str(constant[kind].get(kind, ""))
    if "ival" in constant:
        return str(constant["ival"].get("ival", 0))
    if "boolval" in constant:
        return "true" if constant["boolval"].get("boolval") else "false"
    return None


def without_casts(node: Node) -> Node:
    """Return the node under any ``::type``."""
    while (cast := node.get("TypeCast")) is not None:
        node = cast.get("arg", {})
    return node


def walk(node: Any) -> Iterator[tuple[str, Node]]:
    """Yield (kind, body) of every wrapped node in and under this one, outermost first.

    Goes without recursion, so no depth of the tree is too much.
    """
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, dict):
            for kind, body in current.items():
                if kind[:1].isupper() and isinstance(body, dict):
                    yield kind, body
                if isinstance(body, (dict, list)) and kind != LONG_LIST:
                    stack.append(body)
        elif isinstance(current, list):
            stack.extend(reversed(current))


def wrapped_children(body: Any) -> Iterator[Node]:
    """Yield the nearest wrapped nodes under a body, each as a node of one kind."""
    if isinstance(body, dict):
        for key, value in body.items():
            if key[:1].isupper() and isinstance(value, dict):
                yield {key: value}
            elif isinstance(value, (dict, list)):
                yield from wrapped_children(value)
    elif isinstance(body, list):
        for item in body:
            if isinstance(item, (dict, list)):
                yield from wrapped_children(item)


def has_kind(node: Any, kinds: frozenset[str]) -> bool:
    """Whether some node in or under this one is of one of the kinds."""
    return any(kind in kinds for kind, _ in walk(node))
