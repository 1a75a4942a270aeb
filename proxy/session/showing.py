"""``SHOW vigie.budget``: one's own usage, asked by SQL and answered by the backend.

Answered here, it would stand beside the transaction: never aborted, out of order in a pipeline,
invisible to savepoints. So the text is replaced by a SELECT of what it should show, and the backend
answers that as it answers all else. A prepared one shows usage as of its Parse.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.meter.lines import whose_of
from proxy.session.user_setting import with_quotes
from proxy.wire.encode import parse as parse_of
from proxy.wire.encode import query as query_of
from proxy.wire.frames import Frame
from proxy.wire.frontend import Tag, decode_parse, decode_query

if TYPE_CHECKING:
    from proxy.meter.lines import Usage
    from proxy.session.speaking import Speaking
    from proxy.session.state import State

_SHOW: Final = re.compile(
    rb"\s*show\s+vigie\s*\.\s*budgets?\s*(?:/\*[^*/]*\*/\s*)?;?\s*", re.IGNORECASE
)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9 _.,:;@=*/()+-]")  # of names that others chose
_COLUMNS: Final = 'budget, measure, whose, used, "limit", window_seconds, frees, frees_in_seconds'
_TYPES: Final = (
    "null::text, null::text, null::text, null::bigint, null::bigint, null::bigint, null::bigint, "
    "null::bigint"
)


class Showing:
    """Replaces the messages that ask for usage."""

    def __init__(self, state: State, speaking: Speaking) -> None:
        self._state = state
        self._speaking = speaking

    def replaced(self, frame: Frame) -> Frame:
        """Return what a Query or Parse stands for; itself, if it asks for nothing of ours."""
        if b"vigie" not in frame.raw.lower():
            return frame
        if frame.tag == Tag.QUERY:
            text = decode_query(frame.body)
            if text is None or not _SHOW.fullmatch(text):
                return with_quotes(frame)
            raw = query_of(self._answer(text))
        else:
            parse = decode_parse(frame.body)
            if parse is None or not _SHOW.fullmatch(parse.text):
                return with_quotes(frame)
            raw = parse_of(parse.statement.encode("latin-1"), self._answer(parse.text))
        return Frame(frame.tag, raw)

    def _answer(self, text: bytes) -> bytes:
        self._speaking.ahead(text)
        rows = [f"({_TYPES})", *map(_row, self._state.account.usage(self._state.now))]
        # the first row gives the columns their types, and is left out
        return (
            f'SELECT {_COLUMNS} FROM (VALUES {", ".join(rows)}) AS "vigie.budget"({_COLUMNS}) '
            "WHERE budget IS NOT NULL"
        ).encode("ascii")


def _row(usage: Usage) -> str:
    whose = " ".join(f"{name}={value}" for name, value in whose_of(usage)) or "everyone"
    frees, seconds = usage.frees or (None, None)
    texts = (_literal(usage.budget), _literal(usage.measure.value), _literal(whose))
    numbers = (usage.used, usage.limit, usage.window_seconds, frees, seconds)
    return f"({', '.join([*texts, *('null' if n is None else str(n) for n in numbers)])})"


def _literal(text: str) -> str:
    return f"'{_UNSAFE.sub('_', text)}'"
