"""FrameReader: the same messages come out, however the bytes were cut."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import WireError
from proxy.wire.frames import LARGEST_LENGTH, Frame, FrameReader, Piece, Run, frames_in
from tests.strategies import chunk_sizes, chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TAGS: Final = b"QZDd"
BULK: Final = b"Dd"
CEILING: Final = 32

messages = st.lists(st.tuples(st.sampled_from(TAGS), st.binary(max_size=50)), max_size=8)


def raw_frame(tag: int, body: bytes) -> bytes:
    return bytes([tag]) + (4 + len(body)).to_bytes(4, "big") + body


def new_reader() -> FrameReader:
    return FrameReader(tags=TAGS, bulk_tags=BULK, ceiling_bytes=CEILING)


def drain(reader: FrameReader) -> Iterator[Frame | Run | Piece]:
    while (shape := reader.take()) is not None:
        yield shape


def read(stream: bytes, sizes: list[int]) -> list[Frame | Run | Piece]:
    reader = new_reader()
    shapes: list[Frame | Run | Piece] = []
    for chunk in chunks(stream, sizes):
        reader.feed(chunk)
        shapes += drain(reader)
    assert reader.pending_bytes == 0
    return shapes


def messages_in(shapes: Iterable[Frame | Run | Piece]) -> list[tuple[type, int, bytes]]:
    """Return (shape, tag, bytes) of each message; the shape without how often it was cut."""
    found: list[tuple[type, int, bytes]] = []
    open_bytes = b""
    for shape in shapes:
        match shape:
            case Frame(tag, raw):
                found.append((Frame, tag, raw))
            case Run(tag, raw, count):
                frames = [raw[start:end] for start, end in frames_in(raw)]
                assert len(frames) == count
                found += [(Run, tag, one) for one in frames]
            case Piece(tag, raw, size, first, last):
                assert first == (not open_bytes)
                assert raw
                open_bytes += raw
                assert last == (len(open_bytes) == size)
                if last:
                    found.append((Piece, tag, open_bytes))
                    open_bytes = b""
    assert not open_bytes
    return found


@given(messages, chunk_sizes)
def test_messages_do_not_depend_on_chunking(
    messages: list[tuple[int, bytes]], sizes: list[int]
) -> None:
    """Any cut of a stream gives its messages byte for byte, in the shape that their size asks."""
    frames = [(tag, raw_frame(tag, body)) for tag, body in messages]
    stream = b"".join(raw for _, raw in frames)

    shapes = read(stream, sizes)

    assert b"".join(shape.raw for shape in shapes) == stream
    assert messages_in(shapes) == [
        (Piece if len(raw) > CEILING else Run if tag in BULK else Frame, tag, raw)
        for tag, raw in frames
    ]


@given(messages)
def test_a_stream_in_one_chunk_gives_the_longest_runs(messages: list[tuple[int, bytes]]) -> None:
    """Neighbours of one bulk tag come as one shape, or a million rows would be a million steps."""
    stream = b"".join(raw_frame(tag, body) for tag, body in messages)

    shapes = read(stream, [len(stream) + 1])

    assert not any(
        isinstance(left, Run) and isinstance(right, Run) and left.tag == right.tag
        for left, right in pairwise(shapes)
    )


@given(st.binary(max_size=80), chunk_sizes)
def test_any_bytes_give_shapes_or_an_error(noise: bytes, sizes: list[int]) -> None:
    """Whatever arrives, what is handed out is what was received, in order; else WireError."""
    reader, taken = new_reader(), b""
    try:
        for chunk in chunks(noise, sizes):
            reader.feed(chunk)
            for shape in drain(reader):
                taken += shape.raw
    except WireError:
        pass

    assert noise.startswith(taken)


@pytest.mark.parametrize("tag", [ord("Q"), ord("D")])
def test_an_unfinished_message_waits_at_each_byte(tag: int) -> None:
    """Nothing is handed out before the last byte, and nothing is lost by asking."""
    whole = raw_frame(tag, b"select 1\0")
    for cut in range(len(whole)):
        reader = new_reader()
        reader.feed(whole[:cut])

        assert reader.take() is None
        assert reader.pending_bytes == cut

        reader.feed(whole[cut:])
        shape = reader.take()
        assert shape is not None
        assert shape.raw == whole


@pytest.mark.parametrize("length", [0, 3, LARGEST_LENGTH + 1, 0xFFFFFFFF])
def test_impossible_length_is_refused_from_the_header(length: int) -> None:
    """Too short to be, or more than PostgreSQL holds: it fails at once, though no body came."""
    reader = new_reader()
    reader.feed(b"D" + length.to_bytes(4, "big"))

    bounds = f"message 'D' announces {length} bytes, expected 4 to {LARGEST_LENGTH}"
    with pytest.raises(WireError, match=f"^{bounds}$"):
        reader.take()


@pytest.mark.parametrize("length", [5, LARGEST_LENGTH])
def test_possible_length_waits_for_the_body(length: int) -> None:
    """The bounds themselves are lengths like any other."""
    reader = new_reader()
    reader.feed(b"D" + length.to_bytes(4, "big"))

    assert reader.take() is None


def test_a_message_may_have_no_body() -> None:
    """Sync, Flush and Terminate are five bytes."""
    reader = new_reader()
    reader.feed(b"Z\0\0\0\4")

    assert reader.take() == Frame(ord("Z"), b"Z\0\0\0\4")
    assert reader.take() is None


def test_unknown_tag_is_refused_from_its_first_byte() -> None:
    """What is no message cannot be skipped, for its length means nothing."""
    reader = new_reader()
    reader.feed(b"\x16")

    with pytest.raises(WireError, match=r"^unknown message type 0x16$"):
        reader.take()


@pytest.mark.parametrize("fault", [b"?", b"D\0\0\0\3", b"D\xff\xff\xff\xff"])
@pytest.mark.parametrize("tag", [ord("Q"), ord("D")])
def test_a_fault_does_not_swallow_what_stands_before_it(tag: int, fault: bytes) -> None:
    """Two sound messages come out first; then the fault, at each call."""
    sound = raw_frame(tag, b"1") + raw_frame(tag, b"2")
    reader = new_reader()
    reader.feed(sound + fault)

    taken = b""
    while len(taken) < len(sound):
        shape = reader.take()
        assert shape is not None
        taken += shape.raw

    assert taken == sound
    for _ in range(2):
        with pytest.raises(WireError):
            reader.take()


@pytest.mark.parametrize(
    ("tag", "body_bytes", "shape"),
    [
        (ord("Q"), CEILING - 6, Frame),
        (ord("Q"), CEILING - 5, Frame),
        (ord("Q"), CEILING - 4, Piece),
        (ord("D"), CEILING - 6, Run),
        (ord("D"), CEILING - 5, Run),
        (ord("D"), CEILING - 4, Piece),
    ],
)
@pytest.mark.parametrize("chunk", [1, CEILING, 10 * CEILING])
def test_the_ceiling_is_inclusive(
    tag: int, body_bytes: int, shape: type[Frame | Run | Piece], chunk: int
) -> None:
    """Tag and length counted, and whether or not all of it has arrived."""
    whole = raw_frame(tag, bytes(body_bytes))

    assert messages_in(read(whole, [chunk])) == [(shape, tag, whole)]


def test_pieces_say_what_they_are_part_of() -> None:
    """The first holds the header and as much as the ceiling; each knows the whole size."""
    whole = raw_frame(ord("D"), bytes(75))
    reader = new_reader()

    reader.feed(whole[: CEILING - 1])
    assert reader.take() is None
    reader.feed(whole[CEILING - 1 : CEILING])
    assert reader.take() == Piece(ord("D"), whole[:CEILING], 80, first=True, last=False)
    assert reader.take() is None
    reader.feed(whole[CEILING:70])
    assert reader.take() == Piece(ord("D"), whole[CEILING:70], 80, first=False, last=False)
    reader.feed(whole[70:] + b"Z\0\0\0\4")
    assert reader.take() == Piece(ord("D"), whole[70:], 80, first=False, last=True)
    assert reader.take() == Frame(ord("Z"), b"Z\0\0\0\4")


def test_a_large_message_is_never_collected() -> None:
    """Memory stays at the ceiling and one chunk, however large the message is."""
    whole = raw_frame(ord("d"), bytes(100 * CEILING))
    reader, most = new_reader(), 0
    for chunk in chunks(whole, [8]):
        reader.feed(chunk)
        most = max(most, reader.pending_bytes)
        list(drain(reader))

    assert most <= CEILING + 8


def test_a_large_message_among_rows_ends_the_run() -> None:
    """What stands before and behind it is read as if it were not there."""
    row, large = raw_frame(ord("D"), b"12"), raw_frame(ord("D"), bytes(CEILING))

    assert read(row + row + large + row, [200]) == [
        Run(ord("D"), row + row, 2),
        Piece(ord("D"), large, len(large), first=True, last=True),
        Run(ord("D"), row, 1),
    ]


def test_body_is_what_follows_the_header() -> None:
    """The same bytes, without tag and length."""
    assert Frame(ord("Z"), raw_frame(ord("Z"), b"I")).body == b"I"
