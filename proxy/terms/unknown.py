"""A fact that could not be had. Never the same as "no"."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Unknown(Enum):
    """The type of ``UNKNOWN``; an enum, so that ``is UNKNOWN`` narrows for the type checker."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown.UNKNOWN
