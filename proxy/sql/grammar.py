"""PostgreSQL's own grammar, through the libpg_query that ``postgast`` bundles.

Called by ctypes: the C call gives the GIL back, and the JSON tree it returns has no limit of
100 levels as the protobuf one has. The C code does not check its stack, so texts above
``MAX_INLINE_BYTES`` belong in a process of their own (``proxy.sql.worker``).

Source: libpg_query 18, ``pg_query.h``.
"""

from __future__ import annotations

import ctypes
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from proxy.sql.facts.tree import Node

MAX_INLINE_BYTES: Final = 16384
_QUOTED: Final = '"'


class GrammarError(Exception):
    """The grammar refuses a text. ``reason`` has no literal of it; ``at`` counts characters."""

    def __init__(self, reason: str, at: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at


class _Error(ctypes.Structure):
    _fields_ = (
        ("message", ctypes.c_char_p),
        ("funcname", ctypes.c_char_p),
        ("filename", ctypes.c_char_p),
        ("lineno", ctypes.c_int),
        ("cursorpos", ctypes.c_int),
        ("context", ctypes.c_char_p),
    )


class _Result(ctypes.Structure):
    _fields_ = (
        ("parse_tree", ctypes.c_char_p),
        ("stderr_buffer", ctypes.c_char_p),
        ("error", ctypes.POINTER(_Error)),
    )


def _load() -> ctypes.CDLL:
    # the package itself is not imported: it would bring protobuf along
    package = find_spec("postgast")
    folder = Path(str(package.origin if package is not None else "")).parent
    found = sorted(path for path in folder.iterdir() if path.name.startswith("libpg_query."))
    library = ctypes.CDLL(str(found[0]))
    library.pg_query_parse.argtypes = [ctypes.c_char_p]
    library.pg_query_parse.restype = _Result
    library.pg_query_free_parse_result.argtypes = [_Result]
    library.pg_query_free_parse_result.restype = None
    return library


_LIBRARY: Final = _load()


def parse_json(text: str) -> bytes:
    """Return the tree of ``text`` as JSON bytes.

    Errors: ``GrammarError`` if the grammar refuses it, or a NUL would cut it short.
    """
    if "\0" in text:
        raise GrammarError("nul", text.index("\0"))
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise GrammarError("encoding", error.start) from None
    result = _LIBRARY.pg_query_parse(encoded)
    try:
        if result.error:
            found = result.error.contents
            message = (found.message or b"").decode(errors="replace")
            raise GrammarError(_shape(message), max(found.cursorpos - 1, 0))
        tree = result.parse_tree
        return tree if isinstance(tree, bytes) else b""
    finally:
        _LIBRARY.pg_query_free_parse_result(result)


def parse(text: str) -> list[Node]:
    """Return the statements of ``text``: dicts of ``stmt``, ``stmt_location``, ``stmt_len``.

    Locations count bytes of UTF-8. Errors: ``GrammarError``, also for a tree too deep to read.
    """
    return decode_tree(parse_json(text))


def decode_tree(tree: bytes | str) -> list[Node]:
    """Return the statements of a JSON tree. Errors: ``GrammarError`` if it is too deep."""
    try:
        decoded: dict[str, Any] = json.loads(tree)
    except RecursionError:
        raise GrammarError("too deep") from None
    except ValueError:
        raise GrammarError("unreadable tree") from None
    statements: list[Node] = decoded.get("stmts", [])
    return statements


def _shape(message: str) -> str:
    """Return the message without what it quotes of the text."""
    return message.split(_QUOTED, 1)[0].strip() or "syntax error"
