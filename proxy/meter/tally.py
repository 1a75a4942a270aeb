"""What was received of one thing by one group: distinct subjects, or a sum.

A tally lives in memory and says what of it has to be kept elsewhere. So that a release does not
wait for each of its charges to be kept, a *reservation* is kept ahead of use: after a kill, all of
it counts as received. What is released is therefore always covered by what is kept:
``unsaved`` never exceeds ``reserved`` when a row leaves (``is_covered``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.meter.saved import SavedSubject, TallyChange
from proxy.meter.seen import SeenGroups
from proxy.meter.window import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from proxy.meter.saved import SavedTally
    from proxy.meter.seen import Group

_RESERVED_PART: Final = 16  # of the smallest limit
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

    @property
    def is_covered(self) -> bool:
        """Whether all that was charged is kept, or within what is reserved."""
        return self.lacks(0) <= 0

    @property
    def is_changed(self) -> bool:
        """Whether something has to be kept."""
        return bool(self._dirty or self._gone)

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
        taken.gone_amounts = self._gone
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
        self._gone += change.gone_amounts

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
        gone = self.windows.advance(now)
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


class _Subject:
    __slots__ = ("keys", "last", "number")

    def __init__(self, number: int, last: int) -> None:
        self.number = number
        self.last = last
        self.keys: list[bytes] = []


class SubjectTally(Tally):
    """Distinct subjects: those known by a key, and those that only could be counted.

    A subject disclosed again costs nothing but counts from its *last* disclosure, or twice the
    limit could leave within one window: once at its begin, again (for free) just before the first
    leave it, and as many others just after.

    A subject may have several keys (id, NIR): keys seen together in one charge belong to one
    subject. But not all keys are of one subject only (a child may bear the NIR of a parent), so a
    group with a key that was not seen before is of a known subject only if it holds all keys of
    that subject. Two that were counted apart stay two.
    """

    counts_subjects = True

    def __init__(
        self,
        number: int,
        name: str,
        seconds: Iterable[int],
        new_seen: Callable[[], SeenGroups] = SeenGroups,
    ) -> None:
        super().__init__(number, name, seconds)
        self._new_seen = new_seen
        self._subject_of: dict[bytes, _Subject] = {}
        self._steps: dict[int, dict[int, _Subject]] = {}  # end -> subjects last disclosed in it
        self._anonymous: dict[int, int] = {}
        self._seen = new_seen()  # groups that are known, and counted in ...
        self._seen_end = 0  # ... this step
        self._next = 0
        self._dirty_subjects: dict[int, _Subject] = {}
        self._gone_subjects: list[int] = []
        self._forgets = False
        self.size = 0  # subjects that are known by a key

    @property
    def is_changed(self) -> bool:
        """Whether something has to be kept."""
        return bool(self._dirty_subjects or self._gone_subjects or self._forgets) or (
            super().is_changed
        )

    def advance(self, now: float) -> None:
        """Let go what has left."""
        for end in self.windows.advance(now):
            if self._anonymous.pop(end, None) is not None:
                self._gone.append(end)
                self._dirty.discard(end)
            for subject in self._steps.pop(end, {}).values():
                self._forget(subject)

    def unseen(self, groups: Collection[Group], now: float) -> list[Group]:
        """Return the groups for which something would change, each once, as of ``advance``."""
        end = self.windows.end_of(now)
        if end != self._seen_end or len(self._seen) > self._seen.most:
            self._seen, self._seen_end = self._new_seen(), end
        return self._seen.unseen(groups)

    @staticmethod
    def most(groups: Sequence[Group], anonymous: int) -> int:
        """Return what ``costs`` cannot exceed, which is faster to have."""
        return anonymous + len(groups) + sum(map(len, groups))

    def costs(self, groups: Sequence[Group], anonymous: int) -> list[int]:
        """Return what a charge would add in each window, or more if groups share keys.

        Args:
            groups: the keys of each subject, at least one; those that are ``unseen``.
            anonymous: how many have none.
        """
        known = self._subject_of
        if len(groups) == 1:
            fresh = int(self._is_fresh(groups[0]))
        else:
            # one of them may make another fresh, but none of which every key is known
            fresh = sum(any(key not in known for key in group) for group in groups)
        moved = {id(one): one for group in groups for key in group if (one := known.get(key))}
        return [
            fresh + anonymous + sum(one.last <= window.edge for one in moved.values())
            for window in self.windows.windows
        ]

    def charge(self, groups: Sequence[Group], anonymous: int, now: float) -> int:
        """Add subjects; known ones are refreshed. Return how many the longest window gained."""
        end = self.windows.end_of(now)
        before = self.windows.windows[-1].total
        units = anonymous
        single = max(map(len, groups), default=0) == 1
        if single:
            units += self._charge_single(groups, end)
        for group in () if single else groups:
            known = self._subjects_of(group)
            owner = next((one for one in known if self._is_within(one, group)), None)
            if self._is_fresh(group):
                owner = self._add(end)
                units += 1
            for subject in known:
                units += self._move(subject, end)
            for key in group:
                if key not in self._subject_of:
                    assert owner is not None
                    self._subject_of[key] = owner
                    owner.keys.append(key)
                    self._dirty_subjects[owner.number] = owner
        self._seen.update(groups)
        if anonymous:
            self._add_anonymous(end, anonymous)
        self._count(now, units)
        return self.windows.windows[-1].total - before

    def change(self, now: float, *, reserves: bool = True) -> TallyChange | None:
        """Return what to keep, and consider it under way; None: nothing."""
        taken = super().change(now, reserves=reserves)
        if taken is None:
            return None
        taken.forgets_subjects, self._forgets = self._forgets, False
        taken.subjects = [
            SavedSubject(one.number, one.last, tuple(one.keys))
            for one in self._dirty_subjects.values()
        ]
        taken.gone_subjects = self._gone_subjects
        self._dirty_subjects, self._gone_subjects = {}, []
        return taken

    def not_saved(self, change: TallyChange) -> None:
        """What was under way could not be kept: it is tried again with the next."""
        super().not_saved(change)
        self._gone_subjects += change.gone_subjects
        self._forgets |= change.forgets_subjects
        for saved in change.subjects:
            subject = self._steps.get(saved.last, {}).get(saved.number)
            if subject is not None:
                self._dirty_subjects[subject.number] = subject

    def compact(self) -> None:
        """Keep only how many subjects there were, and when: whoever comes again costs anew."""
        for end, subjects in self._steps.items():
            if subjects:
                self._anonymous[end] = self._anonymous.get(end, 0) + len(subjects)
                self._dirty.add(end)
        self._subject_of, self._steps, self.size = {}, {}, 0
        self._seen, self._seen_end = self._new_seen(), 0
        self._dirty_subjects, self._gone_subjects = {}, []
        self._forgets = True

    def restore(self, saved: SavedTally, now: float) -> None:
        """Take what was kept; what was reserved counts as received now."""
        anonymous = dict(saved.amounts)
        by_end: dict[int, list[SavedSubject]] = {}
        for one in saved.subjects:
            by_end.setdefault(one.last, []).append(one)
        for end in sorted(anonymous.keys() | by_end.keys()):
            if end in anonymous:
                self._anonymous[end] = anonymous[end]
            subjects = by_end.get(end, ())
            self.windows.add(end, anonymous.get(end, 0) + len(subjects))
            step = self._steps.setdefault(end, {})
            for one in subjects:
                subject = step[one.number] = _Subject(one.number, end)
                subject.keys = list(one.keys)
                self._subject_of.update(dict.fromkeys(one.keys, subject))
                self._next = max(self._next, one.number)
        self.size = len(saved.subjects)
        if saved.reserved:
            self.charge((), saved.reserved, now)
        self._reserved = saved.reserved
        self.advance(now)

    def _amount(self, end: int) -> int:
        return self._anonymous.get(end, 0)

    def _charge_single(self, groups: Sequence[Group], end: int) -> int:
        """Charge groups of one key each, which is one of a known subject or of a new one."""
        subject_of, dirty = self._subject_of, self._dirty_subjects
        step = self._steps.setdefault(end, {})
        first = number = self._next
        units = 0
        for (key,) in groups:
            subject = subject_of.get(key)
            if subject is None:
                number += 1
                subject = _Subject(number, end)
                subject.keys.append(key)
                subject_of[key] = step[number] = dirty[number] = subject
            elif subject.last != end:
                units += self._move(subject, end)
        added, self._next = number - first, number
        if added:
            self.windows.add(end, added)
            self.size += added
        return units + added

    def _add(self, end: int) -> _Subject:
        self._next += 1
        subject = _Subject(self._next, end)
        self.windows.add(end, 1)
        self._steps.setdefault(end, {})[subject.number] = subject
        self._dirty_subjects[subject.number] = subject
        self.size += 1
        return subject

    def _move(self, subject: _Subject, end: int) -> int:
        if subject.last == end:
            return 0
        self.windows.move(subject.last, end)
        del self._steps[subject.last][subject.number]
        subject.last = end
        self._steps.setdefault(end, {})[subject.number] = subject
        self._dirty_subjects[subject.number] = subject
        return 1

    def _add_anonymous(self, end: int, amount: int) -> None:
        self.windows.add(end, amount)
        self._anonymous[end] = self._anonymous.get(end, 0) + amount
        self._dirty.add(end)

    def _forget(self, subject: _Subject) -> None:
        self.size -= 1
        for key in subject.keys:
            del self._subject_of[key]
        self._gone_subjects.append(subject.number)
        self._dirty_subjects.pop(subject.number, None)

    def _subjects_of(self, group: Group) -> list[_Subject]:
        return [self._subject_of[key] for key in group if key in self._subject_of]

    def _is_fresh(self, group: Group) -> bool:
        known = self._subjects_of(group)
        if not known or len(known) == len(group):
            return not known
        return not any(self._is_within(subject, group) for subject in known)

    @staticmethod
    def _is_within(subject: _Subject, group: Group) -> bool:
        return all(key in group for key in subject.keys)


def reservation_of(limits: Iterable[int]) -> int:
    """Return how much to reserve ahead under these limits: what a kill may cost at most."""
    return max(1, min(limits) // _RESERVED_PART)
