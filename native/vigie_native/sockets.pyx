# cython: language_level=3
"""Sockets that are ready: read, and written at once where the lane passes what came."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EINTR, errno
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from vigie_native.lane cimport LaneState

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int number, void* buffer, size_t size, int flags)
    ssize_t send(int number, const void* buffer, size_t size, int flags)
    int MSG_NOSIGNAL
    int MSG_DONTWAIT

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        unsigned events
        epoll_data_t data
    int epoll_wait(int number, epoll_event* events, int most, int timeout)
    enum:
        EPOLLIN

cdef enum:
    CHUNK = 262144
    AT_ONCE = 64
    ROUNDS = 8  # a turn of the loop costs more than a look at what has become ready since

cdef unsigned char BUFFER[CHUNK]  # of all sockets: what is read is written or copied at once


cdef double _now() noexcept nogil:
    cdef timespec value
    clock_gettime(CLOCK_MONOTONIC, &value)
    return value.tv_sec + value.tv_nsec / 1e9


cdef class Port:
    """One socket of a relay, for ``proxy.net.raw.RawSide``, which it tells the rest.

    ``takes``: whether what is sent is written at once: nothing waits before it.
    """

    cdef int _number
    cdef bint _is_frontend
    cdef public bint takes
    cdef LaneState _lane
    cdef Port _peer
    cdef object _side

    def __init__(self, int number, side, *, bint is_frontend):
        self._number = number
        self._side = side
        self._is_frontend = is_frontend

    def link(self, Port peer, LaneState lane):
        """From now on send to ``peer`` what the lane passes; None: nothing."""
        self._peer = peer
        self._lane = lane

    cpdef readable(self):
        """There is something to read."""
        cdef ssize_t size = recv(self._number, BUFFER, CHUNK, MSG_DONTWAIT), sent
        cdef bint passes
        cdef bytes chunk
        cdef Port peer = self._peer
        if size < 0 and (errno == EAGAIN or errno == EINTR):
            return
        if size <= 0:
            self._side.received(b"")
            return
        chunk = PyBytes_FromStringAndSize(<char*>BUFFER, size)
        if self._lane is None or peer is None or not peer.takes:
            self._side.received(chunk)
            return
        if self._is_frontend:
            passes = self._lane.passes_frontend(chunk, _now())
        else:
            passes = self._lane.passes_backend(chunk, _now())
        if not passes:
            self._side.received(chunk)
            return
        sent = send(peer._number, PyBytes_AS_STRING(chunk), size, MSG_NOSIGNAL | MSG_DONTWAIT)
        if sent != size:
            # written again as ever: an error shows itself then
            peer._side.write(chunk[max(sent, 0):])

    def woken(self):
        """There may be anything."""
        self._side.woken()


cdef class Teller:
    """Tells those of ``watched`` (by file number) what an epoll knows, when it is called."""

    cdef int _epoll
    cdef dict _watched

    def __init__(self, int epoll, dict watched not None):
        self._epoll = epoll
        self._watched = watched

    def __call__(self):
        cdef epoll_event events[AT_ONCE]
        cdef int count, i, round
        for round in range(ROUNDS):
            count = epoll_wait(self._epoll, events, AT_ONCE, 0)
            for i in range(count):
                self._tell(events[i].data.fd, events[i].events)
            if count <= 0:
                return

    cdef int _tell(self, int number, unsigned events) except -1:
        who = self._watched.get(number)
        if who is None:
            return 0  # let go by one that was told before it
        if events != EPOLLIN:
            who.woken()
        elif type(who) is Port:
            (<Port>who).readable()
        else:
            who.readable()
        return 0
