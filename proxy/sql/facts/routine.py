"""A function of the database as its definition tells of it: parameters, result, body.

Source: PostgreSQL documentation, "CREATE FUNCTION"; ``pg_get_functiondef``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from proxy.sql.facts.constants import read_constant
from proxy.sql.facts.plpgsql_tokens import Unreadable
from proxy.sql.facts.tree import Node, qualified, unwrap
from proxy.sql.grammar import MAX_INLINE_BYTES, GrammarError, parse
from proxy.terms.facts import Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

_TAKEN: Final = frozenset(
    {"FUNC_PARAM_DEFAULT", "FUNC_PARAM_IN", "FUNC_PARAM_INOUT", "FUNC_PARAM_VARIADIC"}
)
_GIVEN: Final = frozenset({"FUNC_PARAM_OUT", "FUNC_PARAM_INOUT", "FUNC_PARAM_TABLE"})
# A function may set these for itself: they change neither what names mean nor how text is read.
_HARMLESS_NAMES: Final = """
work_mem maintenance_work_mem statement_timeout lock_timeout timezone datestyle intervalstyle
enable_seqscan enable_nestloop enable_hashjoin enable_mergejoin jit row_security
client_min_messages default_text_search_config extra_float_digits random_page_cost
plan_cache_mode max_parallel_workers_per_gather
"""
_HARMLESS_SETTINGS: Final = frozenset(_HARMLESS_NAMES.split())


@dataclass(frozen=True, slots=True)
class Routine:
    """One function or procedure.

    ``inputs``: names of the parameters that a call gives, '' for those without; ``defaults`` of
    the last of them. ``outputs``: names of OUT, INOUT and TABLE ones. ``returns``: (schema, name)
    of the type. ``statements``: of an SQL body; ``source``: of one in PL/pgSQL. ``path``: its own
    search_path; () if it has none. ``is_parsed``: names were resolved when it was made.
    """

    name: str
    inputs: tuple[str, ...]
    defaults: tuple[Node, ...]
    variadic: bool
    outputs: tuple[str, ...]
    returns: tuple[str, str] | None
    statements: tuple[Node, ...] = ()
    source: str | None = None
    path: tuple[str, ...] = ()
    is_parsed: bool = False

    def takes(self, count: int) -> bool:
        """Whether a call may have so many arguments."""
        most, least = len(self.inputs), len(self.inputs) - len(self.defaults)
        if self.variadic:
            return count >= min(least, most - 1)
        return least <= count <= most


@lru_cache(maxsize=256)
def read_routine(definition: str) -> Routine:
    """Return the routine that ``pg_get_functiondef`` shows. Errors: ``Unreadable``."""
    tree = parse_body(definition)
    body = tree[0].get("CreateFunctionStmt") if len(tree) == 1 else None
    if body is None:
        raise Unreadable("its definition cannot be read")
    options = [one.get("DefElem", {}) for one in body.get("options", ())]
    language = _option(options, "language").get("String", {}).get("sval", "sql")
    parameters = [one.get("FunctionParameter", {}) for one in body.get("parameters", ())]
    taken = [one for one in parameters if one.get("mode") in _TAKEN]
    texts = _option(options, "as").get("List", {}).get("items", ())
    statements: tuple[Node, ...] = ()
    source = None
    if "sql_body" in body:
        statements = tuple(_sql_body(body["sql_body"]))
    elif language == "sql":
        statements = tuple(parse_body(_text(texts)))
    elif language == "plpgsql":
        source = _text(texts)
    else:
        raise Unreadable(f"is in {language}")
    returns = body.get("returnType")
    return Routine(
        name=qualified(body.get("funcname", ()))[1],
        inputs=tuple(str(one.get("name", "")) for one in taken),
        defaults=tuple(one["defexpr"] for one in taken if "defexpr" in one),
        variadic=any(one.get("mode") == "FUNC_PARAM_VARIADIC" for one in taken),
        outputs=tuple(str(one.get("name", "")) for one in parameters if one.get("mode") in _GIVEN),
        returns=None if returns is None else qualified(returns.get("names", ())),
        statements=statements,
        source=source,
        path=_path(options),
        is_parsed="sql_body" in body,
    )


@lru_cache(maxsize=1024)
def _parsed(text: str) -> tuple[Node, ...]:
    if len(text.encode()) > MAX_INLINE_BYTES:
        raise Unreadable("is too long")
    try:
        return tuple(without_places(one.get("stmt", {})) for one in parse(text))
    except GrammarError as error:
        raise Unreadable(f"does not parse: {error.reason}") from None


def parse_body(text: str) -> tuple[Node, ...]:
    """Return the statements of a text that is not the one that was sent: without their places.

    Errors: ``Unreadable``. The trees are shared: they are not to be changed.
    """
    return _parsed(text)


def without_places(node: Any) -> Any:
    """Return a tree without where in its text each node stands."""
    if isinstance(node, dict):
        return {
            key: None if key == "location" else without_places(value) for key, value in node.items()
        }
    if isinstance(node, list):
        return [without_places(one) for one in node]
    return node


def _option(options: Sequence[Node], name: str) -> Node:
    for option in options:
        if option.get("defname") == name:
            found: Node = option.get("arg", {})
            return found
    return {}


def _text(texts: Sequence[Node]) -> str:
    if len(texts) != 1:
        raise Unreadable("has no source")
    return str(texts[0].get("String", {}).get("sval", ""))


def _sql_body(body: Node) -> list[Node]:
    """Return the statements of RETURN or BEGIN ATOMIC."""
    kind, inner = unwrap(body)
    if kind == "ReturnStmt":
        target = {"ResTarget": {"val": inner.get("returnval", {})}}
        return [{"SelectStmt": {"targetList": [target], "op": "SETOP_NONE"}}]
    found: list[Node] = []
    for item in inner.get("items", ()):
        found += _sql_body(item) if unwrap(item)[0] in {"List", "ReturnStmt"} else [item]
    return found


def _path(options: Sequence[Node]) -> tuple[str, ...]:
    """Return the search_path that the function sets. Errors: ``Unreadable`` for other settings."""
    path: tuple[str, ...] = ()
    for option in options:
        if option.get("defname") != "set":
            continue
        setting: Node = option.get("arg", {}).get("VariableSetStmt", {})
        name = str(setting.get("name", "")).lower()
        if name == "search_path":
            values = [read_constant(one) for one in setting.get("args", ())]
            path = tuple(
                one.value.value for one in values if one and isinstance(one.value, Literal)
            )
            if len(path) != len(values) or not path:
                raise Unreadable("sets a search_path that cannot be read")
        elif name not in _HARMLESS_SETTINGS:
            raise Unreadable(f"sets {name}")
    return path
