"""An application that knows its password, for tests of SCRAM; written from RFC 5802 alone."""

from __future__ import annotations

import base64
import hashlib
import hmac

from proxy.wire.scram import Verifier


def salted(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)


def verifier_of(password: str, salt: bytes = b"salt" * 4, iterations: int = 64) -> Verifier:
    """Return what a database keeps of a password."""
    secret = salted(password, salt, iterations)
    stored = hashlib.sha256(hmac.digest(secret, b"Client Key", "sha256")).digest()
    return Verifier(iterations, salt, stored, hmac.digest(secret, b"Server Key", "sha256"))


def text_of(verifier: Verifier) -> str:
    """Return a verifier as PostgreSQL writes it."""
    salt, stored, own = (
        base64.b64encode(one).decode()
        for one in (verifier.salt, verifier.stored_key, verifier.server_key)
    )
    return f"SCRAM-SHA-256${verifier.iterations}:{salt}${stored}:{own}"


class Application:
    """One login; ``header``: gs2-header, ``end_point``: hash of the certificate it sees."""

    def __init__(self, password: str, header: bytes = b"n,,", end_point: bytes = b"") -> None:
        self._password = password
        self._header, self._bound = header, header + end_point
        self._bare = b"n=,r=fyko+d2lbbFgONRv9qkxdawL"
        self._wanted = b""

    @property
    def first_message(self) -> bytes:
        """Return client-first-message."""
        return self._header + self._bare

    def prove(self, challenge: bytes) -> bytes:
        """Return client-final-message."""
        nonce, salt, iterations = (one.partition(b"=")[2] for one in challenge.split(b","))
        assert nonce.startswith(b"fyko+d2lbbFgONRv9qkxdawL")
        secret = salted(self._password, base64.b64decode(salt), int(iterations))
        key = hmac.digest(secret, b"Client Key", "sha256")
        bare = b"c=" + base64.b64encode(self._bound) + b",r=" + nonce
        said = b",".join((self._bare, challenge, bare))
        signature = hmac.digest(hashlib.sha256(key).digest(), said, "sha256")
        proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        own = hmac.digest(secret, b"Server Key", "sha256")
        self._wanted = b"v=" + base64.b64encode(hmac.digest(own, said, "sha256"))
        return bare + b",p=" + base64.b64encode(proof)

    def believes(self, farewell: bytes) -> bool:
        """Whether server-final-message is of one that has the verifier."""
        return farewell == self._wanted
