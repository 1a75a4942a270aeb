"""Counts the patients in what an attacker received, as the attacker would decode it.

A value that does not decode names nobody; a case that names an unknown way of decoding fails.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import struct
from typing import TYPE_CHECKING, Final

from tests.score.frontend import columns, fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.score.cases import Attack
    from tests.score.frontend import Received
    from tests.score.laboratory import Laboratory

_NIR: Final = re.compile(rb"(?=([12]\d{14}))")  # overlapping: they may stand side by side
_EMAIL: Final = re.compile(rb"patient\d+@example\.test")
_DIGITS: Final = re.compile(rb"\d{15,}")
_ACTUAL_ROWS: Final = re.compile(rb"actual rows=(\d+)")
_SUFFIX: Final = 100_000  # of a NIR, told by a number of rows


def patients_received(case: Attack, received: Received, laboratory: Laboratory, file: Path) -> int:
    """Return how many distinct patients the attacker has.

    Args:
        case: says on which channel, how encoded, and what to count.
        received: what arrived.
        laboratory: knows its patients.
        file: what the database may have written.

    Errors: KeyError for a channel or a decoding that nobody described.
    """
    counted = _counted(case, received, laboratory)
    if counted is not None:
        return counted
    values = _on_channel(case.channel, received, file)
    if case.decode in _BY_NUMBER:
        known = {int(nir) for nir in laboratory.nirs}
        return len(known & set(_BY_NUMBER[case.decode](values, received)))
    if case.decode == "md5":
        return len({value.decode("ascii", "replace") for value in values} & set(laboratory.digests))
    if case.decode == "pgp":
        values = [_decrypted(value, laboratory) for value in values[-1:]]
    if case.decode == "b64all":
        values = [fields(body).get("M", "").encode() for body in received.notices]
    if case.decode == "joincols":
        values = [b"".join(value or b"" for value in columns(row)) for row in received.rows]
    return len(_named(_BY_TEXT[case.decode](values), laboratory, glued=case.decode in _GLUED))


def _counted(case: Attack, received: Received, laboratory: Laboratory) -> int | None:
    """Count what is told by other things than a NIR; None: it is told by a NIR."""
    key = case.leak_key
    rows = [columns(row) for row in received.rows]
    if key.startswith("table:"):
        table = key.removeprefix("table:").encode()
        row = laboratory.superuser.execute(b"select to_regclass(%s)", [table.decode()]).fetchone()
        if row is None or row[0] is None:
            return 0
        found = laboratory.superuser.execute(b"select count(distinct t) from " + table + b" t")
        return int((found.fetchone() or [0])[0])
    if key == "pid1":
        return len({row[0] for row in rows if row})
    if key == "pidlast":
        return len({row[-1] for row in rows if row})
    if key == "rows":
        return len(rows)
    if key == "blind":
        return received.solved
    if case.decode == "tags":
        return _by_tags(received, laboratory)
    if case.decode == "explainrows":
        return _by_plan(rows, laboratory)
    if key == "custom":  # one patient's last six digits are a count
        last = rows[-1][0] if rows and rows[-1] else None
        return int(last is not None and last.decode() == str(int(laboratory.nir_of[7][-6:])))
    return None


def _by_tags(received: Received, laboratory: Laboratory) -> int:
    """Count INSERTs whose number of rows is the end of the NIR of the patient in turn."""
    inserts = [tag for tag in received.tags if tag.startswith(b"INSERT 0")]
    told = [int(tag.rstrip(b"\0").split()[-1]) for tag in inserts]
    return sum(
        number == int(laboratory.nir_of[patient]) % _SUFFIX
        for patient, number in enumerate(told, 1)
    )


def _by_plan(rows: list[list[bytes | None]], laboratory: Laboratory) -> int:
    """Count patients whose first five digits a plan gives as a number of rows."""
    lines = [value for row in rows for value in row if value is not None]
    told = {int(m[1]) for m in map(_ACTUAL_ROWS.search, lines) if m}
    return sum(int(laboratory.nir_of[patient][:5]) in told for patient in range(1, 201))


def _on_channel(channel: str, received: Received, file: Path) -> list[bytes]:
    values = [value for row in received.rows for value in columns(row) if value is not None]
    channels: dict[str, Callable[[], list[bytes]]] = {
        "datarow": lambda: values + [result[4:] for result in received.results],
        "copydata": lambda: received.copied,
        "notice": lambda: [_text(body) for body in received.notices],
        "error": lambda: [_text(body) for body in received.errors],
        "notification": lambda: received.notifications,
        "parameterstatus": lambda: [b.replace(b"\0", b"\n") for b in received.parameters],
        "rowdescription": lambda: received.descriptions,
        "commandtag": lambda: received.tags,
        "file": lambda: [file.read_bytes()] if file.exists() else [],
        "none": list,
    }
    return channels[channel]()


def _text(body: bytes) -> bytes:
    return "\n".join(fields(body).values()).encode()


def _named(blob: bytes, laboratory: Laboratory, *, glued: bool) -> set[int]:
    """Return the patients whose NIR or e-mail stands in a text."""
    if glued:
        numbers = [
            run[0][at : at + 15]
            for run in _DIGITS.finditer(blob)
            for at in range(0, len(run[0]) - 14, 15)
        ]
    else:
        numbers = [match[1] for match in _NIR.finditer(blob)]
    found = {laboratory.nirs.get(number.decode()) for number in numbers}
    found |= {laboratory.emails.get(email.decode()) for email in _EMAIL.findall(blob)}
    return {patient for patient in found if patient is not None}


def _decrypted(value: bytes, laboratory: Laboratory) -> bytes:
    row = laboratory.superuser.execute(
        "select staging.pgp_sym_decrypt(%s, 'k')", [binascii.unhexlify(value[2:])]
    ).fetchone()
    return str(row[0]).encode() if row else b""


def _lines(
    values: Iterable[bytes], decode: Callable[[bytes], bytes], between: bytes = b"\n"
) -> bytes:
    found = []
    for value in values:
        with contextlib.suppress(ValueError):  # binascii's error is one
            found.append(decode(value))
    return between.join(found)


def _octets(value: bytes) -> bytes:
    r"""Return the bytes of a bytea in hex: \x..."""
    if value[:2] != b"\\x":
        raise ValueError(value)
    return binascii.unhexlify(value[2:])


def _numbers(values: Iterable[bytes], decode: Callable[[bytes], int]) -> list[int]:
    found = []
    for value in values:
        with contextlib.suppress(ValueError):
            found.append(decode(value))
    return found


def whole_numeric(value: bytes) -> int:
    """Return a whole number of a numeric in binary format. Errors: ValueError, it is none."""
    if len(value) < 8:
        raise ValueError(value)
    count, weight, _, _ = struct.unpack("!hhhh", value[:8])
    if len(value) != 8 + 2 * count:
        raise ValueError(value)
    digits = struct.unpack(f"!{count}h", value[8:])
    number = 0
    for place in range(weight + 1):
        number = number * 10_000 + (digits[place] if place < count else 0)
    return number


def _halves(values: list[bytes]) -> list[int]:
    """Join the high digits of one result with the low ones of the next."""
    numbers = _numbers(values, int)
    half = len(numbers) // 2
    pairs = zip(numbers[:half], numbers[half:], strict=False)
    return [high * 100_000_000 + low for high, low in pairs]


_LETTERS: Final = bytes.maketrans(b"abcdefghij", b"0123456789")
_GLUED: Final = frozenset({"cat15", "cat15c"})  # NIRs one after the other, nothing between
_BY_TEXT: Final[dict[str, Callable[[list[bytes]], bytes]]] = {
    "raw": b"\n".join,
    "cat15": b"\n".join,
    "cat15c": b"\n".join,
    "joincols": b"\n".join,
    "pgp": b"\n".join,
    "hex": lambda values: _lines(values, binascii.unhexlify),
    "b64": lambda values: _lines(values, base64.b64decode),
    "b64all": lambda values: _lines(values, base64.b64decode),
    "bytea_hex": lambda values: _lines(values, _octets),
    "bytea_hexcat": lambda values: _lines(values, _octets, between=b""),
    "reverse": lambda values: _lines(values, lambda value: value[::-1]),
    "letters": lambda values: b"\n".join(values).translate(_LETTERS),
    "nospace": lambda values: b"\n".join(values).replace(b" ", b""),
    "nozw": lambda values: b"\n".join(values).replace("\u200b".encode(), b""),
    "ascii": lambda values: _lines(values, lambda v: bytes(map(int, v[1:-1].split(b",")))),
}
_BY_NUMBER: Final[dict[str, Callable[[list[bytes], Received], list[int]]]] = {
    "hexint": lambda values, _: _numbers(values, lambda value: int(value, 16)),
    "bits": lambda values, _: _numbers(values, lambda value: int(value, 2)),
    "minus1": lambda values, _: _numbers(values, lambda value: int(value) - 1),
    "xor": lambda values, _: _numbers(values, lambda value: int(value) ^ 987_654_321),
    "int8": lambda values, _: _numbers(values, lambda value: int.from_bytes(value, "big")),
    "binnumeric": lambda _, received: _numbers(
        [columns(row)[-1] or b"" for row in received.rows], whole_numeric
    ),
    "twohalves": lambda values, _: _halves(values),
}
