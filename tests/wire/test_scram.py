"""SCRAM-SHA-256 from both ends: by the RFC's own example, and against an application of our own."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import WireError
from proxy.wire.scram import PLAIN, PLUS, Accepting, Beginning, WrongProofError, parse_verifier
from tests.scram import Application, text_of, verifier_of

HASH = bytes(range(32))
BINDING = b"p=tls-server-end-point,,"
PENCIL = verifier_of("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)


def test_the_example_of_the_rfc() -> None:
    """RFC 7677, section 3, message by message."""
    end = Accepting(PENCIL, b"", b"")
    end._nonce = b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"

    challenge = end.challenge(PLAIN, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    _, farewell = end.accept(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )

    assert challenge == (
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert farewell == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.mark.parametrize("end_point", [b"", HASH])
def test_one_proof_makes_another(end_point: bytes) -> None:
    """An application proves its password to one end, and the other end proves it to a database."""
    verifier = verifier_of("secret")
    application = Application("secret", BINDING, HASH)
    ours = Accepting(verifier, b"a" * 18, HASH)
    beginning, database = (
        Beginning(verifier, b"b" * 18, end_point),
        Accepting(verifier, b"c" * 18, end_point),
    )

    key, farewell = ours.accept(application.prove(ours.challenge(PLUS, application.first_message)))
    same = beginning.has_same_verifier(
        database.challenge(beginning.mechanism, beginning.first_message)
    )
    _, proof = database.accept(beginning.prove(key))
    beginning.expect_proof(proof)

    assert same
    assert application.believes(farewell)
    assert beginning.mechanism == (PLUS if end_point else PLAIN)


@given(st.text(max_size=20), st.text(max_size=20))
def test_only_the_password_is_a_proof(password: str, given_one: str) -> None:
    """Whatever else is given is 28P01."""
    end = Accepting(verifier_of(password, iterations=1), b"a" * 18, b"")
    application = Application(given_one)
    message = application.prove(end.challenge(PLAIN, application.first_message))

    if password.encode() == given_one.encode():
        assert application.believes(end.accept(message)[1])
    else:
        with pytest.raises(WrongProofError):
            end.accept(message)


@pytest.mark.parametrize(
    ("mechanism", "message", "problem"),
    [
        (PLAIN, b"y,,n=,r=abc", "channel binding negotiation error"),
        (PLAIN, BINDING + b"n=,r=abc", "does not go with the mechanism"),
        (PLUS, b"n,,n=,r=abc", "does not go with the mechanism"),
        (PLUS, b"p=tls-unique,,n=,r=abc", "does not go with the mechanism"),
        (b"SCRAM-SHA-1", b"n,,n=,r=abc", "is malformed"),
        (PLAIN, b"n,a=dba,n=,r=abc", "authorization identity"),
        (PLAIN, b"n,,m=x,n=,r=abc", "is malformed"),
        (PLAIN, b"n,,n=,r=", "is malformed"),
        (PLAIN, b"n,,n=,r=a b", "is malformed"),
        (PLAIN, b"", "is malformed"),
    ],
)
def test_what_is_no_beginning(mechanism: bytes, message: bytes, problem: str) -> None:
    """A downgrade, another binding, an identity that is not the role's, or no SCRAM at all."""
    with pytest.raises(WireError, match=problem):
        Accepting(PENCIL, b"a" * 18, HASH).challenge(mechanism, message)


def test_another_certificate_is_noticed() -> None:
    """Somebody in between presents one of his own to the application."""
    end = Accepting(PENCIL, b"a" * 18, HASH)
    application = Application("pencil", BINDING, bytes(32))
    message = application.prove(end.challenge(PLUS, application.first_message))

    with pytest.raises(WireError, match="channel binding check failed"):
        end.accept(message)


@pytest.mark.parametrize("damage", [b"", b"c=biws", b"c=biws,r=x,p=AAAA", b"%b,p=AAAA", b"%b,p=!"])
def test_what_is_no_proof(damage: bytes) -> None:
    """Cut, of another exchange, too short, or no base64: malformed, and never a wrong password."""
    end = Accepting(PENCIL, b"a" * 18, b"")
    challenge = end.challenge(PLAIN, b"n,,n=,r=abc")
    nonce = b"c=biws," + challenge.partition(b",")[0]

    with pytest.raises(WireError, match=r"malformed|bytes, expected 32|not base64") as caught:
        end.accept(damage.replace(b"%b", nonce))

    assert not isinstance(caught.value, WrongProofError)


@pytest.mark.parametrize(
    "challenge",
    [b"", b"r=x,s=AAAA,i=1", b"r=%b,s=AAAA,i=1", b"r=%bx,s=!,i=1", b"m=x,r=%bx,s=AAAA,i=1"],
)
def test_what_is_no_challenge(challenge: bytes) -> None:
    """One that does not answer us, adds nothing of its own, or is no SCRAM."""
    end = Beginning(PENCIL, b"b" * 18, b"")
    with pytest.raises(WireError, match=r"malformed|no nonce|not base64"):
        end.has_same_verifier(challenge.replace(b"%b", end._nonce))


@pytest.mark.parametrize(("salt", "iterations"), [(b"other", 4096), (PENCIL.salt, 4097)])
def test_another_verifier_is_noticed_by_its_salt(salt: bytes, iterations: int) -> None:
    """A changed password has a new salt, before anybody proves anything."""
    end = Beginning(PENCIL, b"b" * 18, b"")
    challenge = b"r=%bx,s=%b,i=%d" % (end._nonce, base64.b64encode(salt), iterations)

    assert not end.has_same_verifier(challenge)


def test_a_database_that_does_not_know_the_verifier_is_noticed() -> None:
    """The proof is of either side."""
    end = Beginning(PENCIL, b"b" * 18, b"")
    end.has_same_verifier(b"r=%bx,s=%b,i=4096" % (end._nonce, base64.b64encode(PENCIL.salt)))
    end.prove(bytes(32))

    with pytest.raises(WrongProofError):
        end.expect_proof(b"v=" + base64.b64encode(bytes(32)))


def test_verifiers_are_read_as_postgresql_writes_them() -> None:
    """The form of pg_authid.rolpassword."""
    assert parse_verifier(text_of(PENCIL)) == PENCIL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "md5aaaa",
        "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA",
        "SCRAM-SHA-256$4096:!$AAAA:AAAA",
        text_of(PENCIL) + "x",
        text_of(PENCIL).replace("4096", "-1"),
    ],
)
def test_what_is_no_verifier(text: str) -> None:
    """A hash of another kind, or a part that is not what it should be."""
    with pytest.raises(ValueError, match="verifier"):
        parse_verifier(text)
