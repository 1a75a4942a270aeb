"""All tallies of a ledger, and what of them has to be kept where it outlives the process.

Bounded: beyond a ceiling of memory the subjects of tallies that were used least recently leave:
they are read back from where they are kept before anything is decided on them. Where nothing is
kept, or it cannot be read, such a tally goes on with numbers only. That forgives nothing: whoever
is disclosed again then costs again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import VigieError
from proxy.meter.saved import Batch
from proxy.meter.subjects import Subjects
from proxy.meter.tally import SubjectTally, SumTally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from proxy.meter.saved import SavedTally, TallyChange
    from proxy.meter.subjects import Page

MEMORY_BYTES: Final = 512 * 1024 * 1024
_LEFT_PART: Final = 0.9  # of the ceiling, after some left
_KEPT_SECONDS: Final = 60.0  # that an empty tally stays without being used

AnyTally = SubjectTally | SumTally


class Book:
    """Tallies by name.

    Args:
        is_kept: whether charges have to be kept elsewhere before they may be released.
        memory_bytes: of all tallies together, about.
        new_subjects: makes what tallies of subjects hold them in.
        read_pages: gives the subjects of a tally by its number, as they are kept; None: nobody
            can. It may raise VigieError.
    """

    def __init__(
        self,
        *,
        is_kept: bool = False,
        memory_bytes: int = MEMORY_BYTES,
        new_subjects: Callable[[], Subjects] = Subjects,
        read_pages: Callable[[int], Iterable[Page]] | None = None,
    ) -> None:
        self.new_subjects = new_subjects
        self.is_kept = is_kept
        self.is_failing = False  # nothing can be kept now
        self.compactions = 0  # tallies that went on with numbers only
        self.returns = 0  # tallies whose subjects were read back
        self.memory_bytes = 0
        self.tallies: dict[str, AnyTally] = {}
        self._ceiling = memory_bytes
        self._looks_from = memory_bytes
        self._read_pages = read_pages
        self._next = 0
        self._changed: dict[int, AnyTally] = {}
        self._uncovered: dict[int, AnyTally] = {}
        self._under_way: list[tuple[AnyTally, TallyChange]] = []
        self._ended: list[TallyChange] = []
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
            self._weigh(made)

    def _make(
        self, number: int, name: str, seconds: Iterable[int], *, counts_subjects: bool
    ) -> AnyTally:
        self._next = max(self._next, number)
        made: AnyTally
        if counts_subjects:
            made = SubjectTally(number, name, seconds, self.new_subjects)
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
        self._weigh(tally)

    def bring(self, tally: SubjectTally) -> None:
        """Have the subjects of a tally here, before something is decided on them."""
        if not tally.is_away:
            return
        assert self._read_pages is not None  # or it could not have left
        try:
            tally.come_back(self._read_pages(tally.number))
            self.returns += 1
        except (ValueError, VigieError):
            self._compact(tally)

    def _weigh(self, tally: AnyTally) -> None:
        """Count what a tally takes now; if all take too much, let some leave."""
        self._reweigh(tally)
        if self.memory_bytes > self._looks_from:
            self._bound(tally)

    def _bound(self, used: AnyTally) -> None:
        """Let the subjects of other tallies leave until there is room, the least used first."""
        wanted = self._ceiling * _LEFT_PART
        known = [one for one in self.tallies.values() if isinstance(one, SubjectTally) and one.size]
        known.sort(key=lambda one: (one is used, one.used_at))
        for tally in known:
            if self.memory_bytes <= wanted:
                break
            if self._read_pages is None:
                self._compact(tally)
            elif tally.may_leave and tally is not used:
                tally.leave()
            self._reweigh(tally)
        held = sum(tally.subject_bytes for tally in known)
        if self._read_pages is not None and held > self._ceiling < self.memory_bytes / 2:
            for tally in known:  # what has to be kept first, and cannot be, must not pile up
                if self.memory_bytes > wanted and tally.size:
                    self._compact(tally)
        # what may not leave yet will when it is kept: it is looked for when there is more again
        self._looks_from = max(self._ceiling, int(self.memory_bytes * (2 - _LEFT_PART)))

    def _compact(self, tally: SubjectTally) -> None:
        tally.compact()
        self.compactions += 1
        self._changed[tally.number] = tally
        self._reweigh(tally)

    def _reweigh(self, tally: AnyTally) -> None:
        now = tally.memory_bytes
        self.memory_bytes += now - tally.counted_bytes
        tally.counted_bytes = now

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
            self._reweigh(tally)
            idle = now - tally.used_at
            if tally.is_changed or tally.holds_reservation:
                self._changed[tally.number] = tally
            elif not tally.windows.amounts and idle > _KEPT_SECONDS:
                del self.tallies[tally.name]
                tally.is_ended = True
                ended.append(tally)
                self.memory_bytes -= tally.counted_bytes
                if self.is_kept:
                    self._ended.append(tally.end())
        return ended

    def _settle(self) -> None:
        self._under_way = []
        self._looks_from = self._ceiling
        self._uncovered = {
            number: one for number, one in self._uncovered.items() if not one.is_covered
        }
