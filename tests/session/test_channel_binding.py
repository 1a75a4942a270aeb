"""SCRAM channel binding: what the frontend is offered, and when it cannot work."""

from __future__ import annotations

import pytest

from proxy.session import commands as c
from proxy.session import events as e
from proxy.session.opening import Encryption
from proxy.wire.encode import authentication_sasl, frame
from tests.conversation import Conversation
from tests.messages import startup

PLUS, PLAIN = b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"
BOTH = authentication_sasl([PLUS, PLAIN])
REASON = b"SCRAM channel binding cannot pass: Vigie's certificate is not the database's"


def opened(*, frontend: bool, backend: str | None) -> Conversation:
    """Return a session up to where the backend is reached; ``backend``: ours, other, no TLS."""
    talk = Conversation(encryption=Encryption.OFFERED)
    if frontend:
        talk.say("> SSLRequest", loosely=True)
        talk.send(e.FrontendEncrypted())
    talk.send(e.FrontendBytes(startup("user=app", "database=lab")))
    if backend is not None:
        talk.send(e.BackendEncrypted(presents_ours=backend == "ours"))
    return talk


def chosen(mechanism: bytes) -> e.FrontendBytes:
    return e.FrontendBytes(frame(ord("p"), mechanism + b"\0" + bytes(4)))


@pytest.mark.parametrize("backend", [None, "ours", "other"])
def test_a_frontend_without_tls_is_not_offered_what_needs_it(backend: str | None) -> None:
    """Libpq refuses to go on when it is: "offered SCRAM-SHA-256-PLUS over a non-SSL connection"."""
    talk = opened(frontend=False, backend=backend)

    told = talk.send(e.BackendBytes(BOTH))

    assert told == [c.SendFrontend(authentication_sasl([PLAIN]))]


@pytest.mark.parametrize("backend", [None, "ours", "other"])
def test_nothing_is_taken_off_the_list_within_tls(backend: str | None) -> None:
    """It would be a downgrade, which the frontend signs and the backend refuses."""
    talk = opened(frontend=True, backend=backend)

    told = talk.send(e.BackendBytes(BOTH))

    assert told == [c.SendFrontend(BOTH)]


@pytest.mark.parametrize(
    ("backend", "mechanism", "passes"),
    [
        ("ours", PLUS, True),
        ("ours", PLAIN, True),
        ("other", PLAIN, True),
        ("other", PLUS, False),
        (None, PLAIN, True),
    ],
)
def test_a_choice_that_cannot_work_is_told(
    backend: str | None, mechanism: bytes, *, passes: bool
) -> None:
    """By its reason and the remedies, and not as the backend's "channel binding check failed"."""
    talk = opened(frontend=True, backend=backend)
    talk.send(e.BackendBytes(BOTH if backend else authentication_sasl([PLAIN])))
    choice = chosen(mechanism)

    told = talk.send(choice)

    if passes:
        assert told == [c.SendBackend(choice.chunk)]
        return
    (fatal,) = (one.data for one in told if isinstance(one, c.SendFrontend))
    assert b"C28000\0" in fatal
    assert REASON in fatal
    assert b"channel_binding=disable" in fatal
    assert isinstance(told[0], c.LoginFailed)


def test_only_the_choice_is_read() -> None:
    """A password, or what follows the choice, is never looked at."""
    talk = opened(frontend=True, backend="other")
    talk.send(e.BackendBytes(frame(ord("R"), (3).to_bytes(4, "big"))))  # a password in the clear
    password = chosen(PLUS)

    assert talk.send(password) == [c.SendBackend(password.chunk)]
