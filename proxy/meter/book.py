"""All tallies of a ledger, and what of them has to be kept where it outlives the process.

Bounded: beyond so many subjects known by their keys, the tallies that were used least recently go
on with numbers only. That forgives nothing: whoever is disclosed again then costs again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.meter.saved import Batch
from proxy.meter.seen import SeenGroups
from proxy.meter.tally import SubjectTally, SumTally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from proxy.meter.saved import SavedTally, TallyChange

MAX_SUBJECTS: Final = 1_000_000  # about 500 bytes each
_TOUCHES_BETWEEN_LOOKS: Final = 4096
_KEPT_SECONDS: Final = 60.0  # that an empty tally stays without being used

AnyTally = SubjectTally | SumTally


class Book:
    """Tallies by name.

    Args:
        is_kept: whether charges have to be kept elsewhere before they may be released.
        max_subjects: known by their keys, in memory.
        new_seen: makes what tallies of subjects remember groups in.
    """

    def __init__(
        self,
        *,
        is_kept: bool = False,
        max_subjects: int = MAX_SUBJECTS,
        new_seen: Callable[[], SeenGroups] = SeenGroups,
    ) -> None:
        self.new_seen = new_seen
        self.is_kept = is_kept
        self.is_failing = False  # nothing can be kept now
        self.compactions = 0
        self.tallies: dict[str, AnyTally] = {}
        self._max_subjects = max_subjects
        self._next = 0
        self._changed: dict[int, AnyTally] = {}
        self._uncovered: dict[int, AnyTally] = {}
        self._under_way: list[tuple[AnyTally, TallyChange]] = []
        self._ended: list[TallyChange] = []
        self._touches = 0
        self._wants_saving = False

    def open(
        self,
        name: str,
        *,
        counts_subjects: bool,
        seconds: Iterable[int],
        reservation: int | None,
    ) -> AnyTally:
        """Return the tally of this name, serving windows of these lengths.

        ``reservation``: how much of it is reserved ahead; None: nothing is cut by it.
        """
        if not self.is_kept:
            reservation = None
        found = self.tallies.get(name)
        if found is None:
            found = self._make(self._next + 1, name, seconds, counts_subjects=counts_subjects)
        found.widen(seconds, reservation)
        return found

    def restore(self, saved: Iterable[SavedTally], now: float) -> None:
        """Take what was kept; nothing was opened yet."""
        for one in saved:
            made = self._make(
                one.number, one.name, one.seconds, counts_subjects=one.counts_subjects
            )
            made.restore(one, now)
            self._changed[one.number] = made
        self.bound()

    def _make(
        self, number: int, name: str, seconds: Iterable[int], *, counts_subjects: bool
    ) -> AnyTally:
        self._next = max(self._next, number)
        made: AnyTally
        if counts_subjects:
            made = SubjectTally(number, name, seconds, self.new_seen)
        else:
            made = SumTally(number, name, seconds)
        self.tallies[name] = made
        return made

    def touched(self, tally: AnyTally) -> None:
        """Something was charged."""
        if self.is_kept:
            self._changed[tally.number] = tally
            if not tally.is_covered:
                self._uncovered[tally.number] = tally
                self._wants_saving = True
            elif tally.wants_saving():
                self._wants_saving = True
        self._touches += 1
        if self._touches >= _TOUCHES_BETWEEN_LOOKS:
            self._touches = 0
            self.bound()

    def bound(self) -> None:
        """Compact tallies until few enough subjects are known by their keys."""
        known = [one for one in self.tallies.values() if isinstance(one, SubjectTally)]
        total = sum(one.size for one in known)
        if total <= self._max_subjects:
            return
        for tally in sorted(known, key=lambda one: one.used_at):
            if total <= self._max_subjects * 3 // 4:
                return
            if tally.size:
                total -= tally.size
                tally.compact()
                self.compactions += 1
                self._changed[tally.number] = tally

    # keeping

    @property
    def is_covered(self) -> bool:
        """Whether all that was charged is kept, or within what is reserved."""
        return not self._uncovered

    @property
    def wants_saving(self) -> bool:
        """Whether something should be kept soon, and not only now and then."""
        return self._wants_saving

    @property
    def is_under_way(self) -> bool:
        """Whether a batch is being kept."""
        return bool(self._under_way)

    def uncovered(self) -> list[AnyTally]:
        """Return the tallies of which more was charged than is kept or reserved."""
        return list(self._uncovered.values())

    def take_batch(self, now: float, *, reserves: bool = True) -> Batch | None:
        """Return what has changed, to be kept in one transaction; None: nothing has.

        One at a time: ``saved`` or ``not_saved`` comes before the next. ``reserves``: False at
        the end of the process, when nothing more will be used.
        """
        assert not self._under_way
        self._wants_saving = False
        waiting, self._changed = self._changed, {}
        if not reserves:
            waiting |= {one.number: one for one in self.tallies.values() if one.holds_reservation}
        for tally in waiting.values():
            tally.advance(now)
            change = tally.change(now, reserves=reserves)
            if change is not None:
                self._under_way.append((tally, change))
        ended, self._ended = self._ended, []
        changes = [*ended, *(change for _, change in self._under_way)]
        return Batch(now, tuple(changes)) if changes else None

    def saved(self) -> None:
        """The batch is kept."""
        self.is_failing = False
        for tally, _ in self._under_way:
            tally.saved()
        self._settle()

    def not_saved(self, batch: Batch) -> None:
        """The batch could not be kept: it is tried again with the next."""
        self.is_failing = True
        self._ended += [change for change in batch.changes if change.ended]
        for tally, change in self._under_way:
            tally.not_saved(change)
            self._changed[tally.number] = tally
        self._settle()
        self._wants_saving = True

    def sweep(self, now: float) -> list[AnyTally]:
        """End the tallies that are empty and not used; return them."""
        ended = []
        for tally in list(self.tallies.values()):
            tally.advance(now)
            idle = now - tally.used_at
            if tally.is_changed or tally.holds_reservation:
                self._changed[tally.number] = tally
            elif not tally.windows.amounts and idle > _KEPT_SECONDS:
                del self.tallies[tally.name]
                tally.is_ended = True
                ended.append(tally)
                if self.is_kept:
                    self._ended.append(tally.end())
        return ended

    def _settle(self) -> None:
        self._under_way = []
        self._uncovered = {
            number: one for number, one in self._uncovered.items() if not one.is_covered
        }
