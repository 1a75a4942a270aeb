"""What identifies people wherever it stands, counted in bytes: by measure, as a budget asks.

NIR, RPPS, phone, e-mail and IBAN (``scanners``), and the site's own patterns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.content.scanners import IN_PYTHON, Scanners, compile_pattern
from proxy.terms.budget import Measure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    Counts = tuple[tuple[Measure, int], ...]

LONGEST_BYTES: Final = 128  # of what is looked for, in any form


class ContentWatch:
    """Counts what is wanted in bytes.

    Args:
        wanted: the measures that some budget has.
        patterns: the site's own, for ``Measure.PATTERN``.
        scanners: the compiled ones, if they are there.

    Errors: ConfigurationError for a pattern that RE2 does not take.
    """

    def __init__(
        self,
        wanted: Collection[Measure],
        patterns: Sequence[str] = (),
        scanners: Scanners | None = None,
    ) -> None:
        scan = IN_PYTHON if scanners is None else scanners
        own = [compile_pattern(one) for one in patterns]
        every: dict[Measure, Callable[[bytes], int]] = {
            Measure.NIR: scan.nirs,
            Measure.RPPS: scan.rpps,
            Measure.PHONE: scan.phones,
            Measure.EMAIL: scan.emails,
            Measure.IBAN: scan.ibans,
            Measure.PATTERN: lambda octets: sum(1 for one in own for _ in one.finditer(octets)),
        }
        self._counters = [(measure, every[measure]) for measure in every if measure in wanted]

    def count(self, octets: bytes) -> Counts:
        """Return how many of each are in these bytes; none of one: left out."""
        counts = ((measure, counter(octets)) for measure, counter in self._counters)
        return tuple((measure, number) for measure, number in counts if number)
