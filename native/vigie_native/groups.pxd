ctypedef unsigned char u8

cdef enum:
    DIGEST = 12


cdef class Groups:
    cdef u8* digests  # of all keys, group by group
    cdef int* sizes  # how many keys each group has
    cdef Py_ssize_t keys, count
    cdef Py_ssize_t _room_keys, _room_groups

    cdef u8* new_key(self) except NULL
    cdef int end_group(self, int size) except -1
    cdef int add(self, const u8* digests, int size) except -1
    cdef bint has(self, const u8* digests, int size) noexcept


cdef void* resized(void* block, size_t size) except NULL
cdef Groups packed_groups(object groups)
