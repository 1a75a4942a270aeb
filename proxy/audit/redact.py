"""Free text without the values in it, for whatever leaves Vigie as text.

The texts of rules and templates hold no literals by construction; this is the second lock, for
messages that quote what a peer sent.
"""

from __future__ import annotations

import re
from typing import Final

REPLACEMENT: Final = "?"

# Dollar quotes before single quotes, as the lexer sees them. An unfinished quote runs to the end:
# what cannot be told from a value is one. A doubled quote is inside; a backslash takes the
# character behind it along, as in E'', which at worst hides more.
_QUOTED: Final = re.compile(
    r"""
      \$(?P<tag>[A-Za-z_\u0080-\U0010ffff][\w\u0080-\U0010ffff]*|)\$ .*? (?:\$(?P=tag)\$|\Z)
    | ' (?:[^'\\]|''|\\.|\\\Z)* (?:'|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
# Five digits and more, also in the groups people write them in: 2 84 05 75 056, 06.12.34.56.78.
_DIGITS: Final = re.compile(r"\d(?:[ .\u00a0\u202f-]?\d){4,}")


def redact(text: str) -> str:
    """Return the text with quoted strings and runs of five or more digits replaced by ``?``.

    Double-quoted identifiers stay, but for the digits in them. Idempotent. Cost: O(n).
    """
    return _DIGITS.sub(REPLACEMENT, _QUOTED.sub(REPLACEMENT, text))
