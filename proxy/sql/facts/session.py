"""Settings, roles and other state of a session that a statement changes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.sql.facts.constants import read_constant
from proxy.sql.facts.tree import Node, walk
from proxy.sql.text import is_safe_encoding
from proxy.terms.facts import Literal, SideDoor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.sql.facts.reading import Reading
    from proxy.sql.facts.value import Value

_ON: Final = frozenset({"on", "true", "yes", "1", "t", "y", "tr", "tru", "ye"})
_LEXER: Final = frozenset({"standard_conforming_strings", "backslash_quote"})
_WORD: Final = re.compile(r"[\w-]*")
_THREE: Final = 3  # ts_rewrite of two arguments takes a query as text
# What changes how later statements are read; other settings do not.
_STATE: Final = _LEXER | {
    "search_path",
    "role",
    "session_authorization",
    "client_encoding",
}
_SLEEPS: Final = frozenset({"pg_sleep", "pg_sleep_for", "pg_sleep_until"})
_SEEN_ELSEWHERE: Final = frozenset({"setval", "setseed"})
_LOCKS: Final = ("pg_advisory_", "pg_try_advisory_")
_NO_ROLE: Final = frozenset({"none", "default"})


def note_setting(reading: Reading, name: str, value: str | None) -> None:
    """Note that a setting is changed to this value; None: to its default or a computed one."""
    setting = name.lower()
    reading.changes_session |= setting in _STATE
    if setting in _LEXER and not _is_safe_lexer(setting, value):
        reading.side_doors.add(SideDoor.LEXER_SETTING)
    if value is None:
        return
    if setting == "client_encoding" and not is_safe_encoding(value):
        reading.side_doors.add(SideDoor.LEXER_SETTING)
    if setting in {"role", "session_authorization"} and value.lower() not in _NO_ROLE:
        reading.side_doors.add(SideDoor.SESSION_IDENTITY)


def _is_safe_lexer(setting: str, value: str | None) -> bool:
    if setting == "standard_conforming_strings":
        return value is not None and value.lower() in _ON
    return value is not None and value.lower() == "safe_encoding"


def note_set(reading: Reading, body: Node) -> None:
    """Note a SET, RESET or the SET clause of ALTER ROLE, DATABASE or FUNCTION."""
    kind, name = body.get("kind"), str(body.get("name", ""))
    arguments: Sequence[Node] = body.get("args", ())
    reading.changes_session |= kind == "VAR_RESET_ALL" or name.lower() in _STATE
    if kind == "VAR_SET_VALUE":
        if name.startswith("TRANSACTION"):
            return
        constant = read_constant(arguments[0]) if len(arguments) == 1 else None
        value = None
        if constant is not None and isinstance(constant.value, Literal):
            value = constant.value.value
        note_setting(reading, name, value)
    elif kind == "VAR_SET_CURRENT":
        note_setting(reading, name, None)
    # to the default: RESET and SET .. TO DEFAULT go back to what the session began with


def note_special_call(
    reading: Reading, name: str, nodes: Sequence[Node], values: Sequence[Value]
) -> None:
    """Note what a built-in function does beyond its result."""
    if name == "set_config":
        _note_set_config(reading, nodes, values)
    elif name == "pg_notify":
        if len(nodes) > 1 and (not values[1].tells_nothing or _reads_rows(nodes[1])):
            reading.side_doors.add(SideDoor.NOTIFY)
    elif name in _SLEEPS:
        reading.spells_rows |= any(not value.tells_nothing for value in values)
    elif name in _SEEN_ELSEWHERE or name.startswith(_LOCKS):
        # a sequence, a lock: other sessions see the number
        if any(not value.tells_nothing for value in values):
            reading.side_doors.add(SideDoor.SETTING_CHANNEL)
    elif name == "ts_rewrite" and len(nodes) < _THREE:
        reading.side_doors.add(SideDoor.SQL_TEXT)


def _note_set_config(reading: Reading, nodes: Sequence[Node], values: Sequence[Value]) -> None:
    reading.changes_session = True
    if not nodes[1:]:
        return
    name, value = read_constant(nodes[0]), read_constant(nodes[1])
    for constant in (name, value):
        if constant is not None:
            reading.use_literal(constant.location)
    known = name.value.value if name and isinstance(name.value, Literal) else None
    wanted = value.value.value if value and isinstance(value.value, Literal) else None
    if known is not None:
        note_setting(reading, known, wanted if wanted is not None else "?")
    elif (
        not (_is_column(nodes[0]) and values[0].tells_nothing)
        or wanted is None
        or _WORD.fullmatch(wanted)
    ):
        # pg_dump names the setting by a column of pg_settings, with a value that is neither a
        # switch, nor an encoding, nor a role
        reading.side_doors.add(SideDoor.SETTING_CHANNEL)
    if value is None and (not values[1].tells_nothing or _reads_rows(nodes[1])):
        reading.side_doors.add(SideDoor.SETTING_CHANNEL)


def _is_column(node: Node) -> bool:
    return "ColumnRef" in node


def _reads_rows(node: Node) -> bool:
    return any(kind in {"SubLink", "ColumnRef"} for kind, _ in walk(node))
