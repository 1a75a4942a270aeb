"""The messages that we write: as documented, and read back as they were meant."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import encode
from proxy.wire.backend import decode_fields, decode_key_data
from proxy.wire.frames import Frame, FrameReader
from proxy.wire.frontend import (
    Bind,
    Parse,
    Target,
    decode_bind,
    decode_execute,
    decode_parse,
    decode_query,
    decode_target,
)
from proxy.wire.startup import CancelRequest, take_opening
from tests.strategies import strings

process_ids: Final = st.integers(0, 2**32 - 1)
secrets: Final = st.binary(min_size=4, max_size=256)


def body_of(raw: bytes) -> bytes:
    """Return the body of what is exactly one message."""
    reader = FrameReader(tags=raw[:1])
    reader.feed(raw)
    shape = reader.take()
    assert isinstance(shape, Frame)
    assert shape.raw == raw
    return shape.body


def shown(raw: bytes) -> str:
    return raw.decode("latin-1")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (encode.FLUSH, "48 00000004"),
        (encode.SYNC, "53 00000004"),
        (encode.query(b"x"), "51 00000006 78 00"),
        (encode.parse(b"s", b"x"), "50 0000000a 73 00 78 00 0000"),
        (encode.bind(b"p", b"s"), "42 0000000e 70 00 73 00 0000 0000 0000"),
        (encode.describe_portal(b"p"), "44 00000007 50 70 00"),
        (encode.execute(b"p"), "45 0000000a 70 00 00000000"),
        (encode.close(b"S", b"s"), "43 00000007 53 73 00"),
        (encode.copy_fail(b"x"), "66 00000006 78 00"),
        (encode.backend_key_data(1, b"abcd"), "4b 0000000c 00000001 61626364"),
        (encode.cancel_request(1, b"abcd"), "00000010 04d2162e 00000001 61626364"),
        (
            encode.error_response("42501", "m", detail="d", hint="h"),
            "45 00000023 53" + b"ERROR\0VERROR\0C42501\0Mm\0Dd\0Hh\0\0".hex(),
        ),
    ],
)
def test_bytes_are_those_of_the_documentation(raw: bytes, expected: str) -> None:
    """Tag, length, then the fields in the order of "Message Formats"."""
    assert raw.hex() == expected.replace(" ", "")


@given(strings, strings)
def test_what_is_written_is_read_back(name: bytes, text: bytes) -> None:
    """Encoding and decoding undo each other, for any names and texts without a zero byte."""
    assert decode_query(body_of(encode.query(text))) == text
    assert decode_parse(body_of(encode.parse(name, text))) == Parse(shown(name), text)
    assert decode_bind(body_of(encode.bind(name, text))) == Bind(shown(name), shown(text), (), ())
    assert decode_execute(body_of(encode.execute(name))) == (shown(name), 0)
    assert decode_target(body_of(encode.describe_portal(name))) == Target("P", shown(name))
    assert decode_target(body_of(encode.close(b"S", name))) == Target("S", shown(name))


@given(process_ids, secrets)
def test_keys_are_read_back(process_id: int, secret: bytes) -> None:
    """BackendKeyData and CancelRequest carry any process and a secret of any length."""
    cancel = bytearray(encode.cancel_request(process_id, secret))

    assert take_opening(cancel) == CancelRequest(process_id, secret)
    assert not cancel
    assert decode_key_data(body_of(encode.backend_key_data(process_id, secret))) == (
        process_id,
        secret,
    )


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_errors_are_sound_whatever_their_texts_hold(message: str, detail: str, hint: str) -> None:
    """Texts leave as ASCII without zero bytes: no text can end its field or begin another."""
    body = body_of(encode.error_response("42501", message, detail=detail, hint=hint))

    fields = decode_fields(body)

    wanted = "SVCM" + "D" * bool(detail) + "H" * bool(hint)
    assert set(fields) == set(wanted)
    assert fields["M"] == message.encode("ascii", "replace").replace(b"\0", b"")
    assert body.endswith(b"\0\0")
    assert body.isascii()


def test_severity_of_an_error() -> None:
    """FATAL is for a connection that closes; both severity fields say so."""
    fields = decode_fields(body_of(encode.error_response("08P01", "m", severity="FATAL")))

    assert (fields["S"], fields["V"]) == (b"FATAL", b"FATAL")
