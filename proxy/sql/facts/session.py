"""Settings, roles and other state of a session that a statement changes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.sql.facts.constants import read_constant
from proxy.sql.facts.tree import Node, body_of, qualified, unwrap, walk, without_casts
from proxy.sql.text import is_safe_encoding
from proxy.terms.facts import Literal, SettingChange, SideDoor
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.sql.facts.reading import Reading
    from proxy.sql.facts.value import Value

_ON: Final = frozenset({"on", "true", "yes", "1", "t", "y", "tr", "tru", "ye"})
_LEXER: Final = frozenset({"standard_conforming_strings", "backslash_quote"})
_WORD: Final = re.compile(r"[\w-]*")
_THREE: Final = 3  # of set_config; ts_rewrite of two arguments takes a query as text
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
_SET_CONFIG: Final = "set_config"
_SOMETHING: Final = SettingChange(None, UNKNOWN)
# What a SELECT has that is nothing but a list of calls, each carried out once.
_BARE: Final = frozenset({"targetList", "limitOption", "op"})


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


def note_statement(reading: Reading, body: Node) -> None:
    """Note which setting a SET or RESET changes, and to what."""
    kind, name = body.get("kind"), str(body.get("name", "")).lower()
    is_local = bool(body.get("is_local"))
    arguments: Sequence[Node] = body.get("args", ())
    match kind:
        case "VAR_RESET_ALL":
            reading.settings.append(SettingChange(None, None))
        case "VAR_SET_DEFAULT" | "VAR_RESET":
            reading.settings.append(SettingChange(name, None, is_local))
        case "VAR_SET_VALUE" if not name.startswith("transaction"):
            constant = read_constant(arguments[0]) if len(arguments) == 1 else None
            value = UNKNOWN if constant is None else constant.value
            reading.settings.append(SettingChange(name, value, is_local))
        case _:
            pass


def note_plain_calls(reading: Reading, kind: str, body: Node) -> None:
    """Note which settings the calls of set_config change.

    Known of a SELECT that calls it with constants or parameters, and does nothing else: anything
    else may carry the call out once, more often, or not at all.
    """
    if not any(name.rsplit(".", 1)[-1] == _SET_CONFIG for name in reading.functions):
        return
    found: list[SettingChange] = []
    is_bare = kind == "SelectStmt" and body.keys() <= _BARE
    for target in body.get("targetList", ()) if is_bare else ():
        value = body_of(target, "ResTarget") or {}
        call = body_of(without_casts(value.get("val", {})), "FuncCall")
        change = None if call is None else _change_by(call)
        if change is None:
            break
        found.append(change)
    else:
        if is_bare:
            reading.settings += found
            return
    reading.settings.append(_SOMETHING)


def _change_by(call: Node) -> SettingChange | None:
    """Return what a call of set_config changes; None if that cannot be read."""
    schema, function = qualified(call.get("funcname", ()))
    nodes: Sequence[Node] = call.get("args", ())
    if function != _SET_CONFIG or schema not in {"", "pg_catalog"} or len(nodes) != _THREE:
        return None
    name, value, is_local = map(read_constant, nodes)
    if name is None or not isinstance(name.value, Literal):
        return None
    if is_local is None or not isinstance(is_local.value, Literal):
        return None
    if value is None and not _is_null(nodes[1]):
        return None
    lasts = is_local.value.value.lower() not in _ON
    return SettingChange(name.value.value.lower(), value and value.value, not lasts)


def _is_null(node: Node) -> bool:
    kind, body = unwrap(without_casts(node))
    return kind == "A_Const" and bool(body.get("isnull"))


def note_special_call(
    reading: Reading, name: str, nodes: Sequence[Node], values: Sequence[Value]
) -> None:
    """Note what a built-in function does beyond its result."""
    if name == _SET_CONFIG:
        _note_set_config(reading, nodes, values)
    elif name == "pg_notify":
        reading.tells_others = True
        if len(nodes) > 1 and (not values[1].tells_nothing or _reads_rows(nodes[1])):
            reading.side_doors.add(SideDoor.NOTIFY)
    elif name in _SLEEPS:
        reading.tells_others = True
        reading.spells_rows |= any(not value.tells_nothing for value in values)
    elif name in _SEEN_ELSEWHERE or name.startswith(_LOCKS):
        # a sequence, a lock: other sessions see the number
        reading.tells_others = True
        if any(not value.tells_nothing for value in values):
            reading.side_doors.add(SideDoor.SETTING_CHANNEL)
    elif name == "ts_rewrite" and len(nodes) < _THREE:
        reading.side_doors.add(SideDoor.SQL_TEXT)


def _note_set_config(reading: Reading, nodes: Sequence[Node], values: Sequence[Value]) -> None:
    if not nodes[1:]:
        reading.changes_session = True
        return
    name, value = read_constant(nodes[0]), read_constant(nodes[1])
    is_local = read_constant(nodes[2]) if len(nodes) == _THREE else None
    for constant in (name, value, is_local):
        if constant is not None:
            reading.use_literal(constant.location)
    known = name.value.value if name and isinstance(name.value, Literal) else None
    reading.changes_session |= known is None
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
