"""Names of the functions of pg_catalog in PostgreSQL 15, for when no catalog is known.

Source: ``pg_proc`` of a new cluster, in ``builtin_functions.txt``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

BUILTIN_FUNCTIONS: Final = frozenset(
    Path(__file__).with_name("builtin_functions.txt").read_text(encoding="ascii").split()
)
