# cython: language_level=3, boundscheck=False, initializedcheck=False
"""Groups of keys, packed: what a run of rows charges, and a collection of tuples to Python."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.string cimport memcmp, memcpy, memset


cdef void* resized(void* block, size_t size) except NULL:
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
            self.digests = <u8*>resized(self.digests, self._room_keys * DIGEST)
        self.keys += 1
        return self.digests + DIGEST * (self.keys - 1)

    cdef int end_group(self, int size) except -1:
        """The last ``size`` keys are one group."""
        if self.count == self._room_groups:
            self._room_groups = max(16, 2 * self._room_groups)
            self.sizes = <int*>resized(self.sizes, self._room_groups * sizeof(int))
        self.sizes[self.count] = size
        self.count += 1
        return 0


    cdef int add(self, const u8* digests, int size) except -1:
        """Add one more group."""
        cdef int i
        for i in range(size):
            memcpy(self.new_key(), digests + DIGEST * i, DIGEST)
        return self.end_group(size)

    cdef bint has(self, const u8* digests, int size) noexcept:
        """Whether this very group is one of these. Cost: O(n)."""
        cdef Py_ssize_t at = 0, i
        for i in range(self.count):
            if self.sizes[i] == size:
                if memcmp(self.digests + DIGEST * at, digests, DIGEST * size) == 0:
                    return True
            at += self.sizes[i]
        return False


cdef Groups packed_groups(object groups):
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
