# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Everyday texts and chunks: the functions of ``proxy.accel._python``, their specification."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

ctypedef unsigned char u8

cdef enum:
    MAX_TEXT = 65536
    HEADER = 5

cdef Py_ssize_t NULL_LENGTH = 4294967295
cdef u8 SPACE = 1, NAME_START = 2, NAME_PART = 4, DIGIT = 8, OPERATOR = 16
cdef u8 CLASS[256]


cdef void _fill():
    cdef int c
    for c in range(256):
        CLASS[c] = 0
    for c in b" \t\n\r\f":
        CLASS[c] |= SPACE
    for c in range(b"a"[0], b"z"[0] + 1):
        CLASS[c] |= NAME_START | NAME_PART
        CLASS[c - 32] |= NAME_START | NAME_PART
    CLASS[b"_"[0]] |= NAME_START | NAME_PART
    for c in range(b"0"[0], b"9"[0] + 1):
        CLASS[c] |= DIGIT | NAME_PART
    for c in b"+-*/<>=~!@#%^&|`?":
        CLASS[c] |= OPERATOR
    for c in range(128, 256):  # of a character beyond ASCII, in UTF-8
        CLASS[c] = NAME_START | NAME_PART


_fill()


cdef inline Py_ssize_t _length(const u8* p) noexcept nogil:
    return (<Py_ssize_t>p[0] << 24) | (<Py_ssize_t>p[1] << 16) | (<Py_ssize_t>p[2] << 8) | p[3]


cdef inline bint _starts_name(const u8* s, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    return at < end and ((CLASS[s[at]] & NAME_START) != 0 or s[at] == c"$")


cdef Py_ssize_t _skip_comment(const u8* s, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Return where a comment ends that was opened before ``at``; -1: it does not."""
    cdef int depth = 1
    while at + 1 < end:
        if s[at] == c"/" and s[at + 1] == c"*":
            depth += 1
            at += 2
        elif s[at] == c"*" and s[at + 1] == c"/":
            depth -= 1
            at += 2
            if depth == 0:
                return at
        else:
            at += 1
    return -1


cdef Py_ssize_t _skip_dollar(const u8* s, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Return where the dollar-quoted string at ``at`` ends; -1: it is none, or does not end."""
    cdef Py_ssize_t tag_end = at + 1, size, seek
    if tag_end < end and CLASS[s[tag_end]] & NAME_START:
        tag_end += 1
        while tag_end < end and CLASS[s[tag_end]] & NAME_PART:
            tag_end += 1
    if tag_end >= end or s[tag_end] != c"$":
        return -1
    tag_end += 1
    size = tag_end - at
    seek = tag_end
    while seek + size <= end:
        if s[seek] == c"$" and memcmp(s + seek, s + at, size) == 0:
            return seek + size
        seek += 1
    return -1


cdef Py_ssize_t _skip_number(const u8* s, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Return where the number at ``at`` ends; there is one."""
    cdef Py_ssize_t mark
    if s[at] == c".":
        at += 1
        while at < end and CLASS[s[at]] & DIGIT:
            at += 1
    else:
        while at < end and CLASS[s[at]] & DIGIT:
            at += 1
        if at < end and s[at] == c"." and not (at + 1 < end and s[at + 1] == c"."):
            at += 1
            while at < end and CLASS[s[at]] & DIGIT:
                at += 1
    if at < end and (s[at] == c"e" or s[at] == c"E"):
        mark = at + 1
        if mark < end and (s[mark] == c"+" or s[mark] == c"-"):
            mark += 1
        if mark < end and CLASS[s[mark]] & DIGIT:
            while mark < end and CLASS[s[mark]] & DIGIT:
                mark += 1
            at = mark
    return at


cdef Py_ssize_t _skip_string(const u8* s, Py_ssize_t at, Py_ssize_t end, u8 quote) noexcept nogil:
    """Return where the string or quoted name at ``at`` ends; -1: it does not."""
    at += 1
    while at < end:
        if s[at] == quote:
            if at + 1 < end and s[at + 1] == quote:
                at += 2
                continue
            return at + 1
        at += 1
    return -1


cdef bint _is_plain_value(const u8* s, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Whether a string's inside has nothing that one of two lexers may take for syntax."""
    cdef Py_ssize_t i
    for i in range(at, end):
        if s[i] == c"$":
            return False
        if i + 1 < end and ((s[i] == c"-" and s[i + 1] == c"-") or (s[i] == c"/" and s[i + 1] == c"*")):
            return False
    return True


cdef struct Places:
    Py_ssize_t* at  # start, end, start, end ...
    Py_ssize_t count, room


cdef struct Marks:
    Places slots
    Places parameters
    Places comments
    u8* is_number  # of each slot
    Py_ssize_t room
    int depth, deepest
    bint has_dollar_quotes


cdef bint _mark(Places* places, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    """Add a place; False: there is no memory for it."""
    cdef Py_ssize_t* larger
    if places.count + 2 > places.room:
        places.room = 64 if places.room == 0 else 2 * places.room
        larger = <Py_ssize_t*>realloc(places.at, places.room * sizeof(Py_ssize_t))
        if larger is NULL:
            return False
        places.at = larger
    places.at[places.count] = start
    places.at[places.count + 1] = end
    places.count += 2
    return True


cdef bint _mark_slot(Marks* marks, Py_ssize_t start, Py_ssize_t end, bint number) noexcept nogil:
    cdef u8* larger
    cdef Py_ssize_t index = marks.slots.count // 2
    if index == marks.room:
        marks.room = 64 if marks.room == 0 else 2 * marks.room
        larger = <u8*>realloc(marks.is_number, marks.room)
        if larger is NULL:
            return False
        marks.is_number = larger
    marks.is_number[index] = number
    return _mark(&marks.slots, start, end)


cdef bint _is_plain(const u8* s, Py_ssize_t size, bint ascii) noexcept nogil:
    """Whether no byte stands for a literal in a template; ``ascii``: nor is beyond ASCII."""
    cdef Py_ssize_t i
    for i in range(size):
        if s[i] == 1 or s[i] == 2 or (ascii and s[i] >= 0x80):
            return False
    return True


cdef Py_ssize_t _cut(const u8* s, Py_ssize_t end, u8* out, Marks* marks) noexcept nogil:
    """Write the template of ``s`` to ``out`` and return its length; -1: its lexing is not certain.

    ``marks``: what else is noted, unless it is NULL.
    """
    cdef Py_ssize_t at = 0, to = 0, start, following
    cdef bint after_string = False, string_before
    cdef u8 c, kind
    while at < end:
        c = s[at]
        kind = CLASS[c]
        start = at
        if kind & SPACE:
            out[to] = c
            to += 1
            at += 1
            continue
        if c == c"-" and at + 1 < end and s[at + 1] == c"-":
            while at < end and s[at] != c"\n" and s[at] != c"\r":
                at += 1
            if marks is not NULL and not _mark(&marks.comments, start, at):
                return -1
        elif c == c"/" and at + 1 < end and s[at + 1] == c"*":
            at = _skip_comment(s, at + 2, end)
            if at < 0 or (marks is not NULL and not _mark(&marks.comments, start, at)):
                return -1
        elif kind & NAME_START:
            if at + 1 < end and s[at + 1] == c"'" and c in b"eEbBxXnN":
                return -1
            if at + 2 < end and (c == c"u" or c == c"U") and s[at + 1] == c"&" and (
                s[at + 2] == c"'" or s[at + 2] == c'"'
            ):
                return -1
            at += 1
            while at < end and (CLASS[s[at]] & NAME_PART or s[at] == c"$"):
                at += 1
            after_string = False
        else:
            string_before = after_string
            after_string = False
            if c == c"$":
                if at + 1 < end and CLASS[s[at + 1]] & DIGIT:
                    at += 1
                    while at < end and CLASS[s[at]] & DIGIT:
                        at += 1
                    if _starts_name(s, at, end):
                        return -1
                    if marks is not NULL and not _mark(&marks.parameters, start, at):
                        return -1
                else:
                    at = _skip_dollar(s, at, end)
                    if at < 0:
                        return -1
                    if marks is not NULL:
                        marks.has_dollar_quotes = True
            elif c == c"'":
                following = _skip_string(s, at, end, c"'")
                if following < 0 or string_before or not _is_plain_value(s, at + 1, following - 1):
                    return -1
                if marks is not NULL and not _mark_slot(marks, start, following, False):
                    return -1
                at = following
                after_string = True
                out[to] = 2
                to += 1
                continue
            elif c == c'"':
                at = _skip_string(s, at, end, c'"')
                if at < 0:
                    return -1
            elif kind & DIGIT or (c == c"." and at + 1 < end and CLASS[s[at + 1]] & DIGIT):
                at = _skip_number(s, at, end)
                if _starts_name(s, at, end):
                    return -1
                if marks is not NULL and not _mark_slot(marks, start, at, True):
                    return -1
                out[to] = 1
                to += 1
                continue
            elif kind & OPERATOR:
                at += 1
                while at < end and CLASS[s[at]] & OPERATOR:
                    if at + 1 < end and (
                        (s[at] == c"-" and s[at + 1] == c"-")
                        or (s[at] == c"/" and s[at + 1] == c"*")
                    ):
                        break
                    at += 1
            else:
                at += 1
                if marks is not NULL and (c == c"(" or c == c"["):
                    marks.depth += 1
                    marks.deepest = max(marks.deepest, marks.depth)
                elif marks is not NULL and (c == c")" or c == c"]"):
                    marks.depth -= 1
        memcpy(out + to, s + start, at - start)
        to += at - start
    return to


cdef object _pairs(const u8* s, bint ascii, Places* places):
    """Return places as two arrays, of starts and of ends; in characters."""
    cdef Py_ssize_t i, byte = 0, characters = 0
    starts, ends = [], []
    for i in range(places.count):
        if not ascii:
            while byte < places.at[i]:
                characters += (s[byte] & 0xC0) != 0x80
                byte += 1
        else:
            characters = places.at[i]
        (ends if i & 1 else starts).append(characters)
    return starts, ends


def cut_literals(str text):
    """See ``proxy.sql.template.cut_literals``; the parts that ``proxy.accel`` makes one of."""
    cdef bint ascii = text.isascii()
    cdef bytes raw = text.encode("ascii") if ascii else text.encode("utf-8", "surrogatepass")
    cdef const u8* s = <const u8*>PyBytes_AS_STRING(raw)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(raw), length
    cdef Marks marks
    cdef bytes out
    if len(text) > MAX_TEXT or not _is_plain(s, size, False):
        return None
    memset(&marks, 0, sizeof(Marks))
    out = PyBytes_FromStringAndSize(NULL, size)
    try:
        length = _cut(s, size, <u8*>PyBytes_AS_STRING(out), &marks)
        if length < 0:
            return None
        return (
            out[:length].decode("ascii" if ascii else "utf-8", "surrogatepass"),
            *_pairs(s, ascii, &marks.slots),
            PyBytes_FromStringAndSize(<char*>marks.is_number, marks.slots.count // 2),
            bool(marks.has_dollar_quotes),
            tuple(zip(*_pairs(s, ascii, &marks.parameters))),
            marks.deepest,
            tuple(zip(*_pairs(s, ascii, &marks.comments))),
        )
    finally:
        free(marks.slots.at)
        free(marks.parameters.at)
        free(marks.comments.at)
        free(marks.is_number)


cpdef object query_template(bytes chunk):
    """See ``proxy.accel._python.query_template``."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(chunk), length
    cdef const u8* p = <const u8*>PyBytes_AS_STRING(chunk)
    cdef u8 out[MAX_TEXT]
    if size < HEADER + 1 or p[0] != c"Q" or size - HEADER - 1 > MAX_TEXT:
        return None
    if _length(p + 1) + 1 != size or p[size - 1] != 0:
        return None
    if not _is_plain(p + HEADER, size - HEADER - 1, True):
        return None
    if memchr(p + HEADER, 0, size - HEADER - 1) is not NULL:
        return None
    length = _cut(p + HEADER, size - HEADER - 1, out, NULL)
    if length < 0:
        return None
    return PyBytes_FromStringAndSize(<char*>out, length)


def query_literals(bytes chunk):
    """See ``proxy.accel._python.query_literals``."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(chunk) - HEADER - 1, i, start, end
    cdef const u8* s = <const u8*>PyBytes_AS_STRING(chunk) + HEADER
    cdef u8 out[MAX_TEXT]
    cdef Marks marks
    if size < 0 or size > MAX_TEXT or not _is_plain(s, size, True):
        return None
    memset(&marks, 0, sizeof(Marks))
    found = []
    try:
        if _cut(s, size, out, &marks) < 0:
            return None
        for i in range(marks.slots.count // 2):
            start, end = marks.slots.at[2 * i], marks.slots.at[2 * i + 1]
            if marks.is_number[i]:
                found.append(PyUnicode_DecodeASCII(<char*>s + start, end - start, NULL))
            else:
                text = PyUnicode_DecodeASCII(<char*>s + start + 1, end - start - 2, NULL)
                found.append(text.replace("''", "'"))
        return found
    finally:
        free(marks.slots.at)
        free(marks.parameters.at)
        free(marks.comments.at)
        free(marks.is_number)


def answer_rows(bytes chunk, bytes head, bint may_have_rows):
    """See ``proxy.accel._python.answer_rows``."""
    cdef Py_ssize_t end
    return _answer_rows(chunk, head, may_have_rows, &end)


cdef long long _answer_rows(
    bytes chunk, bytes head, bint may_have_rows, Py_ssize_t* end_of_rows
) except -2:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(chunk), at = PyBytes_GET_SIZE(head), length
    cdef const u8* p = <const u8*>PyBytes_AS_STRING(chunk)
    cdef long long rows = 0
    if size < at or memcmp(p, PyBytes_AS_STRING(head), at) != 0:
        return -1
    while at + HEADER <= size:
        length = _length(p + at + 1)
        if length < 4 or at + 1 + length > size:
            return -1
        if p[at] == c"D" and may_have_rows:
            rows += 1
            at += 1 + length
        elif p[at] == c"C":
            end_of_rows[0] = at
            at += 1 + length
            if at + 6 != size or p[at] != c"Z" or _length(p + at + 1) != 5:
                return -1
            return (rows << 8) | p[at + 5]
        else:
            return -1
    return -1


cdef Py_ssize_t _end_of_frame(const u8* p, Py_ssize_t at, Py_ssize_t size) noexcept nogil:
    """Return where the frame at ``at`` ends; 0: it is not all there."""
    cdef Py_ssize_t length
    if at + HEADER > size:
        return 0
    length = _length(p + at + 1)
    return at + 1 + length if length >= 4 and at + 1 + length <= size else 0


cdef Py_ssize_t _after_zero(const u8* p, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Return the place behind the next zero byte; -1: there is none."""
    cdef const u8* found
    if at >= end:
        return -1
    found = <const u8*>memchr(p + at, 0, end - at)
    return -1 if found is NULL else found - p + 1


cdef Py_ssize_t _formats_at(const u8* p, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Return where the formats of the results begin; ``at``: behind Bind's names. -1: damaged."""
    cdef Py_ssize_t count, formats, length
    if at + 2 > end:
        return -1
    formats = (p[at] << 8) | p[at + 1]
    at += 2 + 2 * formats
    if at + 2 > end:
        return -1
    count = (p[at] << 8) | p[at + 1]
    if formats > 1 and formats != count:
        return -1
    at += 2
    while count > 0:
        if at + 4 > end:
            return -1
        length = _length(p + at)
        at += 4
        if length == NULL_LENGTH:
            length = 0
        if at + length > end:
            return -1
        at += length
        count -= 1
    if at + 2 > end or end - at - 2 != 2 * ((p[at] << 8) | p[at + 1]):
        return -1
    return at


cpdef object extended_key(bytes chunk):
    """See ``proxy.accel._python.extended_key``."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(chunk), at = 0, end, name, name_end, formats
    cdef Py_ssize_t text = 0, types
    cdef const u8* p = <const u8*>PyBytes_AS_STRING(chunk)
    cdef bint parses = False, describes = False
    if size and p[0] == c"P":
        parses = True
        at = _end_of_frame(p, 0, size)
        text = _after_zero(p, HEADER, at)
        if at == 0 or text < 0:
            return None
        types = _after_zero(p, text, at)
        if types < 0 or types + 2 > at:
            return None
        if at - types - 2 != 4 * ((p[types] << 8) | p[types + 1]):
            return None
    end = _end_of_frame(p, at, size)
    if end == 0 or p[at] != c"B" or end < at + HEADER + 1 or p[at + HEADER] != 0:
        return None
    name = at + HEADER + 1
    name_end = _after_zero(p, name, end)
    if name_end < 0:
        return None
    if parses and (name_end - name != text - HEADER or memcmp(p + HEADER, p + name, name_end - name)):
        return None
    formats = _formats_at(p, name_end, end)
    if formats < 0:
        return None
    if size - end >= 7 and memcmp(p + end, b"D\0\0\0\x06P\0", 7) == 0:
        describes = True
    name_end -= 1
    text = end + 7 * describes
    if size - text != 15 or memcmp(p + text, b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04", 15) != 0:
        return None
    return parses, describes, chunk[name:name_end], chunk[:at] + chunk[formats:end]


cdef enum:
    KINDS = 64
    METHODS = 8
    RECENT = 256
    # what becomes of an answer that costs something
    NOT_CHARGED = 0
    PASSES = 1
    WAITS = 2


cdef class LaneCounts:
    """See ``proxy.accel.lane_state.LaneCounts``."""

    @property
    def statements(self):
        return [self._statements[i] for i in range(KINDS)]

    @property
    def rows(self):
        return [self._rows[i] for i in range(METHODS)]

    def count(self, int kind, int method, long long rows, long long size_bytes):
        """Add one statement."""
        if not 0 <= kind < KINDS or not 0 <= method < METHODS:
            raise IndexError(kind, method)
        self._statements[kind] += 1
        self._rows[method] += rows
        self.size_bytes += size_bytes


cdef class Known:
    """See ``proxy.accel.lane_state.Known``."""

    def __init__(
        self, facts, int kind, bytes head, makes=None, text=None, *, int method=0, tariff=None
    ):
        if not 0 <= kind < KINDS or not 0 <= method < METHODS:
            raise IndexError(kind, method)
        self.facts = facts
        self.kind = kind
        self.head = head
        self.makes = makes
        self.text = text
        self.method = method
        self.tariff = tariff
        self.may_have_rows = facts.returns_rows


cdef class LaneState:
    """See ``proxy.accel.lane_state.LaneState``."""

    def __init__(self, LaneCounts counts not None, text_of, answered, charges=None):
        self._counts = counts
        self._text_of = text_of
        self._answered = answered
        if charges is not None:
            self._asks, self._releases = charges.asks, charges.releases
        self._recent = {}
        self._texts = {}
        self.epochs = [0]
        self.epoch = -1

    @property
    def is_under_way(self):
        """Whether a query was passed and is not answered."""
        return self._known is not None

    @property
    def has_charged(self):
        """Whether what is under way was charged as a query."""
        return self._known is not None and self._known.tariff is not None

    cpdef bint passes_frontend(self, bytes chunk, double now) except -1:
        """Whether the chunk goes to the backend as it is."""
        if not self.is_open or self._known is not None or now >= self.valid_until:
            return False
        if self.epochs[0] != self.epoch or self.book is None:
            return False
        key = self.key_of(chunk)
        if key is None:
            return False
        known = self._recent.get(key)
        if known is None:
            known = self.book.get(key)
            if known is None:
                return False
            if len(self._recent) >= RECENT:
                self._recent.clear()
            self._recent[key] = known
        if (<Known?>known).tariff is not None and not self._asks(known, chunk, now):
            return False
        self._known = <Known>known
        self._chunk = chunk
        self.heard_at = now
        return True

    cpdef bint passes_backend(self, bytes chunk, double now) except -1:
        """Whether the chunk goes to the frontend as it is: it is the whole answer."""
        cdef Known known = self._known
        cdef long long answer
        cdef Py_ssize_t end, begin
        cdef int status, release = PASSES
        cdef bint names
        if known is None:
            return False
        answer = _answer_rows(chunk, known.head, known.may_have_rows, &end)
        if answer < 0 or (self.forbids is not None and self.forbids(chunk)):
            return False
        if known.tariff is not None:
            begin = PyBytes_GET_SIZE(known.head)
            rows = PyBytes_FromStringAndSize(PyBytes_AS_STRING(chunk) + begin, end - begin)
            release = self._releases(known, rows, answer >> 8, now)
            if release == NOT_CHARGED:
                return False
        self._known = None
        self._chunk = None
        status = answer & 0xFF
        names = known.text is not None and (
            status != c"I" or (known.makes is not None and known is not self.made)
        )
        if names or status != self.status:
            self.status = status
            self._answered(known, status)
            self.made = known if known.makes == "" else None
        self._counts._statements[known.kind] += 1
        self._counts._rows[known.method] += answer >> 8
        self._counts.size_bytes += PyBytes_GET_SIZE(chunk)
        if release == WAITS:
            self.charged = chunk
            return False
        return True

    def take_under_way(self):
        """Return what was passed and is not answered, which the session has to adopt."""
        chunk = self._chunk
        self._chunk = None
        self._known = None
        return chunk

    def look_again(self):
        """What was found before may be found otherwise now."""
        self._recent.clear()
        self._texts.clear()
        self.made = None
        self.epoch = -1

    cpdef object key_of(self, bytes chunk):
        """Return by what a query is known; None: it is not of an everyday form."""
        if PyBytes_GET_SIZE(chunk) and PyBytes_AS_STRING(chunk)[0] == c"Q":
            return query_template(chunk)
        found = extended_key(chunk)
        if found is None:
            return None
        parses, describes, statement, key = <tuple>found
        if parses:
            return found
        text = self._texts.get(statement)
        if text is None:
            text = self._text_of(statement)
            if text is None:
                return None
            self._texts[statement] = text
        return parses, describes, text, key
