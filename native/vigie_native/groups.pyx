# cython: language_level=3, boundscheck=False, initializedcheck=False
"""Groups of keys, packed, and ``SeenGroups`` of ``proxy.meter.seen``, its specification."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    LEAST_SLOTS = 64
    AHEAD = 8


cdef extern from *:
    """
    #if defined(__GNUC__)
    #define vigie_prefetch(at) __builtin_prefetch(at)
    #else
    #define vigie_prefetch(at) ((void)(at))
    #endif
    """
    void prefetch "vigie_prefetch"(const void* at) nogil


cdef void* _resized(void* block, size_t size) except NULL:
    cdef void* found = PyMem_Realloc(block, size)
    if found is NULL:
        raise MemoryError
    return found


cdef class Groups:
    """Groups of keys, packed; as a collection, tuples of digests."""

    def __dealloc__(self):
        PyMem_Free(self.digests)
        PyMem_Free(self.sizes)

    def __len__(self):
        return self.count

    def __iter__(self):
        cdef Py_ssize_t at = 0, i
        for i in range(self.count):
            yield _tuple(self.digests + DIGEST * at, self.sizes[i])
            at += self.sizes[i]

    cdef u8* new_key(self) except NULL:
        """Return where the digest of one more key goes."""
        if self.keys == self._room_keys:
            self._room_keys = max(16, 2 * self._room_keys)
            self.digests = <u8*>_resized(self.digests, self._room_keys * DIGEST)
        self.keys += 1
        return self.digests + DIGEST * (self.keys - 1)

    cdef int end_group(self, int size) except -1:
        """The last ``size`` keys are one group."""
        if self.count == self._room_groups:
            self._room_groups = max(16, 2 * self._room_groups)
            self.sizes = <int*>_resized(self.sizes, self._room_groups * sizeof(int))
        self.sizes[self.count] = size
        self.count += 1
        return 0


cdef Groups _packed(object groups):
    cdef Groups packed
    cdef u8* to
    cdef Py_ssize_t size
    if isinstance(groups, Groups):
        return <Groups>groups
    packed = Groups()
    for group in groups:
        for key in group:
            size = PyBytes_GET_SIZE(<bytes?>key)
            if size > DIGEST:
                raise ValueError(f"a key has {size} bytes, expected at most {DIGEST}")
            to = packed.new_key()
            memset(to, 0, DIGEST)
            memcpy(to, PyBytes_AS_STRING(key), size)
        packed.end_group(len(group))
    return packed


cdef tuple _tuple(const u8* digests, int size):
    cdef int i
    if size == 1:
        return (PyBytes_FromStringAndSize(<char*>digests, DIGEST),)
    return tuple(
        [PyBytes_FromStringAndSize(<char*>digests + DIGEST * i, DIGEST) for i in range(size)]
    )


cdef struct Mark:
    uint64_t low  # never 0
    uint64_t high


cdef inline uint64_t _turned(uint64_t word, int bits) noexcept nogil:
    return (word << bits) | (word >> (64 - bits))


cdef inline Mark _mark(const u8* digests, int size) noexcept nogil:
    """Return 16 bytes that stand for a group: its keys are hashes that nobody can choose."""
    cdef Mark mark
    cdef uint64_t low, high
    cdef int i
    mark.low = mark.high = size
    for i in range(size):
        memcpy(&low, digests + DIGEST * i, 8)
        memcpy(&high, digests + DIGEST * i + 4, 8)
        mark.low = _turned(mark.low, 23) * 0x9E3779B97F4A7C15ULL + low
        mark.high = _turned(mark.high, 41) * 0xC2B2AE3D27D4EB4FULL + high
    if mark.low == 0:
        mark.low = 1
    return mark


cdef inline uint64_t _hash(Mark mark) noexcept nogil:
    return mark.low ^ mark.high


cdef class SeenGroups:
    """See ``proxy.meter.seen.SeenGroups``. Keys of more than 12 bytes are a ValueError."""

    most = 1 << 18

    cdef Mark* _slots
    cdef Py_ssize_t _mask, _count

    def __cinit__(self):
        self._mask = LEAST_SLOTS - 1
        self._slots = <Mark*>_resized(NULL, LEAST_SLOTS * sizeof(Mark))
        memset(self._slots, 0, LEAST_SLOTS * sizeof(Mark))

    def __dealloc__(self):
        PyMem_Free(self._slots)

    def __len__(self):
        return self._count

    def unseen(self, groups):
        """Return the groups that were not added, each once."""
        cdef Groups packed = _packed(groups)
        cdef const u8* digests = packed.digests
        cdef Py_ssize_t i
        found = []
        for i in range(packed.count):
            if i + AHEAD < packed.keys:  # what is not in the cache by now will be
                self._fetch(packed.digests + DIGEST * (i + AHEAD))
            if not self._holds(_mark(digests, packed.sizes[i])):
                found.append(_tuple(digests, packed.sizes[i]))
            digests += DIGEST * packed.sizes[i]
        return list(dict.fromkeys(found)) if len(found) > 1 else found

    def update(self, groups):
        """Add groups."""
        cdef Groups packed = _packed(groups)
        cdef const u8* digests = packed.digests
        cdef Py_ssize_t i
        cdef Mark mark
        for i in range(packed.count):
            mark = _mark(digests, packed.sizes[i])
            if not self._holds(mark):
                if 2 * (self._count + 1) > self._mask:
                    self._grow()
                self._place(mark)
                self._count += 1
            digests += DIGEST * packed.sizes[i]

    cdef inline void _fetch(self, const u8* digest) noexcept:
        cdef Mark mark = _mark(digest, 1)
        prefetch(&self._slots[_hash(mark) & self._mask])

    cdef bint _holds(self, Mark mark) noexcept:
        cdef Py_ssize_t slot = _hash(mark) & self._mask
        while self._slots[slot].low:
            if self._slots[slot].low == mark.low and self._slots[slot].high == mark.high:
                return True
            slot = (slot + 1) & self._mask
        return False

    cdef void _place(self, Mark mark) noexcept:
        cdef Py_ssize_t slot = _hash(mark) & self._mask
        while self._slots[slot].low:
            slot = (slot + 1) & self._mask
        self._slots[slot] = mark

    cdef int _grow(self) except -1:
        cdef Py_ssize_t slots = self._mask + 1, i
        cdef Mark* before = self._slots
        self._slots = <Mark*>_resized(NULL, 2 * slots * sizeof(Mark))
        self._mask = 2 * slots - 1
        memset(self._slots, 0, 2 * slots * sizeof(Mark))
        for i in range(slots):
            if before[i].low:
                self._place(before[i])
        PyMem_Free(before)
        return 0
