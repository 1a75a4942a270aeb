"""SCRAM-SHA-256 from both ends, by the verifier of a role instead of its password.

Whoever has the verifier learns from a frontend's proof the key to make another: that is how one
exchange can be turned into a second with a nonce and a channel binding of its own, without the
password. Texts are bytes; nothing here knows where they come from.

Source: RFC 5802 (SCRAM), RFC 7677 (SHA-256), RFC 5929 (tls-server-end-point); PostgreSQL
documentation, "SASL Authentication", and the form of ``pg_authid.rolpassword``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from proxy.errors import WireError

PLAIN: Final = b"SCRAM-SHA-256"
PLUS: Final = b"SCRAM-SHA-256-PLUS"
NONCE_BYTES: Final = 18
_KEY_BYTES: Final = 32
_BINDING: Final = b"p=tls-server-end-point,,"
_VERIFIER: Final = re.compile(r"SCRAM-SHA-256\$(\d{1,9}):([^$:]+)\$([^$:]+):([^$:]+)")
_FIRST: Final = re.compile(
    rb"(?P<header>(?P<flag>n|y|p=[A-Za-z0-9.-]+),(?P<identity>[^,]*),)"
    rb"(?P<bare>n=[^,]*,r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(,.*)?)",
    re.DOTALL,
)
_FINAL: Final = re.compile(
    rb"(?P<bare>c=(?P<binding>[^,]+),r=(?P<nonce>[^,]+)(,.*)?),p=(?P<proof>[^,]+)", re.DOTALL
)
_CHALLENGE: Final = re.compile(rb"r=(?P<nonce>[^,]+),s=(?P<salt>[^,]+),i=(?P<iterations>\d{1,9})")


class WrongProofError(WireError):
    """The other end does not know the password, or speaks to somebody else than it believes."""

    sqlstate = "28P01"


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a database keeps of a password: enough to check it, not enough to use it."""

    iterations: int
    salt: bytes
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


def parse_verifier(text: str) -> Verifier:
    """Return the verifier in PostgreSQL's form. Errors: ValueError."""
    found = _VERIFIER.fullmatch(text)
    if found is None:
        raise ValueError("no SCRAM-SHA-256 verifier")
    try:
        salt, stored, own = (base64.b64decode(one, validate=True) for one in found.groups()[1:])
    except binascii.Error:
        raise ValueError("a SCRAM-SHA-256 verifier with a part that is not base64") from None
    if len(stored) != _KEY_BYTES or len(own) != _KEY_BYTES:
        raise ValueError("a SCRAM-SHA-256 verifier with keys of another length")
    return Verifier(int(found[1]), salt, stored, own)


class Accepting:
    """The end that a frontend proves its password to.

    Args:
        verifier: of the role.
        nonce: bytes of chance.
        end_point: hash of the certificate that the frontend sees; empty: none can be had.
    """

    def __init__(self, verifier: Verifier, nonce: bytes, end_point: bytes) -> None:
        self._verifier = verifier
        self._nonce = base64.b64encode(nonce)
        self._end_point = end_point
        self._header = b""
        self._said = b""  # both first messages, with the comma between

    @property
    def mechanisms(self) -> list[bytes]:
        """Return what the frontend may choose from, best first."""
        return [PLUS, PLAIN] if self._end_point else [PLAIN]

    def challenge(self, mechanism: bytes, message: bytes) -> bytes:
        """Return server-first-message for client-first-message. Errors: WireError."""
        found = _FIRST.fullmatch(message)
        if found is None or mechanism not in self.mechanisms:
            raise WireError("client-first-message of SCRAM is malformed")
        if found["identity"]:
            raise WireError("SCRAM with an authorization identity, expected none")
        if (mechanism == PLUS) is not (found["header"] == _BINDING):
            raise WireError("SCRAM channel binding does not go with the mechanism that was chosen")
        if found["flag"] == b"y" and self._end_point:
            # it believes that none was offered: somebody in between has taken it off the list
            raise WireError("SCRAM channel binding negotiation error")
        self._header, self._nonce = found["header"], found["nonce"] + self._nonce
        salt = base64.b64encode(self._verifier.salt)
        first = b"r=%b,s=%b,i=%d" % (self._nonce, salt, self._verifier.iterations)
        self._said = found["bare"] + b"," + first
        return first

    def accept(self, message: bytes) -> tuple[bytes, bytes]:
        """Return (ClientKey, server-final-message) for client-final-message.

        Errors: WireError; WrongProofError.
        """
        found = _FINAL.fullmatch(message)
        if found is None or found["nonce"] != self._nonce:
            raise WireError("client-final-message of SCRAM is malformed")
        bound = self._header + (self._end_point if self._header == _BINDING else b"")
        if found["binding"] != base64.b64encode(bound):
            raise WireError("SCRAM channel binding check failed")
        said = self._said + b"," + found["bare"]
        proof = _decode(found["proof"])
        if len(proof) != _KEY_BYTES:
            raise WireError(f"proof of SCRAM has {len(proof)} bytes, expected {_KEY_BYTES}")
        key = _xor(proof, _mac(self._verifier.stored_key, said))
        if not hmac.compare_digest(hashlib.sha256(key).digest(), self._verifier.stored_key):
            raise WrongProofError("password authentication failed")
        return key, b"v=" + base64.b64encode(_mac(self._verifier.server_key, said))


class Beginning:
    """The end that proves a password to a backend.

    Args:
        verifier: of the role.
        nonce: bytes of chance.
        end_point: hash of the certificate that the backend presents; empty: without binding.
    """

    def __init__(self, verifier: Verifier, nonce: bytes, end_point: bytes) -> None:
        self._verifier = verifier
        self._nonce = base64.b64encode(nonce)
        self._header = _BINDING if end_point else b"n,,"
        self._bound = self._header + end_point
        self._first = b"n=,r=" + self._nonce
        self._said = b""

    @property
    def mechanism(self) -> bytes:
        """Return what is chosen."""
        return PLUS if self._header == _BINDING else PLAIN

    @property
    def first_message(self) -> bytes:
        """Return client-first-message."""
        return self._header + self._first

    def has_same_verifier(self, challenge: bytes) -> bool:
        """Whether the backend's verifier is ours, as far as its server-first-message tells.

        Errors: WireError.
        """
        found = _CHALLENGE.fullmatch(challenge)
        if found is None or not found["nonce"].startswith(self._nonce):
            raise WireError("server-first-message of SCRAM is malformed")
        if found["nonce"] == self._nonce:
            raise WireError("server-first-message of SCRAM has no nonce of the backend")
        self._nonce = found["nonce"]
        self._said = self._first + b"," + challenge
        ours = (self._verifier.salt, self._verifier.iterations)
        return (_decode(found["salt"]), int(found["iterations"])) == ours

    def prove(self, key: bytes) -> bytes:
        """Return client-final-message by a ClientKey."""
        bare = b"c=%b,r=%b" % (base64.b64encode(self._bound), self._nonce)
        self._said += b"," + bare
        proof = _xor(key, _mac(self._verifier.stored_key, self._said))
        return bare + b",p=" + base64.b64encode(proof)

    def expect_proof(self, message: bytes) -> None:
        """Take server-final-message. Errors: WrongProofError."""
        wanted = b"v=" + base64.b64encode(_mac(self._verifier.server_key, self._said))
        if not hmac.compare_digest(message, wanted):
            raise WrongProofError("the database does not know the verifier of the role")


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(left, right, strict=True))


def _decode(encoded: bytes) -> bytes:
    try:
        found = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise WireError("message of SCRAM has a part that is not base64") from None
    return found
