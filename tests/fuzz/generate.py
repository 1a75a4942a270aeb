"""Conversations and damage from a seed: messages that make sense, then bytes that do not."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from proxy.wire import encode

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence

# `{tag}` stands for the session's own word; no other session may ever see it.
STATEMENTS: Final = (
    "select '{tag}'",
    "select '{tag}', n from generate_series(1, 40) n",
    "select '{tag}', repeat('x', 3000), n from generate_series(1, 200) n",
    "select '{tag}' as \"{tag}\", 1/0",
    "select $1::text, '{tag}'",
    "select last_name from lab.patient where id = 3",
    "select id, last_name from lab.patient where id in (1, 2, 3, 4)",
    "select * from lab.patient",
    "select id from lab.patient limit 50",
    "select patient_id, value from lab.resultat where patient_id = 5",
    "select json_agg(p) from lab.patient p",
    "begin",
    "commit",
    "rollback",
    "begin; select '{tag}'; rollback",
    "savepoint a",
    "rollback to a",
    "select '{tag}'; select '{tag}', 2; selec; select 3",
    "selec '{tag}'",
    "",
    "; ;",
    "declare c cursor for select '{tag}', n from generate_series(1, 90) n",
    "fetch 7 from c",
    "close c",
    "prepare p as select '{tag}'",
    "execute p",
    "deallocate all",
    "discard all",
    "set application_name = '{tag}'",
    "set search_path = lab",
    "reset all",
    "copy (select '{tag}', n from generate_series(1, 30) n) to stdout",
    "copy fuzzed from stdin",
    "copy fuzzed from stdin (format binary)",
    "listen {tag}",
    "notify {tag}, '{tag}'",
    "create temporary table if not exists mine as select '{tag}' as a",
    "table mine",
    "do $$ begin raise notice '{tag}'; end $$",
    "explain select '{tag}'",
    "show server_version",
    "select pg_sleep(0.01), '{tag}'",
    "/* open '{tag}'",
    "select '{tag}\\'",
    "select U&'\\0061{tag}'",
    "select '{tag}' from nowhere",
    "with a as (select '{tag}' as b) table a",
)
NAMES: Final = ("", "", "s1", "s2", "x" * 63, "x" * 70, "é", 'q"q')
LENGTHS: Final = (0, 1, 3, 4, 5, 7, 255, 65536, 1 << 20, (1 << 24) + 1, 0x3FFFFFFF, 0x40000003)
HUGE: Final = (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def conversation(chance: random.Random, tag: str) -> list[bytes]:
    """Return the messages of one frontend after its login, each well formed by itself."""
    found: list[bytes] = []
    for _ in range(chance.randint(1, 6)):
        found += chance.choice(_PARTS)(chance, tag)
    return found


def text(chance: random.Random, tag: str) -> bytes:
    """Return a statement."""
    return chance.choice(STATEMENTS).replace("{tag}", tag).encode()


def _simple(chance: random.Random, tag: str) -> list[bytes]:
    return [encode.query(text(chance, tag))]


def _extended(chance: random.Random, tag: str) -> list[bytes]:
    """Return Parse to Sync in order."""
    statement, portal = _name(chance), _name(chance)
    messages = [encode.parse(statement, text(chance, tag))]
    if chance.random() < 0.5:
        messages.append(encode.frame(ord("D"), b"S" + statement + b"\0"))
    messages.append(_bind(chance, portal, statement, tag))
    if chance.random() < 0.7:
        messages.append(encode.describe_portal(portal))
    messages += [_execute(chance, portal) for _ in range(chance.randint(1, 3))]
    return [*messages, encode.SYNC]


def _jumble(chance: random.Random, tag: str) -> list[bytes]:
    """Return messages of an extended query in any order, with or without Sync."""
    found = []
    for _ in range(chance.randint(1, 9)):
        name, other = _name(chance), _name(chance)
        found.append(
            chance.choice(
                (
                    encode.parse(name, text(chance, tag)),
                    _bind(chance, name, other, tag),
                    _bind(chance, b"", b"", tag),
                    encode.frame(ord("D"), chance.choice((b"S", b"P")) + name + b"\0"),
                    encode.close(chance.choice((b"S", b"P")), name),
                    _execute(chance, name),
                    encode.FLUSH,
                    encode.SYNC,
                )
            )
        )
    return found


def _pipeline(chance: random.Random, tag: str) -> list[bytes]:
    one = [encode.parse(b"", text(chance, tag)), encode.bind(b"", b""), encode.describe_portal(b"")]
    one += [encode.execute(b"")]
    return [*one * chance.randint(2, 12), encode.SYNC]


def _copy(chance: random.Random, tag: str) -> list[bytes]:
    rows = [encode.frame(ord("d"), f"{tag}\t{n}\n".encode()) for n in range(chance.randint(0, 30))]
    end = chance.choice((encode.frame(ord("c"), b""), encode.copy_fail(tag.encode()), encode.SYNC))
    return [encode.query(b"copy fuzzed from stdin"), *rows, end]


def _call(chance: random.Random, _tag: str) -> list[bytes]:
    # 1610: pi(); 870: lower(text)
    return [encode.frame(ord("F"), struct.pack(">IHHH", chance.choice((1610, 870, 7)), 0, 0, 0))]


def _large(chance: random.Random, tag: str) -> list[bytes]:
    size = chance.choice((9_000, 70_000, 300_000))
    return [encode.query(f"select '{tag}', length('{'y' * size}')".encode())]


def _stray(chance: random.Random, tag: str) -> list[bytes]:
    """Return messages that may not come, or mean nothing, outside of their phase."""
    return [
        chance.choice(
            (
                encode.frame(ord("d"), tag.encode()),
                encode.frame(ord("c"), b""),
                encode.copy_fail(b"none"),
                encode.FLUSH,
                encode.SYNC,
                encode.frame(ord("p"), tag.encode() + b"\0"),
                encode.TERMINATE,
            )
        )
    ]


_PARTS: Final[tuple[Callable[[random.Random, str], list[bytes]], ...]] = (
    *(_simple, _simple, _simple, _extended, _extended, _extended),
    *(_jumble, _jumble, _pipeline, _copy, _call, _large, _stray),
)


def _name(chance: random.Random) -> bytes:
    return chance.choice(NAMES).encode()


def _bind(chance: random.Random, portal: bytes, statement: bytes, tag: str) -> bytes:
    values = [tag.encode()] * chance.choice((0, 0, 1, 2))
    told = b"".join(struct.pack(">I", len(one)) + one for one in values)
    formats = chance.choice((b"\0\0", b"\0\1\0\0", b"\0\1\0\1"))
    head = portal + b"\0" + statement + b"\0" + formats + struct.pack(">H", len(values))
    return encode.frame(ord("B"), head + told + chance.choice((b"\0\0", b"\0\1\0\1")))


def _execute(chance: random.Random, portal: bytes) -> bytes:
    rows = chance.choice((0, 0, 1, 5))
    return encode.frame(ord("E"), portal + b"\0" + struct.pack(">I", rows))


def damaged(chance: random.Random, messages: Sequence[bytes], faults: int) -> bytes:
    """Return the stream of these messages with so many faults in it."""
    parts = list(messages)
    for _ in range(faults):
        at = chance.randrange(len(parts))
        parts[at : at + 1] = chance.choice(_FAULTS)(chance, parts[at])
    return b"".join(parts)


def _flip(chance: random.Random, message: bytes) -> list[bytes]:
    if not message:
        return [message]
    raw = bytearray(message)
    for _ in range(chance.randint(1, 3)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    return [bytes(raw)]


def _length(chance: random.Random, message: bytes) -> list[bytes]:
    true = int.from_bytes(message[1:5], "big")
    near = (true - 1, true + 1, true + 5, true // 2)
    told = chance.choice((*near, *near, *LENGTHS, *HUGE)) & 0xFFFFFFFF
    return [message[:1] + struct.pack(">I", told) + message[5:]]


def _cut(chance: random.Random, message: bytes) -> list[bytes]:
    return [message[: chance.randint(0, len(message))]]


def _tag(chance: random.Random, message: bytes) -> list[bytes]:
    return [bytes([chance.randrange(256)]) + message[1:]]


def _zero(chance: random.Random, message: bytes) -> list[bytes]:
    at = chance.randint(min(5, len(message)), len(message))
    return [message[:at] + b"\0" + message[at + 1 :]]


def _insert(chance: random.Random, message: bytes) -> list[bytes]:
    at = chance.randint(0, len(message))
    return [message[:at] + chance.randbytes(chance.randint(1, 9)) + message[at:]]


def _twice(_chance: random.Random, message: bytes) -> list[bytes]:
    return [message, message]


def _drop(_chance: random.Random, _message: bytes) -> list[bytes]:
    return [b""]


_FAULTS: Final[tuple[Callable[[random.Random, bytes], list[bytes]], ...]] = (
    *(_flip, _flip, _length, _length, _cut, _tag, _zero, _insert, _twice, _drop),
)


def chunks(chance: random.Random, stream: bytes) -> Iterator[bytes]:
    """Cut a stream in places that nobody would choose."""
    at, sizes = 0, chance.choice(((1, 7), (1, 60), (50, 5_000), (1 << 20, 1 << 20)))
    if len(stream) > 20_000:  # byte by byte would take a minute
        sizes = (5_000, 1 << 18)
    while at < len(stream):
        size = chance.randint(*sizes)
        yield stream[at : at + size]
        at += size
