"""Subjects known by their keys, each with the step in which it was last disclosed.

A subject may have several keys (id, NIR): keys seen together in one charge belong to one subject.
But not all keys are of one subject only (a child may bear the NIR of a parent), so a group with a
key that was not seen before is of a known subject only if it holds all keys of that subject. Two
that were counted apart stay two.

A *page* is how subjects are kept: those last disclosed in one step, each as its number (4 bytes,
little endian), how many keys it has (1 byte), and its keys (12 bytes each). Of several pages that
have a subject the last one is right.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from proxy.meter.keys import HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

Group = tuple[bytes, ...]  # the keys of one subject, hashed
Page = tuple[int, bytes]  # end of the step, its subjects

_HEAD: Final = struct.Struct("<IB")
_SUBJECT_BYTES: Final = 500  # in memory, about


class _Subject:
    __slots__ = ("keys", "last", "number")

    def __init__(self, number: int, last: int) -> None:
        self.number = number
        self.last = last
        self.keys: list[bytes] = []


class Subjects:
    """A set of subjects; the compiled kernel has one that takes packed groups as they are.

    ``counts``: end of a step -> how many were last disclosed in it.
    """

    def __init__(self) -> None:
        self._by_key: dict[bytes, _Subject] = {}
        self._steps: dict[int, dict[int, _Subject]] = {}
        self._changed: dict[int, _Subject] = {}
        self._next = 0

    def __len__(self) -> int:
        return sum(map(len, self._steps.values()))

    @property
    def counts(self) -> dict[int, int]:
        """How many there are in each step."""
        return {end: len(step) for end, step in self._steps.items()}

    @property
    def memory_bytes(self) -> int:
        """How much memory they take, about."""
        return _SUBJECT_BYTES * (1 + len(self))

    @property
    def is_changed(self) -> bool:
        """Whether some have to be kept."""
        return bool(self._changed)

    @staticmethod
    def most(groups: Collection[Group]) -> int:
        """Return what ``costs`` cannot exceed for these groups, which is faster to have."""
        return len(groups) + sum(map(len, groups))

    def unseen(self, groups: Collection[Group], end: int) -> Collection[Group]:
        """Return the groups for which a charge in this step would change something.

        Each once; where there are many, one may come more often.
        """
        return [one for one in dict.fromkeys(groups) if not self._is_seen(one, end)]

    def costs(self, groups: Collection[Group], edges: Sequence[float]) -> list[int]:
        """Return what a charge would add to each window, or more if groups share keys.

        Args:
            groups: at least one key each.
            edges: of windows; who was last disclosed there or before has left the window.
        """
        known = self._by_key
        if len(groups) == 1:
            fresh = sum(map(self._is_fresh, groups))
        else:
            # one of them may make another fresh, but none of which every key is known
            fresh = sum(any(key not in known for key in group) for group in groups)
        moved = {id(one): one for group in groups for key in group if (one := known.get(key))}
        return [fresh + sum(one.last <= edge for one in moved.values()) for edge in edges]

    def charge(self, groups: Collection[Group], end: int) -> tuple[int, dict[int, int]]:
        """Add subjects and refresh known ones, in a step that is not older than any other.

        Return how many are new, and from which steps how many came.
        """
        moved: dict[int, int] = {}
        added = 0
        for group in groups:
            known = [self._by_key[key] for key in group if key in self._by_key]
            owner = next((one for one in known if set(one.keys) <= set(group)), None)
            if self._is_fresh(group):
                owner = self._add(end)
                added += 1
            for subject in known:
                if subject.last != end:
                    moved[subject.last] = moved.get(subject.last, 0) + 1
                    self._move(subject, end)
            for key in group:
                if key not in self._by_key:
                    assert owner is not None
                    self._by_key[key] = owner
                    owner.keys.append(key)
                    self._changed[owner.number] = owner
        return added, moved

    def forget(self, end: int) -> None:
        """Let go those that were last disclosed in this step."""
        for subject in self._steps.pop(end, {}).values():
            for key in subject.keys:
                del self._by_key[key]
            self._changed.pop(subject.number, None)

    def merge(self, old: int, end: int) -> None:
        """Let those of a step count in a later one, which has to be kept."""
        for number, subject in self._steps.pop(old, {}).items():
            subject.last = end
            self._steps.setdefault(end, {})[number] = subject
            self._changed[number] = subject

    def take_pages(self, *, everything: bool) -> list[Page]:
        """Return what has to be kept, and consider it kept.

        ``everything``: all subjects, instead of those that have changed.
        """
        changed = self._changed
        if everything:
            changed = {number: one for step in self._steps.values() for number, one in step.items()}
        pages: dict[int, bytearray] = {}
        for one in changed.values():
            keys = b"".join(key.ljust(HASH_BYTES, b"\0") for key in one.keys)
            page = pages.setdefault(one.last, bytearray())
            page += write_page(one.number, keys)
        self._changed = {}
        return [(end, bytes(pages[end])) for end in sorted(pages)]

    def mark(self, pages: Iterable[Page]) -> None:
        """What was on these pages has to be kept after all."""
        numbers = {number for _, page in pages for number, _ in _read(page)}
        for step in self._steps.values():
            self._changed |= {number: step[number] for number in numbers & step.keys()}

    def restore(self, pages: Iterable[Page]) -> bool:
        """Take subjects from pages, the oldest first; there are none yet.

        Return whether they were numbered anew, so that everything has to be kept again.

        Errors: ``ValueError`` if a page is damaged.
        """
        latest: dict[int, tuple[int, list[bytes]]] = {}
        for end, page in pages:
            latest |= {number: (end, keys) for number, keys in _read(page)}
        for number, (end, keys) in latest.items():
            subject = self._steps.setdefault(end, {})[number] = _Subject(number, end)
            subject.keys = keys
            if not self._by_key.keys().isdisjoint(keys):
                raise ValueError("a key is of two subjects")
            self._by_key.update(dict.fromkeys(keys, subject))
        self._next = max(latest, default=0)
        return False

    def _is_seen(self, group: Group, end: int) -> bool:
        found = (self._by_key.get(key) for key in group)
        return all(one is not None and one.last == end for one in found)

    def _is_fresh(self, group: Group) -> bool:
        known = [self._by_key[key] for key in group if key in self._by_key]
        if not known or len(known) == len(group):
            return not known
        return not any(set(one.keys) <= set(group) for one in known)

    def _add(self, end: int) -> _Subject:
        self._next += 1
        subject = _Subject(self._next, end)
        self._steps.setdefault(end, {})[subject.number] = subject
        self._changed[subject.number] = subject
        return subject

    def _move(self, subject: _Subject, end: int) -> None:
        del self._steps[subject.last][subject.number]
        subject.last = end
        self._steps.setdefault(end, {})[subject.number] = subject
        self._changed[subject.number] = subject


def write_page(number: int, keys: bytes) -> bytes:
    """Return a page with one subject; ``keys``: one after the other."""
    return _HEAD.pack(number, len(keys) // HASH_BYTES) + keys


def count_subjects(pages: Iterable[Page]) -> int:
    """Return how many subjects there are on pages. Errors: ``ValueError`` if one is damaged."""
    return len({number for _, page in pages for number, _ in _read(page)})


def _read(page: bytes) -> Iterable[tuple[int, list[bytes]]]:
    """Yield number and keys of each subject of a page. Errors: ValueError."""
    at = 0
    while at < len(page):
        try:
            number, count = _HEAD.unpack_from(page, at)
        except struct.error:
            raise ValueError("a page of subjects is damaged") from None
        at += _HEAD.size
        keys = [
            page[one : one + HASH_BYTES] for one in range(at, at + HASH_BYTES * count, HASH_BYTES)
        ]
        at += HASH_BYTES * count
        if at > len(page) or not number:
            raise ValueError("a page of subjects is damaged")
        yield number, keys
