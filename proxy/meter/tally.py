"""What was received of one thing by one group: distinct subjects, or a sum.

A tally lives in memory and says what of it has to be kept elsewhere. So that a release does not
wait for each of its charges to be kept, a *reservation* is kept ahead of use: after a kill, all of
it counts as received. What is released is therefore always covered by what is kept:
``unsaved`` never exceeds ``reserved`` when a row leaves (``is_covered``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.meter.saved import TallyChange
from proxy.meter.subjects import Subjects
from proxy.meter.window import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from proxy.meter.saved import SavedTally
    from proxy.meter.subjects import Group, Page

_RESERVED_PART: Final = 16  # of the smallest limit
_REWRITTEN_BYTES: Final = 64  # a subject takes less; kept more often, all are kept anew
_TALLY_BYTES: Final = 2000  # in memory, about, with what belongs to it elsewhere
_STEP_BYTES: Final = 200  # of each step, about
_IDLE_SECONDS: Final = 60  # unused for so long, a reservation is given up


class Tally:
    """What both sorts share: windows, and the book of what is kept.

    Args:
        number: its own, among all tallies.
        name: what is counted for whom, as JSON.
        seconds: lengths of the windows.

    ``reservation``: how much is reserved ahead; None: it need not be covered (nothing is cut by
    it, or nothing is kept at all).
    """

    counts_subjects = False

    def __init__(self, number: int, name: str, seconds: Iterable[int]) -> None:
        self.number = number
        self.name = name
        self.windows = Windows(seconds)
        self.reservation: int | None = None
        self.used_at = 0.0
        self.is_ended = False  # it was empty, and another one may have its name
        self._unsaved = 0
        self._reserved = 0
        self._under_way: tuple[int, int] | None = None  # units in the batch, its reservation
        self._dirty: set[int] = set()  # ends of steps
        self._gone: list[int] = []
        self.counted_bytes = 0  # of its memory, in the sum of all

    @property
    def is_covered(self) -> bool:
        """Whether all that was charged is kept, or within what is reserved."""
        return self.lacks(0) <= 0

    @property
    def is_changed(self) -> bool:
        """Whether something has to be kept."""
        return bool(self._dirty or self._gone)

    @property
    def memory_bytes(self) -> int:
        """How much memory it takes, about."""
        return _TALLY_BYTES + _STEP_BYTES * len(self.windows.amounts)

    @property
    def holds_reservation(self) -> bool:
        """Whether something is reserved."""
        return bool(self._reserved)

    def lacks(self, cost: int) -> int:
        """Return by how much the reservation falls short after another charge; 0 or less: not."""
        if self.reservation is None:
            return 0
        unsaved = self._unsaved + cost
        short = unsaved - self._reserved
        if self._under_way is not None:
            units, reserved = self._under_way
            short = max(short, unsaved - units - reserved)
        return short

    def wants_saving(self) -> bool:
        """Whether it is time to reserve more, before there is none left."""
        return self.reservation is not None and 2 * self._unsaved > self._reserved

    def change(self, now: float, *, reserves: bool = True) -> TallyChange | None:
        """Return what to keep, and consider it under way; None: nothing.

        ``reserves``: whether more is going to be used.
        """
        idle = not reserves or now - self.used_at > _IDLE_SECONDS
        reserved = 0 if idle or self.reservation is None else self.reservation
        if not self.is_changed and (reserved >= self._reserved or self._under_way is not None):
            return None
        self._under_way = (self._unsaved, reserved)
        taken = self._new_change(reserved)
        taken.amounts = [(end, self._amount(end)) for end in sorted(self._dirty)]
        taken.gone_steps = self._gone
        self._dirty, self._gone = set(), []
        return taken

    def saved(self) -> None:
        """What was under way is kept."""
        assert self._under_way is not None
        units, self._reserved = self._under_way
        self._unsaved -= units
        self._under_way = None

    def not_saved(self, change: TallyChange) -> None:
        """What was under way could not be kept: it is tried again with the next."""
        self._under_way = None
        self._dirty.update(end for end, _ in change.amounts if end in self.windows.amounts)
        self._gone += change.gone_steps

    def widen(self, seconds: Iterable[int], reservation: int | None) -> None:
        """Serve further windows, and a limit that may be smaller."""
        self.windows.widen(seconds)
        if reservation is not None:
            self.reservation = min(reservation, self.reservation or reservation)

    def end(self) -> TallyChange:
        """Return what to keep of a tally that is no more."""
        taken = self._new_change(0)
        taken.ended = True
        return taken

    def _new_change(self, reserved: int) -> TallyChange:
        seconds = tuple(window.seconds for window in self.windows.windows)
        return TallyChange(self.number, self.name, self.counts_subjects, seconds, reserved)

    def _amount(self, end: int) -> int:
        return self.windows.amounts.get(end, 0)

    def _count(self, now: float, units: int) -> None:
        self.used_at = now
        self._unsaved += units


class SumTally(Tally):
    """A sum of amounts: rows, bytes, statements."""

    def advance(self, now: float) -> None:
        """Let go what has left."""
        gone = self.windows.advance(now, merges=True)
        for old, end in self.windows.take_merged():
            gone.append(old)
            self._dirty.add(end)
        if gone:
            self._gone += gone
            self._dirty.difference_update(gone)

    def charge(self, amount: int, now: float) -> None:
        """Add an amount."""
        end = self.windows.end_of(now)
        self.windows.add(end, amount)
        self._dirty.add(end)
        self._count(now, amount)

    def restore(self, saved: SavedTally, now: float) -> None:
        """Take what was kept; what was reserved counts as received now."""
        for end, amount in sorted(saved.amounts):
            self.windows.add(end, amount)
        if saved.reserved:
            self.charge(saved.reserved, now)
        self._reserved = saved.reserved
        self.advance(now)


class SubjectTally(Tally):
    """Distinct subjects: those known by a key, and those that only could be counted.

    A subject disclosed again costs nothing but counts from its *last* disclosure, or twice the
    limit could leave within one window: once at its begin, again (for free) just before the first
    leave it, and as many others just after.

    Who the subjects are may be *away*: kept elsewhere, and here only how many there are in which
    step. They come back before anything is decided on them.
    """

    counts_subjects = True

    def __init__(
        self,
        number: int,
        name: str,
        seconds: Iterable[int],
        new_subjects: Callable[[], Subjects] = Subjects,
    ) -> None:
        super().__init__(number, name, seconds)
        self._new_subjects = new_subjects
        self._subjects = new_subjects()
        self._anonymous: dict[int, int] = {}
        self._forgets = False  # what is kept of subjects goes first
        self._rewrites = False  # and all of them are kept again
        self._kept_bytes = 0  # since all of them were
        self._merged: list[tuple[int, int]] = []  # steps, while the subjects are away
        self.is_away = False

    @property
    def size(self) -> int:
        """How many subjects are known by a key here."""
        return len(self._subjects)

    @property
    def memory_bytes(self) -> int:
        """How much memory it takes, about."""
        return super().memory_bytes + self.subject_bytes

    @property
    def subject_bytes(self) -> int:
        """How much of it its subjects take."""
        return self._subjects.memory_bytes

    @property
    def is_changed(self) -> bool:
        """Whether something has to be kept."""
        return self._forgets or self._rewrites or self._subjects.is_changed or super().is_changed

    @property
    def may_leave(self) -> bool:
        """Whether all of its subjects are kept as they are, so that they need not be here."""
        changes = self._forgets or self._rewrites or self._subjects.is_changed
        return bool(self.size) and self._under_way is None and not changes

    def advance(self, now: float) -> None:
        """Let go what has left."""
        gone = self.windows.advance(now, merges=True)
        for old, end in self.windows.take_merged():
            self._merge(old, end)
        for end in gone:
            # what was merged into it while the subjects were away is kept under its own name yet
            merged = [old for old, into in self._merged if into == end]
            self._merged = [pair for pair in self._merged if pair[1] != end]
            for one in (end, *merged):
                self._anonymous.pop(one, None)
                self._gone.append(one)
                self._dirty.discard(one)
            self._subjects.forget(end)

    def _merge(self, old: int, end: int) -> None:
        """Let all of a step count in a later one."""
        if old in self._anonymous:
            self._anonymous[end] = self._anonymous.get(end, 0) + self._anonymous.pop(old)
            self._dirty.update((old, end))
        if self.is_away:
            self._merged = [(one, end if into == old else into) for one, into in self._merged]
            self._merged.append((old, end))
            return
        self._subjects.merge(old, end)
        self._gone.append(old)
        self._dirty.discard(old)

    def unseen(self, groups: Collection[Group], now: float) -> Collection[Group]:
        """Return the groups for which something would change, as of ``advance``."""
        return self._subjects.unseen(groups, self.windows.end_of(now))

    def most(self, groups: Collection[Group], anonymous: int) -> int:
        """Return what ``costs`` cannot exceed, which is faster to have."""
        return anonymous + (self._subjects.most(groups) if groups else 0)

    def costs(self, groups: Collection[Group], anonymous: int) -> list[int]:
        """Return what a charge would add in each window, or more if groups share keys.

        Args:
            groups: the keys of each subject, at least one; those that are ``unseen``.
            anonymous: how many have none.
        """
        edges = [window.edge for window in self.windows.windows]
        if not groups:
            return [anonymous] * len(edges)
        return [anonymous + cost for cost in self._subjects.costs(groups, edges)]

    def charge(self, groups: Collection[Group], anonymous: int, now: float) -> int:
        """Add subjects; known ones are refreshed. Return how many the longest window gained."""
        assert not (groups and self.is_away)
        end = self.windows.end_of(now)
        before = self.windows.windows[-1].total
        units = anonymous
        if groups:
            added, moved = self._subjects.charge(groups, end)
            if added:
                self.windows.add(end, added)
            for old, count in moved.items():
                self.windows.move(old, end, count)
            units += added + sum(moved.values())
        if anonymous:
            self.windows.add(end, anonymous)
            self._anonymous[end] = self._anonymous.get(end, 0) + anonymous
            self._dirty.add(end)
        self._count(now, units)
        return self.windows.windows[-1].total - before

    def change(self, now: float, *, reserves: bool = True) -> TallyChange | None:
        """Return what to keep, and consider it under way; None: nothing."""
        taken = super().change(now, reserves=reserves)
        if taken is None:
            return None
        everything = self._rewrites or self._kept_bytes > _REWRITTEN_BYTES * (1000 + self.size)
        everything = everything and not self.is_away
        taken.forgets_subjects = self._forgets or everything
        taken.pages = self._subjects.take_pages(everything=everything)
        self._kept_bytes = 0 if everything else self._kept_bytes
        self._kept_bytes += sum(len(page) for _, page in taken.pages)
        self._forgets = self._rewrites = False
        return taken

    def not_saved(self, change: TallyChange) -> None:
        """What was under way could not be kept: it is tried again with the next."""
        super().not_saved(change)
        self._forgets |= change.forgets_subjects
        self._subjects.mark(change.pages)

    def compact(self) -> None:
        """Keep only how many subjects there were, and when: whoever comes again costs anew."""
        self._anonymous = {end: amount for end, amount in self.windows.amounts.items() if amount}
        self._dirty.update(self._anonymous)
        self._subjects = self._new_subjects()
        self._forgets, self._rewrites, self.is_away = True, False, False
        self._gone += [old for old, _ in self._merged]
        self._merged = []

    def leave(self) -> None:
        """Let the subjects be away, which ``may_leave``."""
        self._subjects = self._new_subjects()
        self.is_away = True

    def come_back(self, pages: Iterable[Page]) -> None:
        """Take the subjects as they are kept.

        Errors: ``ValueError`` if these are not those that left.
        """
        found = self._new_subjects()
        amounts = self.windows.amounts
        known = {*amounts, *(old for old, _ in self._merged)}
        self._rewrites |= found.restore(page for page in pages if page[0] in known)
        for old, end in self._merged:
            found.merge(old, end)
        for end, amount in amounts.items():
            if found.counts.get(end, 0) + self._anonymous.get(end, 0) != amount:
                raise ValueError("what is kept is not what was counted")
        self._gone += [old for old, _ in self._merged]
        self._dirty.difference_update(old for old, _ in self._merged)
        self._subjects, self.is_away, self._merged = found, False, []

    def restore(self, saved: SavedTally, now: float) -> None:
        """Take what was kept; what was reserved counts as received now.

        Errors: ``ValueError`` if what was kept is damaged.
        """
        self._anonymous = dict(saved.amounts)
        self._rewrites = self._subjects.restore(saved.pages)
        counts = self._subjects.counts
        for end in sorted(self._anonymous.keys() | counts.keys()):
            self.windows.add(end, self._anonymous.get(end, 0) + counts.get(end, 0))
        if saved.reserved:
            self.charge((), saved.reserved, now)
        self._reserved = saved.reserved
        self.advance(now)

    def _amount(self, end: int) -> int:
        return self._anonymous.get(end, 0)


def reservation_of(limits: Iterable[int]) -> int:
    """Return how much to reserve ahead under these limits: what a kill may cost at most."""
    return max(1, min(limits) // _RESERVED_PART)
