"""A login on each leg: an application with a password, a backend with its verifier."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.session import commands as c
from proxy.session import events as e
from proxy.session.opening import Encryption
from proxy.terms.finding import Mode
from proxy.wire.backend import SASL_CONTINUE, SASL_FINAL
from proxy.wire.encode import authentication, authentication_sasl, frame, sasl_initial_response
from proxy.wire.frontend import decode_sasl_initial_response
from proxy.wire.scram import PLAIN, PLUS, Accepting
from tests.conversation import Conversation, context_of
from tests.messages import backend_message, startup
from tests.scram import Application, verifier_of

if TYPE_CHECKING:
    from proxy.wire.scram import Verifier

OURS, THEIRS = b"o" * 32, b"t" * 32
BINDING = b"p=tls-server-end-point,,"
VERIFIER = verifier_of("secret")
OK = authentication(0, b"")


class _Login:
    """A session up to its login; Vigie has a verifier of ``app``."""

    def __init__(
        self, *, has_tls: bool = True, kept: Verifier = VERIFIER, mode: Mode = Mode.ENFORCE
    ) -> None:
        self.talk = Conversation(context_of(mode=mode), encryption=Encryption.REQUIRED)
        self.backend = Accepting(kept, b"backend" * 3, THEIRS if has_tls else b"")
        self.talk.say("> SSLRequest", loosely=True)
        self.talk.send(e.FrontendEncrypted(None, None, OURS, {"app": VERIFIER}))
        self.talk.send(e.FrontendBytes(startup("user=app", "database=lab")))
        if has_tls:
            self.talk.send(e.BackendEncrypted(presents_ours=False, end_point=THEIRS))

    def offered(self) -> list[c.Command]:
        return self.talk.send(e.BackendBytes(authentication_sasl(self.backend.mechanisms)))

    def choose(self, application: Application, mechanism: bytes) -> list[c.Command]:
        """Let the application choose; return what Vigie makes of the backend's challenge."""
        message = sasl_initial_response(mechanism, application.first_message)
        told = self.talk.send(e.FrontendBytes(message))
        (asked,) = (one.data for one in told if isinstance(one, c.SendBackend))
        challenge = self.backend.challenge(*decode_sasl_initial_response(asked[5:]))
        return self.talk.send(e.BackendBytes(authentication(SASL_CONTINUE, challenge)))

    def log_in(self, application: Application, mechanism: bytes) -> list[c.Command]:
        """Carry on up to what the application is told of its proof."""
        self.offered()
        (challenge,) = to_frontend(self.choose(application, mechanism))
        proof = frame(ord("p"), application.prove(challenge[9:]))
        told = self.talk.send(e.FrontendBytes(proof))
        proofs = [one.data for one in told if isinstance(one, c.SendBackend)]
        if any(isinstance(one, c.CloseFrontend) for one in told):
            return told
        _, farewell = self.backend.accept(proofs[0][5:])
        return self.talk.send(e.BackendBytes(authentication(SASL_FINAL, farewell)))


def to_frontend(told: list[c.Command]) -> list[bytes]:
    return [one.data for one in told if isinstance(one, c.SendFrontend)]


@pytest.mark.parametrize("has_tls", [True, False])
@pytest.mark.parametrize(
    ("mechanism", "header"), [(PLUS, BINDING), (PLAIN, b"n,,")], ids=["bound", "not bound"]
)
def test_a_password_is_proved_on_each_leg(
    mechanism: bytes, header: bytes, *, has_tls: bool
) -> None:
    """Each with the certificate of its own leg; then the session goes on as any other."""
    login = _Login(has_tls=has_tls)
    application = Application("secret", header, OURS if mechanism == PLUS else b"")

    (farewell,) = to_frontend(login.log_in(application, mechanism))

    assert application.believes(farewell[9:])
    assert to_frontend(login.talk.send(e.BackendBytes(OK))) == [OK]
    login.talk.say("<<< ReadyForQuery I", loosely=True)
    assert login.talk.session.is_ready


@pytest.mark.parametrize("mode", Mode)
def test_a_wrong_password_gets_no_further(mode: Mode) -> None:
    """As PostgreSQL tells it, and the backend never hears of it; in observe mode as well."""
    login = _Login(mode=mode)

    told = login.log_in(Application("guess", BINDING, OURS), PLUS)

    (fatal,) = to_frontend(told)
    assert b"C28P01\0" in fatal
    assert b'password authentication failed for user "app"' in fatal
    assert isinstance(told[0], c.LoginFailed)
    assert not any(one.data[:1] == b"p" for one in told if isinstance(one, c.SendBackend))


def test_a_changed_password_is_told_as_such() -> None:
    """The verifier is not the database's any more: not the application's fault, and no riddle."""
    login = _Login(kept=verifier_of("new", salt=b"another salt"))
    login.offered()

    (fatal,) = to_frontend(login.choose(Application("new", BINDING, OURS), PLUS))

    assert b"C28000\0" in fatal
    assert b"is not the database's" in fatal
    assert b"SIGHUP" in fatal


def test_a_backend_that_does_not_know_the_verifier_is_not_believed() -> None:
    """It has its salt, and cannot prove more: nobody is let in by it."""
    login = _Login(mode=Mode.OBSERVE)
    application = Application("secret", BINDING, OURS)
    login.offered()
    (challenge,) = to_frontend(login.choose(application, PLUS))
    login.talk.send(e.FrontendBytes(frame(ord("p"), application.prove(challenge[9:]))))

    told = login.talk.send(e.BackendBytes(authentication(SASL_FINAL, b"v=AAAA")))

    (fatal,) = to_frontend(told)
    assert b"does not know the verifier" in fatal
    assert isinstance(told[-1], c.CloseFrontend)


@pytest.mark.parametrize("mode", Mode)
def test_a_message_out_of_turn_ends_the_login(mode: Mode) -> None:
    """A second choice, or a proof before there is a challenge."""
    login = _Login(mode=mode)
    application = Application("secret", BINDING, OURS)
    choice = sasl_initial_response(PLUS, application.first_message)
    login.offered()

    told = login.talk.send(e.FrontendBytes(choice + choice))

    (fatal,) = to_frontend(told)
    assert b"C08P01\0" in fatal
    assert isinstance(told[-1], c.CloseFrontend)


@pytest.mark.parametrize("kind", [2, 5, SASL_FINAL])
def test_the_backend_keeps_its_turn(kind: int) -> None:
    """Another method, or an end before the beginning, is no SCRAM."""
    login = _Login()
    login.offered()

    told = login.talk.send(e.BackendBytes(authentication(kind, bytes(4))))

    assert c.ProtocolFault("backend", told[0].reason) == told[0]  # type: ignore[union-attr]


def test_one_certificate_or_no_verifier_passes_through() -> None:
    """What works without Vigie's doing is left alone."""
    both = authentication_sasl([PLUS, PLAIN])
    for role, presents_ours in (("app", True), ("other", False)):
        talk = Conversation(encryption=Encryption.REQUIRED)
        talk.say("> SSLRequest", loosely=True)
        talk.send(e.FrontendEncrypted(None, None, OURS, {"app": VERIFIER}))
        talk.send(e.FrontendBytes(startup(f"user={role}", "database=lab")))
        talk.send(e.BackendEncrypted(presents_ours, THEIRS))
        talk.send(e.BackendBytes(both))
        choice = sasl_initial_response(PLAIN, b"n,,n=,r=abc")

        assert talk.send(e.FrontendBytes(choice)) == [c.SendBackend(choice)]


def test_an_error_of_the_backend_is_passed_on() -> None:
    """A role that may not log in, after all that."""
    login = _Login()
    login.offered()

    told = login.talk.send(e.BackendBytes(backend_message("ErrorResponse 28000 no FATAL")))

    assert backend_message("ErrorResponse 28000 no FATAL") in to_frontend(told)


def test_the_verifier_is_not_shown() -> None:
    """Neither in what is logged of a session nor in an error."""
    assert "stored_key" not in repr(replace(VERIFIER))
