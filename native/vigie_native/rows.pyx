# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Runs of rows: where one ends, and what it costs as a whole.

Their specification is ``end_of_run`` of ``proxy.wire.frames`` and ``proxy.meter.runs``.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

from vigie_native.groups cimport DIGEST, Groups

ctypedef unsigned char u8

cdef extern from "blake2b.h" nogil:
    enum:
        BLAKE2B_BLOCK
    void blake2b_begin(uint64_t* h, const u8* key, int key_bytes, int digest_bytes)
    void blake2b_finish(
        const uint64_t* begun, const u8* block, int message_bytes, u8* digest, int digest_bytes
    )

cdef enum:
    HEADER = 5
    IS_NULL = -1
    MOST_KEYS = 16
    LONGEST_SECRET = 64
    SIGNATURE = 11
    # how the rows come
    DATA_ROW = 0
    TEXT = 1
    CSV = 2
    BINARY = 3
    UNREADABLE = 4
    # what splitting a row gives
    SPLIT = 0
    NO_ROW = 1
    UNCERTAIN = 2
    UNUSUAL = 3

cdef object _FORMATS = {"text": TEXT, "csv": CSV, "binary": BINARY}


cdef inline Py_ssize_t _int32(const u8* p) noexcept nogil:
    return <int>((<unsigned>p[0] << 24) | (<unsigned>p[1] << 16) | (<unsigned>p[2] << 8) | p[3])


cdef inline int _int16(const u8* p) noexcept nogil:
    return <short>((p[0] << 8) | p[1])


def end_of_run(const u8[:] buffer, Py_ssize_t start, int tag, Py_ssize_t largest):
    """See ``proxy.wire.frames.end_of_run``."""
    cdef const u8* p = &buffer[0]
    cdef Py_ssize_t end = start, size = buffer.shape[0], length, count = 0
    while end + HEADER <= size and p[end] == tag:
        length = _int32(p + end + 1)
        if length < 4 or length > largest or end + 1 + length > size:
            break
        end += 1 + length
        count += 1
    return end, count


cdef struct Column:
    int index
    int form
    int integer_bytes  # of the type in binary; 0: it is no integer
    uint64_t begun[8]  # the state of the hash behind the secret
    u8 block[BLAKE2B_BLOCK]  # the space, and room for the value
    int space_bytes


cdef class RunCharger:
    """See ``proxy.meter.runs.RunCharger``."""

    cdef Column* _keys
    cdef int* _values
    cdef int* _packed
    cdef int _key_count, _value_count, _packed_count
    cdef int _width, _columns, _form
    cdef bint _linked, _everything, _fixed, _whole, _usable, _keeps
    cdef Py_ssize_t _bytes_per_subject
    cdef const u8** _at  # the values of the row in hand
    cdef Py_ssize_t* _size
    cdef Py_ssize_t _left_out

    def __init__(self, plan, bytes secret, bytes_per_subject, copy_format=None, columns=0):
        cdef int i
        cdef bint copies = copy_format is not None
        self._linked = plan.linked
        self._everything = plan.everything
        self._bytes_per_subject = bytes_per_subject
        self._columns = columns
        self._form = _FORMATS.get(copy_format, UNREADABLE) if copies else DATA_ROW
        self._fixed = bool(plan.fixed)
        self._usable = 0 < len(secret) <= LONGEST_SECRET and len(plan.keys) <= MOST_KEYS
        self._whole = copies and (plan.everything or self._fixed)
        indexes = [key.index for key in plan.keys]
        self._width = 1 + max([*indexes, *plan.values, *plan.packed], default=-1)
        self._key_count = len(indexes)
        self._value_count, self._packed_count = len(plan.values), len(plan.packed)
        self._keys = <Column*>self._new(self._key_count * sizeof(Column))
        self._values = <int*>self._new(self._value_count * sizeof(int))
        self._packed = <int*>self._new(self._packed_count * sizeof(int))
        self._at = <const u8**>self._new((self._width + 1) * sizeof(u8*))
        self._size = <Py_ssize_t*>self._new((self._width + 1) * sizeof(Py_ssize_t))
        for i in range(self._value_count):
            self._values[i] = plan.values[i]
        for i in range(self._packed_count):
            self._packed[i] = plan.packed[i]
        for i in range(self._key_count if self._usable else 0):
            self._prepare(&self._keys[i], plan.keys[i], secret)

    def __dealloc__(self):
        PyMem_Free(self._keys)
        PyMem_Free(self._values)
        PyMem_Free(self._packed)
        PyMem_Free(self._at)
        PyMem_Free(self._size)

    cdef void* _new(self, size_t size) except NULL:
        cdef void* found = PyMem_Malloc(size)
        if found is NULL:
            raise MemoryError
        memset(found, 0, size)
        return found

    cdef int _prepare(self, Column* column, key, bytes secret) except -1:
        space = key.space.encode() + b"\0"
        column.index = key.index
        column.form = key.form
        column.integer_bytes = {20: 8, 21: 2, 23: 4}.get(key.type_oid, 0)
        column.space_bytes = len(space)
        if len(space) >= BLAKE2B_BLOCK // 2:
            self._usable = False
            return 0
        memcpy(column.block, PyBytes_AS_STRING(space), column.space_bytes)
        blake2b_begin(column.begun, <const u8*>PyBytes_AS_STRING(secret), len(secret), DIGEST)
        return 0

    def charge_run(self, bytes raw, *, bint keeps):
        """See ``proxy.meter.runs.RunCharger.charge_run``."""
        cdef const u8* p = <const u8*>PyBytes_AS_STRING(raw)
        cdef Py_ssize_t at = 0, limit = PyBytes_GET_SIZE(raw), end, rows = 0, anonymous = 0, more
        cdef Py_ssize_t size = 0
        cdef Groups groups
        cdef int split
        if not self._usable:
            return None
        groups = Groups()
        self._keeps = keeps
        self._left_out = 0
        while at < limit:
            end = at + 1 + _int32(p + at + 1) if at + HEADER <= limit else at
            if end < at + HEADER or end > limit:
                return None
            if self._whole or self._form == UNREADABLE:
                split = UNCERTAIN
            else:
                split = self._split(p, at, end)
            if split == UNUSUAL:
                return None
            if split == UNCERTAIN:
                anonymous += self._unread(end - at)
                rows += 1
                size += end - at
            elif split == SPLIT:
                more = self._charge_row(groups)
                if more < 0:
                    return None
                anonymous += more
                rows += 1
                size += end - at
            at = end
        return groups, self._left_out, anonymous, rows, size

    cdef Py_ssize_t _unread(self, Py_ssize_t size) noexcept:
        if self._fixed:
            return 0
        if self._linked and not self._packed_count and not self._everything:
            return 1
        return self._subjects_in(size)

    cdef Py_ssize_t _subjects_in(self, Py_ssize_t size) noexcept:
        return (size + self._bytes_per_subject - 1) // self._bytes_per_subject

    cdef Py_ssize_t _charge_row(self, Groups groups) except -2:
        """Charge the row in hand; return how many are anonymous. -1: it is unusual."""
        cdef Py_ssize_t anonymous = 0, size = 0
        cdef int i, keys = 0, found
        if self._everything:
            return self._subjects_in(self._size[self._width])
        if self._fixed:
            return 0
        for i in range(self._key_count):
            found = self._key(&self._keys[i], groups)
            if found < 0:
                return -1
            keys += found
            if found and not self._linked:
                self._end_group(groups, 1)
        for i in range(self._packed_count):
            if self._size[self._packed[i]] != IS_NULL:
                size += self._size[self._packed[i]]
        anonymous = self._subjects_in(size)
        if not self._linked:
            for i in range(self._value_count):
                anonymous += self._size[self._values[i]] != IS_NULL
        elif keys:
            self._end_group(groups, keys)
        else:
            for i in range(self._value_count):
                if self._size[self._values[i]] != IS_NULL:
                    anonymous += 1
                    break
        return anonymous

    cdef int _end_group(self, Groups groups, int keys) except -1:
        if self._keeps:
            return groups.end_group(keys)
        self._left_out += 1
        return 0

    cdef int _key(self, Column* column, Groups groups) except -2:
        """Add the digest of a key; 0: it is blank; -1: it is unusual."""
        cdef const u8* value = self._at[column.index]
        cdef Py_ssize_t size = self._size[column.index]
        cdef u8* to = column.block + column.space_bytes
        cdef int used
        if size == IS_NULL:
            return 0
        if column.form == 1 and column.integer_bytes and size == column.integer_bytes:
            used = _decimal(value, size, to)
        else:
            while size and value[size - 1] == c" ":
                size -= 1
            if size > BLAKE2B_BLOCK - column.space_bytes:
                return -1
            memcpy(to, value, size)
            used = size
        if not used:
            return 0
        if not self._keeps:
            memset(to, 0, used)
            return 1
        blake2b_finish(
            column.begun, column.block, column.space_bytes + used, groups.new_key(), DIGEST
        )
        memset(to, 0, used)
        return 1

    # the values of a row

    cdef int _split(self, const u8* p, Py_ssize_t at, Py_ssize_t end) noexcept:
        """Find the values that are looked at, and in ``[width]`` the bytes of all of a DataRow."""
        if self._form == DATA_ROW:
            return self._fields(p, at + HEADER, end, -1)
        at += HEADER
        if self._form == BINARY:
            return self._binary(p, at, end)
        if at == end or p[end - 1] != c"\n":
            return UNCERTAIN
        return self._text(p, at, end - 1) if self._form == TEXT else self._csv(p, at, end - 1)

    cdef int _fields(self, const u8* p, Py_ssize_t at, Py_ssize_t end, int columns) noexcept:
        """Read count, then length and bytes of each value; ``columns``: as many there must be."""
        cdef int count, i, damaged = UNUSUAL if columns < 0 else UNCERTAIN
        cdef Py_ssize_t length, total = 0
        if at + 2 > end:
            return damaged
        count = _int16(p + at)
        if count < 0 or (columns >= 0 and count != columns):
            return damaged
        if count < self._width:
            return UNUSUAL
        at += 2
        for i in range(count):
            if at + 4 > end:
                return damaged
            length = _int32(p + at)
            at += 4
            if length < IS_NULL or (length > 0 and at + length > end):
                return damaged
            if i < self._width:
                self._at[i] = p + at
                self._size[i] = length
            if length > 0:
                at += length
                total += length
        self._size[self._width] = total
        return SPLIT if at == end else damaged

    cdef int _binary(self, const u8* p, Py_ssize_t at, Py_ssize_t end) noexcept:
        if end - at >= SIGNATURE and memcmp(p + at, b"PGCOPY\n\xff\r\n\0", SIGNATURE) == 0:
            if end - at < SIGNATURE + 8:
                return UNCERTAIN
            if _int32(p + at + SIGNATURE + 4) < 0:
                return UNUSUAL
            at += SIGNATURE + 8 + _int32(p + at + SIGNATURE + 4)
            if at == end:
                return NO_ROW
        if at + 2 > end:
            return UNCERTAIN
        if _int16(p + at) == -1:
            return NO_ROW if at + 2 == end else UNCERTAIN
        if _int16(p + at) == 0:
            return UNUSUAL
        return self._fields(p, at, end, self._columns)

    cdef int _text(self, const u8* p, Py_ssize_t at, Py_ssize_t end) noexcept:
        cdef int column = 0
        cdef Py_ssize_t stop
        cdef const u8* tab
        while True:
            tab = <const u8*>memchr(p + at, c"\t", end - at)
            stop = end if tab is NULL else tab - p
            if column < self._width:
                self._at[column] = p + at
                self._size[column] = stop - at
                if stop - at == 2 and p[at] == c"\\" and p[at + 1] == c"N":
                    self._size[column] = IS_NULL
            column += 1
            if stop == end:
                break
            at = stop + 1
        return self._checked(column)

    cdef int _csv(self, const u8* p, Py_ssize_t at, Py_ssize_t end) noexcept:
        cdef int column = 0
        cdef Py_ssize_t stop, doubled
        cdef const u8* found
        cdef bint quoted
        while True:
            quoted = at < end and p[at] == c'"'
            doubled = 0
            if quoted:
                at += 1
                stop = at
                while True:
                    found = <const u8*>memchr(p + stop, c'"', end - stop)
                    if found is NULL:
                        return UNCERTAIN
                    stop = found - p
                    if stop + 1 >= end or p[stop + 1] != c'"':
                        break
                    doubled += 1
                    stop += 2
                if stop + 1 < end and p[stop + 1] != c",":
                    return UNCERTAIN
            else:
                found = <const u8*>memchr(p + at, c",", end - at)
                stop = end if found is NULL else found - p
            if column < self._width:
                self._at[column] = p + at
                self._size[column] = stop - at - doubled
                if stop == at and not quoted:
                    self._size[column] = IS_NULL
                elif doubled and self._is_key(column):
                    return UNUSUAL
            column += 1
            at = stop + quoted
            if at >= end:
                break
            at += 1
        return self._checked(column)

    cdef bint _is_key(self, int column) noexcept:
        cdef int i
        for i in range(self._key_count):
            if self._keys[i].index == column:
                return True
        return False

    cdef int _checked(self, int columns) noexcept:
        """Whether a row has as many values as it must; one too narrow for the plan is damaged."""
        if columns != self._columns:
            return UNCERTAIN
        return SPLIT if columns >= self._width else UNUSUAL


cdef int _decimal(const u8* value, Py_ssize_t size, u8* to) noexcept nogil:
    """Write an integer of 2, 4 or 8 bytes in decimal; return how many digits and sign it has."""
    cdef uint64_t word = 0
    cdef u8 digits[20]
    cdef int i, count = 0, used = 0
    for i in range(size):
        word = (word << 8) | value[i]
    if value[0] & 0x80:
        to[0] = c"-"
        used = 1
        if size < 8:
            word |= (<uint64_t>-1) << (8 * size)
        word = 0 - word
    while True:
        digits[count] = c"0" + word % 10
        word //= 10
        count += 1
        if not word:
            break
    for i in range(count):
        to[used + i] = digits[count - 1 - i]
    return used + count
