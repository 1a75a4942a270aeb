# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Subjects known by their keys, packed: ``Subjects`` of ``proxy.meter.subjects`` is its specification.

A key is a record of 32 bytes in one array; the first of a subject is the subject, and its place is
the subject's number. A table of places finds records by key; subjects last disclosed in one step
are a list of their own. About 43 bytes for a subject with one key.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove, memset

from vigie_native.groups cimport DIGEST, Groups, packed_groups, resized

ctypedef unsigned char u8

cdef enum:
    LEAST_SLOTS = 8
    AHEAD = 8  # groups whose slots are fetched before they are needed
    NEAR = 4  # ... whose records are
    CHANGED = 1
    OWNED = 2  # a further key: ``last`` is the place of its subject
    MANY = 32  # groups, from which on one is not looked for among those before
    HEAD = 5  # of a record on a page: number and count of keys


cdef extern from *:
    """
    #if defined(__GNUC__)
    #define vigie_fetch(at) __builtin_prefetch(at)
    #else
    #define vigie_fetch(at) ((void)(at))
    #endif
    """
    void fetch "vigie_fetch"(const void* at) nogil


cdef struct Record:
    u8 key[12]
    uint32_t last  # the subject's step; of a further key, the subject
    uint32_t next  # in the step's list; of a free record, the next free one
    uint32_t before
    uint32_t more  # the next key of the subject
    uint32_t flags


cdef struct Step:
    uint32_t end
    uint32_t first  # of the subjects last disclosed in it
    Py_ssize_t count


cdef inline uint64_t _hash(const u8* key) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, key, 8)  # keys are hashes that nobody can choose
    return word


cdef class Moved:
    """From which steps how many came."""

    cdef uint32_t _old
    cdef Py_ssize_t _count
    cdef dict _others

    cdef int add(self, uint32_t old) except -1:
        if old != self._old:
            self._put()
            self._old = old
        self._count += 1
        return 0

    cdef int _put(self) except -1:
        if self._count:
            if self._others is None:
                self._others = {}
            self._others[self._old] = self._others.get(self._old, 0) + self._count
        self._count = 0
        return 0

    cdef dict told(self):
        self._put()
        return self._others or {}


cdef class Subjects:
    """See ``proxy.meter.subjects.Subjects``."""

    cdef Record* _records  # from 1 on
    cdef uint32_t* _slots
    cdef uint32_t* _changed
    cdef Py_ssize_t _mask, _room, _used, _keys, _count, _changed_room, _changed_count
    cdef uint32_t _free
    cdef Step* _steps  # the oldest first
    cdef Py_ssize_t _step_room, _step_count, _step_found

    def __cinit__(self):
        self._room = 4
        self._used = 1
        self._records = <Record*>resized(NULL, self._room * sizeof(Record))
        self._mask = LEAST_SLOTS - 1
        self._slots = <uint32_t*>resized(NULL, LEAST_SLOTS * sizeof(uint32_t))
        memset(self._slots, 0, LEAST_SLOTS * sizeof(uint32_t))

    def __dealloc__(self):
        PyMem_Free(self._records)
        PyMem_Free(self._slots)
        PyMem_Free(self._changed)
        PyMem_Free(self._steps)

    def __len__(self):
        return self._count

    @property
    def memory_bytes(self):
        """See the specification."""
        return (
            self._room * sizeof(Record)
            + (self._mask + 1) * sizeof(uint32_t)
            + self._changed_room * sizeof(uint32_t)
            + self._step_room * sizeof(Step)
            + 200
        )

    @property
    def counts(self):
        """See the specification."""
        return {self._steps[i].end: self._steps[i].count for i in range(self._step_count)}

    @property
    def is_changed(self):
        """See the specification."""
        return self._changed_count > 0

    # finding

    cdef uint32_t _find(self, const u8* key) noexcept:
        """Return the place of a key's record; 0: it is not known."""
        cdef Py_ssize_t slot = _hash(key) & self._mask
        cdef uint32_t place
        while True:
            place = self._slots[slot]
            if not place or memcmp(self._records[place].key, key, DIGEST) == 0:
                return place
            slot = (slot + 1) & self._mask

    cdef inline uint32_t _subject(self, uint32_t place) noexcept:
        if self._records[place].flags & OWNED:
            return self._records[place].last
        return place

    cdef inline void _fetch(self, Groups groups, Py_ssize_t key) noexcept:
        """What is not in the processor's cache by now will be when it is needed."""
        if key + AHEAD < groups.keys:
            fetch(&self._slots[_hash(groups.digests + DIGEST * (key + AHEAD)) & self._mask])
        if key + NEAR < groups.keys:
            fetch(&self._records[
                self._slots[_hash(groups.digests + DIGEST * (key + NEAR)) & self._mask]
            ])

    @staticmethod
    def most(groups):
        """See the specification."""
        cdef Groups packed = packed_groups(groups)
        return packed.count + packed.keys

    def unseen(self, groups, uint32_t end):
        """See the specification."""
        cdef Groups packed = packed_groups(groups), found = None
        cdef const u8* digests = packed.digests
        cdef Py_ssize_t i, key = 0
        cdef int size
        for i in range(packed.count):
            size = packed.sizes[i]
            self._fetch(packed, key)
            if not self._is_seen(digests, size, end):
                if found is None:
                    found = Groups()
                if found.count > MANY or not found.has(digests, size):
                    found.add(digests, size)
            digests += DIGEST * size
            key += size
        return () if found is None else found

    cdef bint _is_seen(self, const u8* digests, int size, uint32_t end) noexcept:
        cdef uint32_t place
        cdef int i
        for i in range(size):
            place = self._find(digests + DIGEST * i)
            if not place or self._records[self._subject(place)].last != end:
                return False
        return True

    def costs(self, groups, edges):
        """See the specification."""
        cdef Groups packed = packed_groups(groups)
        cdef const u8* digests = packed.digests
        cdef Py_ssize_t i, fresh = 0
        cdef int size, j, misses
        cdef uint32_t place
        cdef dict moved = {}
        for i in range(packed.count):
            size = packed.sizes[i]
            misses = 0
            for j in range(size):
                place = self._find(digests + DIGEST * j)
                if place:
                    place = self._subject(place)
                    moved[place] = self._records[place].last
                else:
                    misses = 1
            # one of several may make another fresh, but none of which every key is known
            fresh += misses if packed.count > 1 else self._is_fresh(digests, size)
            digests += DIGEST * size
        ends = list(moved.values())
        return [fresh + sum([end <= edge for end in ends]) for edge in edges]

    cdef bint _is_fresh(self, const u8* digests, int size) noexcept:
        """Whether a group is of a subject that is not known."""
        cdef uint32_t place
        cdef int i, known = 0
        for i in range(size):
            known += self._find(digests + DIGEST * i) != 0
        if not known or known == size:
            return not known
        for i in range(size):
            place = self._find(digests + DIGEST * i)
            if place and self._is_within(self._subject(place), digests, size):
                return False
        return True

    cdef bint _is_within(self, uint32_t subject, const u8* digests, int size) noexcept:
        """Whether a group holds all keys of a subject."""
        cdef uint32_t place = subject
        cdef int i
        while place:
            for i in range(size):
                if memcmp(self._records[place].key, digests + DIGEST * i, DIGEST) == 0:
                    break
            else:
                return False
            place = self._records[place].more
        return True

    # charging

    def charge(self, groups, uint32_t end):
        """See the specification."""
        cdef Groups packed = packed_groups(groups)
        cdef const u8* digests = packed.digests
        cdef Py_ssize_t i, key = 0, added = 0
        cdef int size
        cdef Moved moved = Moved()
        for i in range(packed.count):
            size = packed.sizes[i]
            self._fetch(packed, key)
            added += self._charge_group(digests, size, end, moved)
            digests += DIGEST * size
            key += size
        return added, moved.told()

    cdef int _charge_group(
        self, const u8* digests, int size, uint32_t end, Moved moved
    ) except -1:
        cdef uint32_t place, owner = 0
        cdef int i, added = 0
        if size == 1:
            place = self._find(digests)
            if not place:
                self._add(digests, end)
                return 1
            return self._move(self._subject(place), end, moved)
        for i in range(size):
            place = self._find(digests + DIGEST * i)
            if place and self._is_within(self._subject(place), digests, size):
                owner = self._subject(place)
                break
        if self._is_fresh(digests, size):
            for i in range(size):
                if not self._find(digests + DIGEST * i):
                    break
            self._move_known(digests, size, end, moved)
            owner = self._add(digests + DIGEST * i, end)
            added = 1
        else:
            self._move_known(digests, size, end, moved)
        for i in range(size):
            if not self._find(digests + DIGEST * i):
                self._add_key(owner, digests + DIGEST * i)
        return added

    cdef int _move_known(self, const u8* digests, int size, uint32_t end, Moved moved) except -1:
        cdef uint32_t place
        cdef int i
        for i in range(size):
            place = self._find(digests + DIGEST * i)
            if place:
                self._move(self._subject(place), end, moved)
        return 0

    cdef int _move(self, uint32_t subject, uint32_t end, Moved moved) except -1:
        cdef uint32_t old = self._records[subject].last
        if old == end:
            return 0
        self._leave(subject)
        self._enter(subject, end)
        self._mark(subject)
        return moved.add(old)

    cdef Py_ssize_t _step(self, uint32_t end) noexcept:
        """Return the index of a step, or of the first one after it."""
        cdef Py_ssize_t low = 0, high = self._step_count, middle
        if self._step_found < high and self._steps[self._step_found].end == end:
            return self._step_found
        if high and self._steps[high - 1].end == end:
            return high - 1
        while low < high:
            middle = (low + high) >> 1
            if self._steps[middle].end < end:
                low = middle + 1
            else:
                high = middle
        self._step_found = low
        return low

    cdef int _enter(self, uint32_t subject, uint32_t end) except -1:
        """Put a subject into a step."""
        cdef Py_ssize_t at = self._step(end)
        cdef Record* record = &self._records[subject]
        cdef Step* step
        if at == self._step_count or self._steps[at].end != end:
            self._new_step(at, end)
        step = &self._steps[at]
        record.last = end
        record.before = 0
        record.next = step.first
        if step.first:
            self._records[step.first].before = subject
        step.first = subject
        step.count += 1
        return 0

    cdef int _new_step(self, Py_ssize_t at, uint32_t end) except -1:
        if self._step_count == self._step_room:
            self._step_room = 2 * self._step_room or 2
            self._steps = <Step*>resized(self._steps, self._step_room * sizeof(Step))
        memmove(&self._steps[at + 1], &self._steps[at], (self._step_count - at) * sizeof(Step))
        self._steps[at].end = end
        self._steps[at].first = 0
        self._steps[at].count = 0
        self._step_count += 1
        return 0

    cdef int _leave(self, uint32_t subject) except -1:
        cdef Record* record = &self._records[subject]
        cdef Step* step = &self._steps[self._step(record.last)]
        if record.before:
            self._records[record.before].next = record.next
        else:
            step.first = record.next
        if record.next:
            self._records[record.next].before = record.before
        step.count -= 1
        return 0

    cdef uint32_t _add(self, const u8* key, uint32_t end) except 0:
        cdef uint32_t subject = self._new_record(key)
        self._count += 1
        self._enter(subject, end)
        self._mark(subject)
        return subject

    cdef int _add_key(self, uint32_t subject, const u8* key) except -1:
        cdef uint32_t place = self._new_record(key)
        self._records[place].flags = OWNED
        self._records[place].last = subject
        self._records[place].more = self._records[subject].more
        self._records[subject].more = place
        self._mark(subject)
        return 0

    cdef uint32_t _new_record(self, const u8* key) except 0:
        cdef uint32_t place = self._free
        if place:
            self._free = self._records[place].next
        else:
            place = self._new_place()
        return self._fill(place, key)

    cdef uint32_t _new_place(self) except 0:
        if self._used == self._room:
            if self._room > 0xF0000000u:
                raise MemoryError
            self._room += self._room >> 1 or 1
            self._records = <Record*>resized(self._records, self._room * sizeof(Record))
        self._used += 1
        return self._used - 1

    cdef uint32_t _fill(self, uint32_t place, const u8* key) except 0:
        memset(&self._records[place], 0, sizeof(Record))
        memcpy(self._records[place].key, key, DIGEST)
        self._keys += 1
        if 2 * self._keys > self._mask:
            self._spread(2 * (self._mask + 1))
        self._place(place)
        return place

    cdef void _place(self, uint32_t place) noexcept:
        cdef Py_ssize_t slot = _hash(self._records[place].key) & self._mask
        while self._slots[slot]:
            slot = (slot + 1) & self._mask
        self._slots[slot] = place

    cdef int _spread(self, Py_ssize_t slots) except -1:
        """Place every key anew, among so many slots."""
        cdef uint32_t* before = self._slots
        cdef Py_ssize_t i, had = self._mask + 1
        self._slots = <uint32_t*>resized(NULL, slots * sizeof(uint32_t))
        memset(self._slots, 0, slots * sizeof(uint32_t))
        self._mask = slots - 1
        for i in range(had):
            if before[i]:
                self._place(before[i])
        PyMem_Free(before)
        return 0

    # forgetting

    def forget(self, uint32_t end):
        """See the specification."""
        cdef Py_ssize_t at = self._step(end)
        cdef uint32_t subject, next_one, place, more
        if at == self._step_count or self._steps[at].end != end:
            return
        subject = self._steps[at].first
        self._step_count -= 1
        memmove(&self._steps[at], &self._steps[at + 1], (self._step_count - at) * sizeof(Step))
        while subject:
            next_one = self._records[subject].next
            place = subject
            while place:
                more = self._records[place].more
                self._remove(self._records[place].key)
                self._records[place].flags = OWNED  # of nobody: no subject is here
                self._records[place].last = 0
                self._records[place].next = self._free
                self._free = place
                place = more
            self._count -= 1
            subject = next_one
        if not self._count:
            self._begin_anew()

    cdef int _begin_anew(self) except -1:
        """Give memory back of what is empty."""
        self._records = <Record*>resized(self._records, 4 * sizeof(Record))
        self._slots = <uint32_t*>resized(self._slots, LEAST_SLOTS * sizeof(uint32_t))
        memset(self._slots, 0, LEAST_SLOTS * sizeof(uint32_t))
        self._room, self._used, self._mask = 4, 1, LEAST_SLOTS - 1
        self._keys = self._free = 0
        PyMem_Free(self._changed)
        self._changed = NULL
        self._changed_room = self._changed_count = 0
        return 0

    cdef void _remove(self, const u8* key) noexcept:
        """Take a key out of the slots; those behind it move up."""
        cdef Py_ssize_t slot = _hash(key) & self._mask, gap, home
        while memcmp(self._records[self._slots[slot]].key, key, DIGEST) != 0:
            slot = (slot + 1) & self._mask
        gap = slot
        while True:
            slot = (slot + 1) & self._mask
            if not self._slots[slot]:
                break
            home = _hash(self._records[self._slots[slot]].key) & self._mask
            if ((slot - home) & self._mask) >= ((slot - gap) & self._mask):
                self._slots[gap] = self._slots[slot]
                gap = slot
        self._slots[gap] = 0
        self._keys -= 1

    def merge(self, uint32_t old, uint32_t end):
        """See the specification."""
        cdef Py_ssize_t at = self._step(old), count
        cdef uint32_t first, subject, tail = 0
        cdef Step* step
        if at == self._step_count or self._steps[at].end != old:
            return
        first, count = self._steps[at].first, self._steps[at].count
        self._step_count -= 1
        memmove(&self._steps[at], &self._steps[at + 1], (self._step_count - at) * sizeof(Step))
        subject = first
        while subject:
            self._records[subject].last = end
            self._mark(subject)
            tail = subject
            subject = self._records[subject].next
        at = self._step(end)
        if at == self._step_count or self._steps[at].end != end:
            self._new_step(at, end)
        step = &self._steps[at]
        if tail:
            self._records[tail].next = step.first
            if step.first:
                self._records[step.first].before = tail
            step.first = first
        step.count += count

    # keeping

    cdef int _mark(self, uint32_t subject) except -1:
        """Note that a subject has to be kept."""
        if self._records[subject].flags & CHANGED:
            return 0
        if self._changed_count == self._changed_room:
            self._changed_room = max(4, 2 * self._changed_room)
            self._changed = <uint32_t*>resized(
                self._changed, self._changed_room * sizeof(uint32_t)
            )
        self._records[subject].flags |= CHANGED
        self._changed[self._changed_count] = subject
        self._changed_count += 1
        return 0

    def take_pages(self, everything):
        """See the specification."""
        cdef Py_ssize_t i
        cdef uint32_t subject
        cdef dict pages
        if everything:
            for i in range(self._step_count):
                subject = self._steps[i].first
                while subject:
                    self._mark(subject)
                    subject = self._records[subject].next
        pages = self._pages_of_changed()
        self._changed_count = 0
        if self._changed_room > 4096:
            self._changed = <uint32_t*>resized(self._changed, 4 * sizeof(uint32_t))
            self._changed_room = 4
        return [(end, bytes(pages[end])) for end in sorted(pages)]

    cdef dict _pages_of_changed(self):
        cdef Py_ssize_t i
        cdef uint32_t subject, end = 0
        cdef dict pages = {}
        cdef bytearray page = None
        for i in range(self._changed_count):
            subject = self._changed[i]
            if not self._records[subject].flags & CHANGED:
                continue  # it was forgotten since
            self._records[subject].flags &= ~CHANGED
            if page is None or self._records[subject].last != end:
                end = self._records[subject].last
                page = pages.setdefault(end, bytearray())
            self._write(page, subject)
        return pages

    cdef int _write(self, bytearray page, uint32_t subject) except -1:
        cdef uint32_t place = subject
        cdef u8 head[5]
        cdef int count = 0
        while place:
            count += 1
            place = self._records[place].more
        if count > 255:
            raise OverflowError("a subject has more than 255 keys")
        memcpy(head, &subject, 4)
        head[4] = count
        page += (<char*>head)[:HEAD]
        place = subject
        while place:
            page += (<char*>self._records[place].key)[:DIGEST]
            place = self._records[place].more
        return 0

    def mark(self, pages):
        """See the specification."""
        cdef uint32_t subject
        cdef Py_ssize_t at
        cdef bytes page
        for end, page in pages:
            at = 0
            while at < PyBytes_GET_SIZE(page):
                memcpy(&subject, PyBytes_AS_STRING(page) + at, 4)
                at += HEAD + DIGEST * <u8>PyBytes_AS_STRING(page)[at + 4]
                if subject < self._used and not self._records[subject].flags & OWNED:
                    self._mark(subject)

    def restore(self, pages):
        """See the specification."""
        cdef list kept = list(pages)
        cdef Py_ssize_t total = 0
        cdef uint32_t highest = 0
        cdef bint renumbers
        if self._used != 1:
            raise ValueError("subjects are restored when there are none yet")
        for _, page in kept:
            total += _measured(page, &highest)
        renumbers = highest > 2 * total + 64
        if renumbers:
            kept, highest = _renumbered(kept)
        self._restore(kept, highest)
        return renumbers

    cdef int _restore(self, list kept, Py_ssize_t highest) except -1:
        cdef Py_ssize_t at, ahead
        cdef uint32_t place, end
        cdef bytes page
        cdef const u8* key
        cdef Py_ssize_t slots = self._mask + 1
        while slots < 2 * (highest + 1):
            slots *= 2
        self._spread(slots)  # once, while it is empty
        self._room = self._used = highest + 1
        self._records = <Record*>resized(self._records, self._room * sizeof(Record))
        for place in range(1, <uint32_t>self._used):
            self._records[place].flags = OWNED  # no subject is here yet
            self._records[place].last = 0
        for end, page in kept:
            at = 0
            while at < PyBytes_GET_SIZE(page):
                ahead = at + AHEAD * (HEAD + DIGEST) + HEAD  # a key, if all subjects have one
                if ahead + DIGEST <= PyBytes_GET_SIZE(page):
                    key = <const u8*>PyBytes_AS_STRING(page) + ahead
                    fetch(&self._slots[_hash(key) & self._mask])
                at += self._read(<const u8*>PyBytes_AS_STRING(page) + at, end)
        for place in range(<uint32_t>highest, 0, -1):
            if self._records[place].flags & OWNED and not self._records[place].last:
                self._records[place].next = self._free
                self._free = place
        return 0

    cdef Py_ssize_t _read(self, const u8* head, uint32_t end) except -1:
        """Take the subject that is written there; what a page before said of it is no more."""
        cdef uint32_t number, place
        cdef int i, count = head[4]
        memcpy(&number, head, 4)
        if not self._records[number].flags & OWNED:
            self._drop(number)
        for i in range(count):
            if self._find(head + HEAD + DIGEST * i):
                raise ValueError("a key is of two subjects")
            if i:
                self._add_key(number, head + HEAD + DIGEST * i)
                continue
            self._fill(number, head + HEAD)
            self._count += 1
            self._enter(number, end)
            self._records[number].flags |= CHANGED  # until all of it is read
        self._records[number].flags &= ~CHANGED
        return HEAD + DIGEST * count

    cdef int _drop(self, uint32_t subject) except -1:
        cdef uint32_t place, more
        self._leave(subject)
        self._remove(self._records[subject].key)
        place = self._records[subject].more
        while place:
            more = self._records[place].more
            self._remove(self._records[place].key)
            self._records[place].next = self._free
            self._free = place
            place = more
        self._records[subject].flags = OWNED
        self._records[subject].last = 0
        self._count -= 1
        return 0


cdef Py_ssize_t _measured(bytes page, uint32_t* highest) except -1:
    """Return how many subjects are on a page, and the highest number so far.

    Errors: ValueError if it is damaged.
    """
    cdef Py_ssize_t at = 0, size = PyBytes_GET_SIZE(page), count = 0
    cdef uint32_t number
    while at + HEAD <= size:
        memcpy(&number, PyBytes_AS_STRING(page) + at, 4)
        if number == 0:
            break
        highest[0] = max(highest[0], number)
        count += 1
        at += HEAD + DIGEST * <u8>PyBytes_AS_STRING(page)[at + 4]
    if at != size:
        raise ValueError("a page of subjects is damaged")
    return count


cdef tuple _renumbered(list kept):
    """Return pages of the same subjects numbered from 1, and the highest number."""
    cdef dict numbers = {}
    cdef bytearray copy
    cdef bytes page
    cdef uint32_t number
    cdef Py_ssize_t at
    cdef list made = []
    for end, page in kept:
        copy = bytearray(page)
        at = 0
        while at < len(copy):
            memcpy(&number, PyBytes_AS_STRING(page) + at, 4)
            number = numbers.setdefault(number, len(numbers) + 1)
            copy[at : at + 4] = (<char*>&number)[:4]
            at += HEAD + DIGEST * <int>copy[at + 4]
        made.append((end, bytes(copy)))
    return made, len(numbers)
