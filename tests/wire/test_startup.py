"""The opening messages: read as PostgreSQL reads them, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import WireError
from proxy.wire.startup import (
    LARGEST,
    CancelRequest,
    GSSENCRequest,
    Opening,
    SSLRequest,
    StartupMessage,
    take_opening,
)
from tests.strategies import chunk_sizes, chunks

SSL = bytes.fromhex("00000008 04d2162f")
GSSENC = bytes.fromhex("00000008 04d21630")
CANCEL = bytes.fromhex("00000010 04d2162e 00001092 deadbeef")
USER = b"user\0lims_app\0database\0lab\0options\0\0\0"


def startup(body: bytes, version: int = 0x30000) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + version.to_bytes(4, "big") + body


def message_of(body: bytes, version: int = 0x30000) -> StartupMessage:
    opening = take_opening(bytearray(startup(body, version)))
    assert isinstance(opening, StartupMessage)
    return opening


def as_postgresql_reads(body: bytes) -> dict[bytes, bytes] | None:
    """ProcessStartupPacket's loop; None where it answers "invalid startup packet layout".

    It does not look at the last byte; one that is not zero is refused here.
    """
    at = 0
    found: dict[bytes, bytes] = {}
    while at < len(body) and body[at] != 0:
        name = body[at:].split(b"\0")[0]
        value_at = at + len(name) + 1
        if value_at >= len(body):
            break
        found[name] = body[value_at:].split(b"\0")[0]
        at = value_at + len(found[name]) + 1
    return found if at == len(body) - 1 and body[-1] == 0 else None


@pytest.mark.parametrize(
    ("raw", "opening"),
    [
        (SSL, SSLRequest()),
        (GSSENC, GSSENCRequest()),
        (CANCEL, CancelRequest(4242, b"\xde\xad\xbe\xef")),
        (
            bytes.fromhex("0000010c 04d2162e ffffffff") + bytes(256),
            CancelRequest(0xFFFFFFFF, bytes(256)),
        ),
        (
            startup(USER),
            StartupMessage(
                3, 0, {"user": "lims_app", "database": "lab", "options": ""}, startup(USER)
            ),
        ),
        (startup(b"\0", 0x30002), StartupMessage(3, 2, {}, startup(b"\0", 0x30002))),
    ],
)
def test_each_opening_as_documented(raw: bytes, opening: Opening) -> None:
    """The bytes of "Message Formats"; what follows stays in the buffer."""
    buffer = bytearray(raw + b"next")

    assert take_opening(buffer) == opening
    assert buffer == b"next"


@pytest.mark.parametrize("raw", [SSL, GSSENC, CANCEL, startup(USER)])
def test_an_unfinished_opening_waits_at_each_byte(raw: bytes) -> None:
    """Nothing is taken off before the last byte has come."""
    for cut in range(len(raw)):
        buffer = bytearray(raw[:cut])

        assert take_opening(buffer) is None
        assert buffer == raw[:cut]


@given(chunk_sizes)
def test_openings_do_not_depend_on_chunking(sizes: list[int]) -> None:
    """TLS is asked for, refused, and the StartupMessage follows, in any pieces."""
    buffer, openings = bytearray(), []
    for chunk in chunks(GSSENC + SSL + startup(USER), sizes):
        buffer += chunk
        while (opening := take_opening(buffer)) is not None:
            openings.append(opening)

    assert [type(one) for one in openings] == [GSSENCRequest, SSLRequest, StartupMessage]
    assert not buffer


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"GET ", "not a StartupMessage: announces 1195725856 bytes, expected 8 to 10004"),
        (b"\0\0\0\7", "not a StartupMessage: announces 7 bytes, expected 8 to 10004"),
        (b"\0\0\x27\x15", "not a StartupMessage: announces 10005 bytes, expected 8 to 10004"),
        (b"\x16\3\1", "direct TLS is not configured; expected a StartupMessage or SSLRequest"),
        (b"\0\0\0\x09\x04\xd2\x16\x2f\0", "SSLRequest has 9 bytes, expected 8 to 8"),
        (b"\0\0\0\x09\x04\xd2\x16\x30\0", "GSSENCRequest has 9 bytes, expected 8 to 8"),
        (
            b"\0\0\0\x0f\x04\xd2\x16\x2e" + bytes(7),
            "CancelRequest has 15 bytes, expected 16 to 268",
        ),
        (
            b"\0\0\x01\x0d\x04\xd2\x16\x2e" + bytes(261),
            "CancelRequest has 269 bytes, expected 16 to 268",
        ),
        (startup(b""), "StartupMessage does not end with a zero byte"),
        (startup(b"user"), "StartupMessage does not end with a zero byte"),
        (startup(b"user\0"), "StartupMessage has a string that does not end with a zero byte"),
        (startup(b"user\0a\0"), "StartupMessage has a string that does not end with a zero byte"),
        (startup(b"user\0\0"), "StartupMessage has a parameter without a value"),
        (startup(b"\0\0"), "StartupMessage has a parameter without a value"),
        (startup(b"user\0a\0\0b\0\0"), "StartupMessage has bytes after its last parameter"),
        (startup(b"user\0\xe9\0\0"), "StartupMessage has a parameter that is not UTF-8"),
        (
            startup(b"user\0" + b"u" * 64 + b"\0\0"),
            "StartupMessage has a user of 64 bytes, expected at most 63",
        ),
        (
            startup(b"database\0" + "é".encode() * 32 + b"\0\0"),
            "StartupMessage has a database of 64 bytes, expected at most 63",
        ),
    ],
)
def test_damaged_openings_are_refused(raw: bytes, said: str) -> None:
    """Each says what is wrong, and leaves the buffer as it was."""
    buffer = bytearray(raw)

    with pytest.raises(WireError) as caught:
        take_opening(buffer)

    assert str(caught.value) == said
    assert buffer == raw


def test_the_largest_opening_is_postgresqls() -> None:
    """10,000 bytes may follow the length field, as in the backend."""
    filler = b"a" * (LARGEST - 8 - len(b"options\0\0\0"))

    assert message_of(b"options\0" + filler + b"\0\0").parameters == {"options": filler.decode()}


@pytest.mark.parametrize("position", range(len(startup(USER))))
@pytest.mark.parametrize("byte", [0, 0x41, 0xFF])
def test_one_changed_byte_gives_an_opening_or_an_error(position: int, byte: int) -> None:
    """No damage of a StartupMessage raises anything but WireError."""
    damaged = bytearray(startup(USER))
    damaged[position] = byte
    try:
        opening = take_opening(damaged)
    except WireError:
        return

    assert opening is None or isinstance(opening, StartupMessage)


@given(st.binary(max_size=40))
def test_any_bytes_are_an_opening_too_few_or_an_error(noise: bytes) -> None:
    """Whoever connects may send anything: nothing but WireError comes of it."""
    buffer = bytearray(noise)
    try:
        opening = take_opening(buffer)
    except WireError:
        opening = None

    if opening is None:
        assert buffer == noise


@given(st.lists(st.sampled_from([b"\0", b"a", b"b", b"user"]), max_size=10).map(b"".join))
@example(b"")
@example(b"a\0b\0a\0\0\0")
def test_the_layout_is_read_as_postgresql_reads_it(body: bytes) -> None:
    """Accepted and refused alike, with the same values: no user can be one here and two there."""
    wanted = as_postgresql_reads(body)
    if wanted is None:
        with pytest.raises(WireError):
            message_of(body)
        return

    found = {name.encode(): value.encode() for name, value in message_of(body).parameters.items()}

    assert found == wanted


def test_of_two_parameters_with_one_name_the_last_holds() -> None:
    """PostgreSQL logs in the second user; charging the first would charge nobody."""
    message = message_of(b"user\0desk\0user\0lims_app\0\0")

    assert message.parameters == {"user": "lims_app"}


@pytest.mark.parametrize("version", [0x20000, 0x40000, 0x04D20000, 0])
def test_another_version_is_told_by_its_number(version: int) -> None:
    """Its layout is not known, so only its number is read: the answer names it."""
    message = message_of(b"\0" * 288, version)

    assert (message.major, message.minor) == (version >> 16, 0)
    assert message.parameters == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, False),
        ("off", False),
        ("FALSE", False),
        ("no", False),
        ("0", False),
        ("f", False),
        ("N", False),
        ("database", True),
        ("on", True),
        ("true", True),
        ("1", True),
        ("", True),
        ("of", True),
        ("maybe", True),
    ],
)
def test_replication(value: str | None, expected: bool) -> None:
    """Whatever is not clearly "off" is a walsender, which sends the whole database."""
    body = b"\0" if value is None else b"replication\0" + value.encode() + b"\0\0"

    assert message_of(body).is_replication is expected
