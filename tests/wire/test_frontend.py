"""Messages of the frontend: read as PostgreSQL reads them, or None where it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import WireError
from proxy.wire.frontend import (
    BULK_TAGS,
    TAGS,
    Bind,
    Parse,
    Target,
    decode_bind,
    decode_bind_names,
    decode_execute,
    decode_function_oid,
    decode_parse,
    decode_query,
    decode_target,
)
from tests.strategies import lengthened, strings, values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PARSE: Final = b"s1\0select $1\0" + bytes.fromhex("0002 00000017 00000019")
BIND: Final = b"p1\0s1\0" + bytes.fromhex(
    "0002 0000 0001"  # formats of the parameters: text, binary
    "0002 00000002 3432 ffffffff"  # 42, NULL
    "0001 0001"  # formats of the result
)
EXECUTE: Final = b"p1\0\0\0\2\xbc"
DECODERS: Final[dict[str, tuple[Callable[[bytes], object], bytes]]] = {
    "query": (decode_query, b"select 1\0"),
    "parse": (decode_parse, PARSE),
    "bind": (decode_bind, BIND),
    "execute": (decode_execute, EXECUTE),
    "target": (decode_target, b"Ss1\0"),
}


def raw_bind(
    names: tuple[bytes, bytes],
    formats: Sequence[int],
    parameters: Sequence[bytes | None],
    result_formats: Sequence[int] = (),
) -> bytes:
    def counted(items: Sequence[bytes]) -> bytes:
        return len(items).to_bytes(2, "big") + b"".join(items)

    return (
        b"".join(name + b"\0" for name in names)
        + counted([form.to_bytes(2, "big") for form in formats])
        + counted([lengthened(value) for value in parameters])
        + counted([form.to_bytes(2, "big") for form in result_formats])
    )


def test_tags_are_those_of_the_documentation() -> None:
    """One letter for each message that a frontend sends; COPY data alone comes in bulk."""
    assert sorted(TAGS) == sorted(b"QPBDECHSFdcfpX")
    assert BULK_TAGS == b"d"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"select 1\0", b"select 1"),
        (b"\0", b""),
        (b"\xff\0", b"\xff"),
        (b"", None),
        (b"select 1", None),
        (b"select 1\0drop\0", None),
        (b"select 1\0\0", None),
        (b"\0select 1", None),
    ],
)
def test_query_is_one_string(body: bytes, text: bytes | None) -> None:
    """A zero byte ends it and stands nowhere else, or two readers read two statements."""
    assert decode_query(body) == text


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (PARSE, Parse("s1", b"select $1", b"\0\0\0\x17\0\0\0\x19")),
        (b"\0\0\0\0", Parse("", b"")),
        (b"\xe9\0\xff\0\0\0", Parse("é", b"\xff")),
        (b"s1\0select 1\0\0\1", None),
        (b"s1\0select 1\0\xff\xff", None),
        (b"s1\0sel\0ect\0\0\0", None),
    ],
)
def test_parse(body: bytes, message: Parse | None) -> None:
    """Name, text and the bytes of the types, all of which must be there."""
    assert decode_parse(body) == message


def test_parse_may_declare_as_many_types_as_two_bytes_count() -> None:
    """The count has no sign: 65,535 types are as sound as none."""
    assert decode_parse(b"\0t\0\xff\xff" + bytes(4 * 65535)) == Parse("", b"t", bytes(4 * 65535))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (BIND, Bind("p1", "s1", (0, 1), (b"42", None))),
        (raw_bind((b"", b""), [], []), Bind("", "", (), ())),
        (raw_bind((b"", b""), [1], [b"a", b""]), Bind("", "", (1,), (b"a", b""))),
        (raw_bind((b"", b""), [1], []), Bind("", "", (1,), ())),
        (raw_bind((b"", b""), [0, 1], [b"a"]), None),
        (raw_bind((b"", b""), [0, 1], []), None),
        (b"\0\0\0\0\0\1\xff\xff\xff\xfe\0\0", None),
        (b"\0\0\0\0\0\1\x80\0\0\0\0\0", None),
        (b"\0\0\0\0\0\1\x7f\xff\xff\xff\0\0", None),
        (b"\0\0\0\0\0\0", None),
        (b"\0\0\0\0\0\0\0\1", None),
    ],
)
def test_bind(body: bytes, message: Bind | None) -> None:
    """Formats and values; NULL is -1, and no other length is below zero."""
    assert decode_bind(body) == message


@given(
    st.tuples(strings, strings),
    values,
    st.sampled_from(["none", "one", "each"]),
    st.lists(st.integers(0, 1), max_size=3),
)
def test_bind_gives_back_what_was_bound(
    names: tuple[bytes, bytes], bound: list[bytes | None], formats: str, result_formats: list[int]
) -> None:
    """Any names, values and formats come out as they went in."""
    forms = {"none": [], "one": [1], "each": [index % 2 for index in range(len(bound))]}[formats]
    body = raw_bind(names, forms, bound, result_formats)

    message = decode_bind(body)

    assert message is not None
    assert (message.portal, message.statement) == tuple(one.decode("latin-1") for one in names)
    assert message.parameters == tuple(bound)
    assert message.formats == tuple(forms)
    assert decode_bind_names(body) == (message.portal, message.statement)


@pytest.mark.parametrize(
    ("formats", "expected"), [((), [0, 0, 0]), ((1,), [1, 1, 1]), ((0, 1, 0), [0, 1, 0])]
)
def test_format_of_a_parameter(formats: tuple[int, ...], expected: list[int]) -> None:
    """None given: all text; one given: it is that of all."""
    message = Bind("", "", formats, (b"1", b"2", b"3"))

    assert [message.format_of(index) for index in range(3)] == expected


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"p\0s\0", ("p", "s")),
        (b"\0\0\0", ("", "")),
        (b"p\0s\0\0\0rest\0", ("p", "s")),
        (b"p\0s", None),
        (b"p", None),
        (b"", None),
    ],
)
def test_names_of_a_bind_of_which_only_the_head_is_there(
    body: bytes, names: tuple[str, str] | None
) -> None:
    """A Bind that is too large to be collected still says what it is for."""
    assert decode_bind_names(body) == names


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (EXECUTE, ("p1", 700)),
        (bytes(5), ("", 0)),
        (b"\0\xff\xff\xff\xff", ("", 0)),
        (b"\0\x80\0\0\0", ("", 0)),
        (b"p1\0\0\0\0", None),
        (b"p1\0\0\0\0\0\0", None),
    ],
)
def test_execute(body: bytes, expected: tuple[str, int] | None) -> None:
    """Portal and row limit; PostgreSQL takes all rows for zero and for what is below it."""
    assert decode_execute(body) == expected


@pytest.mark.parametrize(
    ("body", "target"),
    [
        (b"Ss1\0", Target("S", "s1")),
        (b"P\0", Target("P", "")),
        (b"S\xe9\0", Target("S", "é")),
        (b"X\0", None),
        (b"\0", None),
        (b"", None),
        (b"SP\0x\0", None),
    ],
)
def test_target_of_describe_and_close(body: bytes, target: Target | None) -> None:
    """A prepared statement or a portal, by name; there is no third."""
    assert decode_target(body) == target


@pytest.mark.parametrize(
    ("body", "oid"), [(b"\0\0\2\xfb", 763), (b"\xff\xff\xff\xffrest", 2**32 - 1)]
)
def test_function_of_a_function_call(body: bytes, oid: int) -> None:
    """The OID stands first, without a sign."""
    assert decode_function_oid(body) == oid


@pytest.mark.parametrize("size", range(4))
def test_function_call_without_a_function_is_refused(size: int) -> None:
    """Fewer bytes than an OID name nothing."""
    said = f"FunctionCall has {size} bytes, expected at least 4"
    with pytest.raises(WireError, match=f"^{said}$"):
        decode_function_oid(bytes(size))


@pytest.mark.parametrize("name", DECODERS)
def test_a_message_cut_at_any_byte_is_none(name: str) -> None:
    """Half a message means nothing, and raises nothing."""
    decode, body = DECODERS[name]

    assert decode(body) is not None
    assert [decode(body[:cut]) for cut in range(len(body))] == [None] * len(body)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("more", [b"\0", b"x"])
def test_a_message_with_a_byte_too_many_is_none(name: str, more: bytes) -> None:
    """PostgreSQL answers "invalid message format"; so nothing may be read from it."""
    decode, body = DECODERS[name]

    assert decode(body + more) is None


@given(st.binary(max_size=40), st.sampled_from([decode for decode, _ in DECODERS.values()]))
def test_any_bytes_are_a_message_or_none(noise: bytes, decode: Callable[[bytes], object]) -> None:
    """A decoder raises nothing, whatever the frontend sends."""
    decode(noise)
    decode_bind_names(noise)


@given(st.integers(0, len(BIND) - 1), st.integers(0, 255))
def test_one_changed_byte_of_a_bind_gives_a_message_or_none(position: int, byte: int) -> None:
    """Counts and lengths that lie are found out, not followed."""
    message = decode_bind(BIND[:position] + bytes([byte]) + BIND[position + 1 :])

    assert message is None or sum(len(value or b"") for value in message.parameters) < len(BIND)
