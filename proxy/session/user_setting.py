"""``SET vigie.user``: USER is a word of SQL, so PostgreSQL takes it as ``vigie."user"`` alone.

The quotes are added at the beginning of a text, as anybody would write it who reads the message
about a syntax error. Behind another statement of one text they have to be written.

Source: PostgreSQL documentation, "SQL Key Words", "Customized Options".
"""

from __future__ import annotations

import re
from typing import Final

from proxy.wire.encode import frame as frame_of
from proxy.wire.frames import HEADER_BYTES, Frame
from proxy.wire.frontend import Tag

_BEGINS: Final = re.compile(
    rb"(\s*(?:set\s+(?:(?:session|local)\s+)?|reset\s+|show\s+))vigie\s*\.\s*user(?=[\s=;]|\Z)",
    re.IGNORECASE,
)


def with_quotes(frame: Frame) -> Frame:
    """Return a Query or Parse with the name in quotes; itself, if it does not begin with it."""
    body = frame.raw[HEADER_BYTES:]
    start = 0 if frame.tag == Tag.QUERY else body.find(b"\0") + 1
    end = body.find(b"\0", start)
    text = body[start:end]
    quoted = _BEGINS.sub(rb'\g<1>vigie."user"', text, count=1) if _BEGINS.match(text) else text
    if end < 0 or quoted == text:
        return frame
    return Frame(frame.tag, frame_of(frame.tag, body[:start] + quoted + body[end:]))
