cdef class LaneCounts:
    cdef long long _statements[64]
    cdef long long _rows[8]
    cdef public long long size_bytes


cdef class Known:
    cdef readonly object facts
    cdef readonly int kind
    cdef readonly bytes head
    cdef readonly object makes
    cdef readonly object text
    cdef readonly bint may_have_rows
    cdef readonly int method
    cdef readonly object tariff


cdef class LaneState:
    cdef public bint is_open
    cdef public double valid_until
    cdef public double heard_at
    cdef public list epochs
    cdef public object epoch
    cdef public object book
    cdef public int status
    cdef public object made
    cdef public object forbids
    cdef public bytes charged
    cdef LaneCounts _counts
    cdef object _text_of
    cdef object _answered
    cdef object _asks
    cdef object _releases
    cdef dict _recent
    cdef dict _texts
    cdef bytes _chunk
    cdef Known _known

    cpdef bint passes_frontend(self, bytes chunk, double now) except -1
    cpdef bint passes_backend(self, bytes chunk, double now) except -1
    cpdef object key_of(self, bytes chunk)
