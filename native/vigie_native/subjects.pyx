# cython: language_level=3, boundscheck=False, initializedcheck=False
"""``SubjectWindow`` of ``proxy.meter.window``, which is its specification, as one hash table.

A key takes about 40 bytes here and some 400 there, and a charge a tenth of the time.
"""

from collections import deque

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy, memset

cdef enum:
    NONE = -1
    LEAST_SLOTS = 16
    AHEAD = 4


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


cdef inline uint64_t _hash(const u8* digest) noexcept nogil:
    # digests are uniform; the multiplication is for those of tests
    cdef uint64_t word
    memcpy(&word, digest, 8)
    word = word * 0x9E3779B97F4A7C15ULL
    return word ^ (word >> 32)


cdef class Groups:
    """Groups of keys, packed; as a collection, tuples of digests."""

    def __dealloc__(self):
        PyMem_Free(self.digests)
        PyMem_Free(self.sizes)

    def __len__(self):
        return self.count

    def __iter__(self):
        cdef Py_ssize_t at = 0, i
        cdef int j
        for i in range(self.count):
            group = []
            for j in range(self.sizes[i]):
                group.append(PyBytes_FromStringAndSize(<char*>self.digests + DIGEST * at, DIGEST))
                at += 1
            yield tuple(group)

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


cdef struct Key:
    u8 digest[DIGEST]
    int subject
    int following  # the next key of the subject; of one that is free, the next free one


cdef struct Subject:
    double last
    int older
    int newer
    int keys  # the first one; of one that is free, the next free one


cdef class SubjectWindow:
    """See ``proxy.meter.window.SubjectWindow``. Keys of more than 12 bytes are a ValueError."""

    cdef double _window
    cdef Key* _keys
    cdef Subject* _subjects
    cdef int* _slots  # hash -> key
    cdef Py_ssize_t _mask, _kept, _count
    cdef int _keys_used, _keys_room, _free_key
    cdef int _subjects_used, _subjects_room, _free_subject
    cdef int _oldest, _newest
    cdef int* _found  # of each key of the group in hand, the key here or NONE
    cdef int _found_room
    cdef object _anonymous
    cdef long long _anonymous_sum

    def __cinit__(self, double window_seconds):
        self._window = window_seconds
        self._free_key = self._free_subject = self._oldest = self._newest = NONE
        self._mask = LEAST_SLOTS - 1
        self._slots = <int*>_resized(NULL, LEAST_SLOTS * sizeof(int))
        memset(self._slots, 0xFF, LEAST_SLOTS * sizeof(int))
        self._anonymous = deque()

    def __dealloc__(self):
        PyMem_Free(self._keys)
        PyMem_Free(self._subjects)
        PyMem_Free(self._slots)
        PyMem_Free(self._found)

    @property
    def kept(self):
        """How many subjects, keys and charges without a key are kept."""
        return self._count, self._kept, len(self._anonymous)

    def usage(self, double now):
        """Return how many subjects were received within the window that ends now."""
        self._expire(now)
        return self._count + self._anonymous_sum

    def cost(self, groups, anonymous):
        """Return what a charge would add, or more if groups share keys, as of the last ``usage``."""
        cdef Groups packed = _packed(groups)
        cdef Py_ssize_t i, at = 0
        cdef bint alone = packed.count > 0
        for i in range(1, packed.count):
            at += packed.sizes[i - 1]
            if packed.sizes[i] != packed.sizes[0] or memcmp(
                packed.digests, packed.digests + DIGEST * at, DIGEST * packed.sizes[0]
            ):
                alone = False
                break
        if alone:
            self._look(packed.digests, packed.sizes[0])
            return self._is_fresh(packed.sizes[0]) + anonymous
        return self._new_groups(packed) + anonymous

    def charge(self, groups, anonymous, double now):
        """Add subjects; known ones are refreshed."""
        cdef Groups packed = _packed(groups)
        cdef Py_ssize_t i
        cdef const u8* digests = packed.digests
        for i in range(packed.count):
            if i + AHEAD < packed.keys:  # what is not in the cache by now will be
                self._fetch(packed.digests + DIGEST * (i + AHEAD))
            self._charge(digests, packed.sizes[i], now)
            digests += DIGEST * packed.sizes[i]
        if anonymous:
            if self._anonymous and self._anonymous[-1][0] == now:
                anonymous_before = self._anonymous.pop()[1]
                self._anonymous.append((now, anonymous_before + anonymous))
            else:
                self._anonymous.append((now, anonymous))
            self._anonymous_sum += anonymous

    cdef Py_ssize_t _new_groups(self, Groups packed) except -1:
        """Return how many distinct groups have a key that is not known."""
        cdef Py_ssize_t slots = LEAST_SLOTS, i, at, slot, new = 0
        cdef int j
        cdef const u8* digests = packed.digests
        cdef const u8* last
        cdef const u8** seen
        cdef int* sizes
        while slots < 2 * packed.count:
            slots *= 2
        seen = <const u8**>_resized(NULL, slots * sizeof(u8*))
        sizes = <int*>PyMem_Malloc(slots * sizeof(int))
        if sizes is NULL:
            PyMem_Free(seen)
            raise MemoryError
        memset(seen, 0, slots * sizeof(u8*))
        for i in range(packed.count):
            for j in range(packed.sizes[i]):
                if self._find(digests + DIGEST * j) != NONE:
                    continue
                last = digests + DIGEST * (packed.sizes[i] - 1)
                slot = (_hash(digests) + 31 * _hash(last)) & (slots - 1)
                while seen[slot] is not NULL and (
                    sizes[slot] != packed.sizes[i]
                    or memcmp(seen[slot], digests, DIGEST * packed.sizes[i])
                ):
                    slot = (slot + 1) & (slots - 1)
                if seen[slot] is NULL:
                    seen[slot] = digests
                    sizes[slot] = packed.sizes[i]
                    new += 1
                break
            digests += DIGEST * packed.sizes[i]
        PyMem_Free(seen)
        PyMem_Free(sizes)
        return new

    cdef int _charge(self, const u8* digests, int size, double now) except -1:
        cdef int i, owner = NONE, key, subject
        self._look(digests, size)
        if self._is_fresh(size):
            owner = self._new_subject()
        else:
            for i in range(size):
                if self._found[i] != NONE and self._is_within(self._keys[self._found[i]].subject, size):
                    owner = self._keys[self._found[i]].subject
                    break
        if owner != NONE and self._subjects[owner].keys == NONE:
            self._append(owner, now)
        for i in range(size):
            if self._found[i] != NONE:
                subject = self._keys[self._found[i]].subject
                if subject != self._newest or self._subjects[subject].last != now:
                    self._unlink(subject)
                    self._append(subject, now)
        for i in range(size):
            if self._found[i] == NONE and self._find(digests + DIGEST * i) == NONE:
                key = self._new_key(digests + DIGEST * i)
                self._keys[key].subject = owner
                self._keys[key].following = self._subjects[owner].keys
                self._subjects[owner].keys = key
        return 0

    cdef int _look(self, const u8* digests, int size) except -1:
        """Find each key of a group."""
        cdef int i
        if size > self._found_room:
            self._found = <int*>_resized(self._found, size * sizeof(int))
            self._found_room = size
        for i in range(size):
            self._found[i] = self._find(digests + DIGEST * i)
        return 0

    cdef bint _is_fresh(self, int size) noexcept:
        """Whether the group that was looked for is another subject than those known."""
        cdef int i, known = 0
        for i in range(size):
            known += self._found[i] != NONE
        if known == 0 or known == size:
            return known == 0
        for i in range(size):
            if self._found[i] != NONE and self._is_within(self._keys[self._found[i]].subject, size):
                return False
        return True

    cdef bint _is_within(self, int subject, int size) noexcept:
        """Whether the group that was looked for holds all keys of the subject."""
        cdef int key = self._subjects[subject].keys, i
        while key != NONE:
            for i in range(size):
                if self._found[i] == key:
                    break
            else:
                return False
            key = self._keys[key].following
        return True

    # the subjects, oldest disclosure first

    cdef int _expire(self, double now) except -1:
        cdef double edge = now - self._window
        cdef int subject, key, following
        while self._anonymous and self._anonymous[0][0] <= edge:
            self._anonymous_sum -= self._anonymous.popleft()[1]
        while self._oldest != NONE and self._subjects[self._oldest].last <= edge:
            subject = self._oldest
            self._unlink(subject)
            key = self._subjects[subject].keys
            while key != NONE:
                following = self._keys[key].following
                self._drop_key(key)
                key = following
            self._subjects[subject].keys = self._free_subject
            self._free_subject = subject
        return 0

    cdef int _new_subject(self) except -1:
        cdef int subject = self._free_subject
        if subject != NONE:
            self._free_subject = self._subjects[subject].keys
        else:
            if self._subjects_used == self._subjects_room:
                self._subjects_room = max(16, 2 * self._subjects_room)
                self._subjects = <Subject*>_resized(
                    self._subjects, self._subjects_room * sizeof(Subject)
                )
            subject = self._subjects_used
            self._subjects_used += 1
        self._subjects[subject].keys = NONE
        return subject

    cdef void _append(self, int subject, double now) noexcept:
        self._subjects[subject].last = now
        self._subjects[subject].older = self._newest
        self._subjects[subject].newer = NONE
        if self._newest == NONE:
            self._oldest = subject
        else:
            self._subjects[self._newest].newer = subject
        self._newest = subject
        self._count += 1

    cdef void _unlink(self, int subject) noexcept:
        cdef int older = self._subjects[subject].older, newer = self._subjects[subject].newer
        if older == NONE:
            self._oldest = newer
        else:
            self._subjects[older].newer = newer
        if newer == NONE:
            self._newest = older
        else:
            self._subjects[newer].older = older
        self._count -= 1

    # the keys, by open addressing

    cdef inline void _fetch(self, const u8* digest) noexcept:
        cdef int key = self._slots[_hash(digest) & self._mask]
        if key != NONE:
            prefetch(&self._keys[key])

    cdef int _find(self, const u8* digest) noexcept:
        cdef Py_ssize_t slot = _hash(digest) & self._mask
        cdef int key
        while True:
            key = self._slots[slot]
            if key == NONE or memcmp(self._keys[key].digest, digest, DIGEST) == 0:
                return key
            slot = (slot + 1) & self._mask

    cdef int _new_key(self, const u8* digest) except -1:
        cdef int key = self._free_key
        if 2 * (self._kept + 1) > self._mask:
            self._grow()
        if key != NONE:
            self._free_key = self._keys[key].following
        else:
            if self._keys_used == self._keys_room:
                self._keys_room = max(16, 2 * self._keys_room)
                self._keys = <Key*>_resized(self._keys, self._keys_room * sizeof(Key))
            key = self._keys_used
            self._keys_used += 1
        memcpy(self._keys[key].digest, digest, DIGEST)
        self._place(key)
        self._kept += 1
        return key

    cdef void _place(self, int key) noexcept:
        cdef Py_ssize_t slot = _hash(self._keys[key].digest) & self._mask
        while self._slots[slot] != NONE:
            slot = (slot + 1) & self._mask
        self._slots[slot] = key

    cdef int _grow(self) except -1:
        cdef Py_ssize_t slots = self._mask + 1, i
        cdef int* before = self._slots
        self._slots = <int*>_resized(NULL, 2 * slots * sizeof(int))
        self._mask = 2 * slots - 1
        memset(self._slots, 0xFF, 2 * slots * sizeof(int))
        for i in range(slots):
            if before[i] != NONE:
                self._place(before[i])
        PyMem_Free(before)
        return 0

    cdef void _drop_key(self, int key) noexcept:
        """Take a key out, and move those up that it had made to give way."""
        cdef Py_ssize_t hole = _hash(self._keys[key].digest) & self._mask, slot, home
        while self._slots[hole] != key:
            hole = (hole + 1) & self._mask
        slot = hole
        while True:
            slot = (slot + 1) & self._mask
            if self._slots[slot] == NONE:
                break
            home = _hash(self._keys[self._slots[slot]].digest) & self._mask
            if ((slot - home) & self._mask) >= ((slot - hole) & self._mask):
                self._slots[hole] = self._slots[slot]
                hole = slot
        self._slots[hole] = NONE
        self._keys[key].following = self._free_key
        self._free_key = key
        self._kept -= 1
