"""Commands of a replication connection, which no grammar of SQL reads.

Source: PostgreSQL documentation, "Streaming Replication Protocol"; ``repl_scanner.l``: the first
word decides, and what follows it is read by the grammar of replication to the end of the text.
SHOW is left out: it is read as SQL, and is the same there.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.terms.facts import Kind, StatementFacts

_COMMAND: Final = re.compile(
    rb"\s*(IDENTIFY_SYSTEM|BASE_BACKUP|START_REPLICATION|TIMELINE_HISTORY|UPLOAD_MANIFEST"
    rb"|(?:CREATE|ALTER|DROP|READ)_REPLICATION_SLOT)(?![\w$\x80-\xff])",
    re.IGNORECASE | re.ASCII,
)


def replication_command(text: bytes) -> StatementFacts | None:
    """Return the facts of a command of a replication connection; None: read the text as SQL."""
    found = _COMMAND.match(text)
    if found is None:
        return None
    name = found[1].decode("ascii").upper()
    return StatementFacts(Kind.REPLICATION, text=name, template=name)
