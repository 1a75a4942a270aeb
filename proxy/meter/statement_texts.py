"""How many subjects the text of a statement can name: one for each literal in it, about.

The same literal twice is the same subject, so a tool that shows the activity every second costs
what is new in it.
"""

from __future__ import annotations

from typing import Final

from proxy.sql.template import cut_literals

_FEWEST_DIGITS: Final = 10  # shorter numbers are keys, limits, dates: they say nobody's name
_LONGEST: Final = 32  # characters; a longer literal may name several


def named_in(value: bytes) -> tuple[list[bytes], int] | None:
    """Return the literals that may each name a subject, and the bytes of those that name more.

    None: the text cannot be cut. A text that the server has cut off within a literal can.
    """
    text = value.decode("utf-8", "replace")
    template = cut_literals(text) or cut_literals(f"{text}'")
    if template is None:
        return None
    names: list[bytes] = []
    more = 0
    for slot in template.slots:
        if slot.is_number and len(slot.value) < _FEWEST_DIGITS:
            continue
        if len(slot.value) > _LONGEST:
            more += len(slot.value.encode())
        elif slot.value.strip():
            names.append(slot.value.strip().encode())
    return names, more
