"""What fast lanes of the same principal have learnt from each other."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from proxy.accel.lane_state import Known
from proxy.sql.cache import TwoGenerations
from proxy.terms.budget import Method
from proxy.terms.facts import Kind

BOOK_BYTES: Final = 4 * 1024 * 1024
KIND_NUMBERS: Final = {kind: number for number, kind in enumerate(Kind)}
"""By which number ``LaneCounts`` counts a kind of statement."""
METHOD_NUMBERS: Final = {method: number for number, method in enumerate(Method)}
"""And rows by how they were charged."""

Book = TwoGenerations[Hashable, Known]
