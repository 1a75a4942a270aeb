# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What identifies people, counted in bytes: ``proxy.content.scanners`` is the specification.

What is looked for has a shortest form, of letters of one class. A place is looked at only where a
run of that class is as long: every byte of the shortest length is, and most are of no such run.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memchr

ctypedef unsigned char u8

cdef enum:
    DIGIT = 1
    SPELLED = 2  # may stand in a NIR as people write it
    ENCODED = 4  # may stand in fifteen digits of Base64
    DIALLED = 8  # may stand in a phone number
    BANKED = 16  # may stand in an IBAN
    WORD = 32
    LETTER = 64
    LOCAL = 128  # may stand before the @ of an address
    # the fewest bytes
    NIR = 15
    HEX = 30
    BASE64 = 16
    RPPS = 11
    PHONE = 10
    IBAN = 12
    ALL_OF_NIR = 97

cdef u8 CLASS[256]
cdef u8 HOST[256]  # may stand in a part of the name of a host


cdef void _fill():
    cdef int c
    for c in range(256):
        CLASS[c] = HOST[c] = 0
    for c in b"0123456789":
        CLASS[c] |= DIGIT | SPELLED | DIALLED
    for c in b"AB .-":
        CLASS[c] |= SPELLED
    for c in b"MNODTjzAEIMQUYcgkwxyz012345":
        CLASS[c] |= ENCODED
    for c in b" .-+":
        CLASS[c] |= DIALLED
    for c in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ":
        CLASS[c] |= BANKED
    for c in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        CLASS[c] |= LETTER | WORD | LOCAL
        HOST[c] = 1
    for c in b"0123456789":
        CLASS[c] |= WORD | LOCAL
        HOST[c] = 1
    CLASS[b"_"[0]] |= WORD
    for c in b"._%+-":
        CLASS[c] |= LOCAL
    HOST[b"-"[0]] = 1


_fill()


cdef inline bint _is(const u8* s, Py_ssize_t at, Py_ssize_t size, int kind) noexcept nogil:
    return at < size and CLASS[s[at]] & kind != 0


cdef inline bint _begins_word(const u8* s, Py_ssize_t at) noexcept nogil:
    """Whether a word character at ``at`` has none before it."""
    return at == 0 or not CLASS[s[at - 1]] & WORD


cdef bint _next_run(
    const u8* s, Py_ssize_t size, int kind, Py_ssize_t fewest, Py_ssize_t* begin, Py_ssize_t* end
) noexcept nogil:
    """Find the next run of a class behind ``end`` that is long enough; both are set to it."""
    cdef Py_ssize_t low = end[0], at = low + fewest - 1, first, last
    while at < size:
        if not CLASS[s[at]] & kind:
            low = at + 1
            at += fewest
            continue
        first = at
        while first > low and CLASS[s[first - 1]] & kind:
            first -= 1
        last = at + 1
        while last < size and CLASS[s[last]] & kind:
            last += 1
        if last - first >= fewest:
            begin[0] = first
            end[0] = last
            return True
        low = last
        at = last + fewest
    return False


cdef inline Py_ssize_t _spaced(const u8* s, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Return the place behind what may stand between groups."""
    if at < end and (s[at] == c" " or s[at] == c"." or s[at] == c"-"):
        return at + 1
    return at


# NIR

cdef bint _has_key(const u8* d) noexcept nogil:
    """Whether fifteen bytes are a NIR with its key; digits, or the letters of Corsica."""
    cdef unsigned long long body = 0
    cdef int i
    cdef u8 c
    if d[0] != c"1" and d[0] != c"2":
        return False
    for i in range(13):
        c = d[i]
        if i == 5 and c == c"2" and (d[6] == c"A" or d[6] == c"B"):
            c = c"1"
        elif i == 6 and d[5] == c"2" and (c == c"A" or c == c"B"):
            c = c"9" if c == c"A" else c"8"
        body = body * 10 + (c - c"0")
    return ALL_OF_NIR - body % ALL_OF_NIR == <unsigned long long>(
        10 * (d[13] - c"0") + (d[14] - c"0")
    )


cdef Py_ssize_t _in_digits(const u8* d, Py_ssize_t size, int stride) noexcept nogil:
    """Count NIRs in a run of digits that stand ``stride`` bytes apart."""
    cdef Py_ssize_t at = 0, found = 0
    cdef u8 text[NIR]
    cdef int i
    while at + NIR <= size:
        if d[at * stride] == c"1" or d[at * stride] == c"2":
            for i in range(NIR):
                text[i] = d[(at + i) * stride]
            if _has_key(text):
                found += 1
                at += NIR
                continue
        at += 1
    return found


cdef Py_ssize_t _in_hex(const u8* d, Py_ssize_t size) noexcept nogil:
    """Count NIRs in the hexadecimal of digits, in a run of digits."""
    cdef Py_ssize_t at = 0, pairs, found = 0
    while at + HEX <= size:
        pairs = 0
        while at + 2 * pairs + 2 <= size and d[at + 2 * pairs] == c"3":
            pairs += 1
        if 2 * pairs >= HEX:
            found += _in_digits(d + at + 1, pairs, 2)
            at += 2 * pairs
        else:
            at += 1
    return found


cdef Py_ssize_t _spelled(const u8* s, Py_ssize_t at, Py_ssize_t end, bint* counts) noexcept nogil:
    """Return where what is written as a NIR ends that begins at ``at``; 0: there is none.

    ``counts``: its key is right, and it is no mere run of digits.
    """
    cdef u8 text[NIR]
    cdef int used = 1, group, i
    cdef bint plain = True
    cdef Py_ssize_t before
    text[0] = s[at]
    at += 1
    for group in range(6):
        before = at
        at = _spaced(s, at, end)
        plain = plain and at == before
        for i in range(3 if group == 3 or group == 4 else 2):
            if at >= end:
                return 0
            if not CLASS[s[at]] & DIGIT:
                if group != 2 or i != 1 or s[at - 1] != c"2":
                    return 0
                if s[at] != c"A" and s[at] != c"B":
                    return 0
                plain = False
            text[used] = s[at]
            used += 1
            at += 1
    counts[0] = not plain and _has_key(text)
    return at


cdef Py_ssize_t _in_spelled(const u8* s, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Count NIRs in a run of what one may be written with."""
    cdef Py_ssize_t found = 0, start = at, last, stop
    cdef bint counts = False
    while start < end:
        if not CLASS[s[start]] & DIGIT:
            start += 1
            continue
        last = start + 1
        while last < end and CLASS[s[last]] & DIGIT:
            last += 1
        if last - start >= NIR:
            found += _in_digits(s + start, last - start, 1)
        if last - start >= HEX:
            found += _in_hex(s + start, last - start)
        start = last
    while at + NIR <= end:
        if s[at] == c"1" or s[at] == c"2":
            stop = _spelled(s, at, end, &counts)
            if stop:
                found += counts
                at = stop
                continue
        at += 1
    return found


cdef bint _is_encoded(const u8* s) noexcept nogil:
    """Whether four bytes are three digits in Base64."""
    return (
        c"M" <= s[0] <= c"O"
        and (s[1] == c"D" or s[1] == c"T" or s[1] == c"j" or s[1] == c"z")
        and memchr(b"AEIMQUYcgk", s[2], 10) is not NULL
        and (c"w" <= s[3] <= c"z" or c"0" <= s[3] <= c"5")
    )


cdef bint _has_encoded(const u8* s, Py_ssize_t size) noexcept nogil:
    """Whether twelve digits stand somewhere in Base64."""
    cdef Py_ssize_t begin = 0, end = 0, at
    while _next_run(s, size, ENCODED, BASE64, &begin, &end):
        for at in range(begin, end - BASE64 + 1):
            if (
                _is_encoded(s + at)
                and _is_encoded(s + at + 4)
                and _is_encoded(s + at + 8)
                and _is_encoded(s + at + 12)
            ):
                return True
    return False


def count_nirs(bytes octets):
    """Return how many NIRs there are in text and hexadecimal, and whether to look into Base64."""
    cdef const u8* s = <const u8*>PyBytes_AS_STRING(octets)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(octets), begin = 0, end = 0, found = 0
    while _next_run(s, size, SPELLED, NIR, &begin, &end):
        found += _in_spelled(s, begin, end)
    return found, bool(_has_encoded(s, size))


# RPPS, telephone

cdef bint _has_luhn_key(const u8* d, int size) noexcept nogil:
    cdef int i, digit, total = 0
    for i in range(size):
        digit = d[size - 1 - i] - c"0"
        if i & 1:
            digit *= 2
        total += digit // 10 + digit % 10
    return total % 10 == 0


def count_rpps(bytes octets):
    """See ``proxy.content.scanners``."""
    cdef const u8* s = <const u8*>PyBytes_AS_STRING(octets)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(octets), begin = 0, end = 0, found = 0
    while _next_run(s, size, DIGIT, RPPS, &begin, &end):
        if end - begin != RPPS or not _begins_word(s, begin) or _is(s, end, size, WORD):
            continue
        if s[begin] == c"8" or (s[begin] == c"1" and s[begin + 1] == c"0"):
            found += _has_luhn_key(s + begin, RPPS)
    return found


cdef Py_ssize_t _dialled(
    const u8* s, Py_ssize_t at, Py_ssize_t end, Py_ssize_t size
) noexcept nogil:
    """Return where a phone number ends that begins at ``at``; 0: there is none."""
    cdef int group, i
    if s[at] == c"+":
        if at + 3 > end or s[at + 1] != c"3" or s[at + 2] != c"3":
            return 0
        at = _spaced(s, at + 3, end)
    elif s[at] == c"0" and _begins_word(s, at):
        at += 1
    else:
        return 0
    if at >= end or not c"1" <= s[at] <= c"9":
        return 0
    at += 1
    for group in range(4):
        at = _spaced(s, at, end)
        for i in range(2):
            if at >= end or not CLASS[s[at]] & DIGIT:
                return 0
            at += 1
    return 0 if _is(s, at, size, WORD) else at


def count_phones(bytes octets):
    """See ``proxy.content.scanners``."""
    cdef const u8* s = <const u8*>PyBytes_AS_STRING(octets)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(octets), begin = 0, end = 0, found = 0, at, stop
    while _next_run(s, size, DIALLED, PHONE, &begin, &end):
        at = begin
        while at + PHONE <= end:
            stop = _dialled(s, at, end, size)
            found += stop > 0
            at = stop if stop else at + 1
    return found


# e-mail

cdef Py_ssize_t _end_of_host(const u8* s, Py_ssize_t at, Py_ssize_t size) noexcept nogil:
    """Return where the longest name of a host at ``at`` ends that has a domain; 0: none has."""
    cdef Py_ssize_t last = 0, letters
    if at >= size or not HOST[s[at]]:
        return 0
    while True:
        while at < size and HOST[s[at]]:
            at += 1
        if at + 1 >= size or s[at] != c"." or not HOST[s[at + 1]]:
            return last
        at += 1
        letters = at
        while _is(s, letters, size, LETTER):
            letters += 1
        if letters - at >= 2:
            last = letters


def count_emails(bytes octets):
    """See ``proxy.content.scanners``."""
    cdef const u8* s = <const u8*>PyBytes_AS_STRING(octets)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(octets), at = 0, low = 0, found = 0, stop
    cdef const u8* sign
    while at < size:
        sign = <const u8*>memchr(s + at, c"@", size - at)
        if sign is NULL:
            break
        at = sign - s + 1
        if at - 1 > low and CLASS[s[at - 2]] & LOCAL:
            stop = _end_of_host(s, at, size)
            if stop:
                found += 1
                at = low = stop
    return found


# IBAN

cdef Py_ssize_t _banked(const u8* s, Py_ssize_t at, Py_ssize_t end, Py_ssize_t size) noexcept nogil:
    """Return where what is written as an IBAN ends that begins at ``at``; 0: there is none."""
    cdef Py_ssize_t ends[8]
    cdef Py_ssize_t stop, start
    cdef int groups = 0, i
    if at + IBAN > end or not _begins_word(s, at):
        return 0
    if not (CLASS[s[at]] & LETTER and CLASS[s[at + 1]] & LETTER):
        return 0
    if not (CLASS[s[at + 2]] & DIGIT and CLASS[s[at + 3]] & DIGIT):
        return 0
    ends[0] = at + 4
    while groups < 7:
        stop = ends[groups] + (ends[groups] < end and s[ends[groups]] == c" ")
        if stop + 4 > end:
            break
        for i in range(4):
            if s[stop + i] == c" ":
                break
        else:
            groups += 1
            ends[groups] = stop + 4
            continue
        break
    while groups >= 2:
        start = ends[groups] + (ends[groups] < end and s[ends[groups]] == c" ")
        stop = start
        while stop < end and stop < start + 3 and s[stop] != c" ":
            stop += 1
        while stop > start:
            if not _is(s, stop, size, WORD):
                return stop
            stop -= 1
        if not _is(s, ends[groups], size, WORD):
            return ends[groups]
        groups -= 1
    return 0


cdef int _with_digit(int rest, u8 c) noexcept nogil:
    """Return the rest by 97 of a number that one more letter or digit is appended to."""
    if CLASS[c] & DIGIT:
        return (rest * 10 + c - c"0") % 97
    return (rest * 100 + c - c"A" + 10) % 97


cdef bint _is_iban(const u8* s, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    cdef int rest = 0
    cdef Py_ssize_t i
    for i in range(at + 4, end):
        if s[i] != c" ":
            rest = _with_digit(rest, s[i])
    for i in range(at, at + 4):
        rest = _with_digit(rest, s[i])
    return rest == 1


def count_ibans(bytes octets):
    """See ``proxy.content.scanners``."""
    cdef const u8* s = <const u8*>PyBytes_AS_STRING(octets)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(octets), begin = 0, end = 0, found = 0, at, stop
    while _next_run(s, size, BANKED, IBAN, &begin, &end):
        at = begin
        while at + IBAN <= end:
            stop = _banked(s, at, end, size)
            if stop:
                found += _is_iban(s, at, stop)
                at = stop
            else:
                at += 1
    return found
