"""What a frontend asks for beyond what Vigie knows: it is told so, and the backend is not asked."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import WireError
from proxy.session import commands as c
from proxy.session import events as e
from proxy.session.negotiation import Unasked, known_part
from proxy.wire.backend import decode_negotiation
from proxy.wire.startup import StartupMessage, take_opening
from tests.conversation import Conversation
from tests.messages import backend_message, startup


def started(*parameters: str, minor: int = 0) -> StartupMessage:
    found = take_opening(bytearray(startup(*parameters, version=3 << 16 | minor)))
    assert isinstance(found, StartupMessage)
    return found


@pytest.mark.parametrize("minor", [0, 1, 2])
def test_versions_that_are_known_pass_as_they_came(minor: int) -> None:
    """Byte for byte: the backend negotiates."""
    asked = started("user=app", minor=minor)

    assert known_part(asked) == (asked.raw, None)


@pytest.mark.parametrize(
    ("minor", "options", "sent", "unasked"),
    [
        (3, [], 2, Unasked(2, ())),
        (9999, ["_pq_.a=1"], 2, Unasked(2, ("_pq_.a",))),
        (0, ["_pq_.b=x", "_pq_.a=1"], 0, Unasked(0, ("_pq_.b", "_pq_.a"))),
    ],
)
def test_what_is_not_known_is_left_out(
    minor: int, options: list[str], sent: int, unasked: Unasked
) -> None:
    """The rest arrives in its order."""
    raw, left_out = known_part(started("user=app", *options, "database=lab", minor=minor))
    found = take_opening(bytearray(raw))

    assert isinstance(found, StartupMessage)
    assert (found.minor, list(found.parameters.items())) == (
        sent,
        [("user", "app"), ("database", "lab")],
    )
    assert left_out == unasked


def told(talk: Conversation, message: bytes) -> list[bytes]:
    return [
        one.data for one in talk.send(e.BackendBytes(message)) if isinstance(one, c.SendFrontend)
    ]


def test_a_backend_that_knows_all_it_was_asked_for_does_not_speak_of_it() -> None:
    """So Vigie does, before authentication, and once."""
    talk = Conversation()
    talk.send(e.FrontendBytes(startup("user=app", "_pq_.x=1", version=3 << 16 | 9)))
    first = told(talk, backend_message("Authentication 3"))
    again = told(talk, backend_message("Authentication 0"))

    assert first == [
        b"v\0\0\0\x13\0\3\0\2\0\0\0\1_pq_.x\0",
        backend_message("Authentication 3"),
    ]
    assert again == [backend_message("Authentication 0")]


def test_an_older_backend_has_the_last_word_on_the_version() -> None:
    """Its own answer passes, with what was not asked of it."""
    talk = Conversation()
    talk.send(e.FrontendBytes(startup("user=app", "_pq_.x=1", version=3 << 16 | 9)))
    (answer,) = told(talk, b"v\0\0\0\x0c\0\3\0\0\0\0\0\0")

    assert decode_negotiation(answer[5:]) == (3 << 16, ("_pq_.x",))


def test_an_error_needs_no_negotiation() -> None:
    """The start is over anyway."""
    talk = Conversation()
    talk.send(e.FrontendBytes(startup("user=app", version=3 << 16 | 9)))
    error = backend_message('ErrorResponse 57P03 "the database system is starting up" FATAL')

    assert told(talk, error) == [error]


@given(st.integers(0, 2**32 - 1), st.lists(st.text("abc_.", min_size=1), max_size=4))
def test_a_negotiation_is_read_as_it_was_written(version: int, options: list[str]) -> None:
    """Any version, any options."""
    names = b"".join(name.encode() + b"\0" for name in options)
    body = struct.pack(">II", version, len(options)) + names

    assert decode_negotiation(body) == (version, tuple(options))


@pytest.mark.parametrize("body", [b"", bytes(7), bytes(4) + b"\0\0\0\1", bytes(8) + b"a", bytes(9)])
def test_a_damaged_negotiation_is_an_error(body: bytes) -> None:
    """Cut short, or with another number of options than it says."""
    with pytest.raises(WireError, match="NegotiateProtocolVersion"):
        decode_negotiation(body)
