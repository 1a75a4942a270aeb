"""TLS over bytes that somebody else carries: no socket, no waiting.

Source: RFC 8446 and RFC 5246 by way of OpenSSL; PostgreSQL documentation, "SSL Session Encryption".
"""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING, Final

from proxy.errors import VigieError

if TYPE_CHECKING:
    from proxy.settings.certificates import Credentials

RECORD_BYTES: Final = 16 * 1024  # the largest there is
ANSWERS_BYTES: Final = 64 * 1024  # what OpenSSL may say by itself after the handshake


class TlsError(VigieError):
    """The peer does not speak TLS, or is not whom we believe."""


class TlsStream:
    """One end of one TLS connection.

    Args:
        credentials: of the leg.
        accepts: whether the peer began; else it is ours to begin.
        host: name of the peer, for its certificate and SNI; None where it is the one that began.
    """

    def __init__(self, credentials: Credentials, *, accepts: bool, host: str | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = credentials.context.wrap_bio(
            self._incoming, self._outgoing, server_side=accepts, server_hostname=host
        )
        self._answered_bytes = 0
        self.credentials = credentials
        self.is_established = False
        self.is_ended = False  # the peer has said that nothing more comes

    @property
    def protocol(self) -> str | None:
        """Return the protocol that was agreed on by ALPN."""
        return self._object.selected_alpn_protocol()

    @property
    def peer_certificate(self) -> bytes:
        """Return the peer's certificate in DER; empty if it presented none."""
        return self._object.getpeercert(binary_form=True) or b""

    def hold(self, received: bytes) -> None:
        """Keep bytes of the peer, to be taken with those that are fed next."""
        self._incoming.write(received)

    def feed(self, received: bytes) -> bytes:
        """Take bytes of the peer and return what they mean, which may be nothing yet.

        Whatever has to be said in return is in ``take_outgoing``, after an error in ``take_alert``.

        Errors: TlsError.
        """
        self._incoming.write(received)
        try:
            if not self.is_established:
                self._object.do_handshake()
                self.is_established = True
            return self._decrypted()
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            raise TlsError(_told(error)) from None

    def begin(self) -> None:
        """Say the first word of the handshake. Errors: TlsError."""
        self.feed(b"")

    def encrypt(self, data: bytes) -> bytes:
        """Return the records of these bytes. Errors: TlsError."""
        left = memoryview(data)
        try:
            while left:
                left = left[self._object.write(left) :]
        except ssl.SSLError as error:
            raise TlsError(_told(error)) from None
        return self._outgoing.read()

    def end(self) -> bytes:
        """Return the word that nothing more comes, so that the peer knows it for the end."""
        with contextlib.suppress(ssl.SSLError):  # the peer has not said the same yet: never mind
            self._object.unwrap()
        return self._outgoing.read()

    def take_alert(self) -> bytes:
        """Return what the peer is told after a TlsError: why, if it can be told at all."""
        return self._outgoing.read()

    def take_outgoing(self) -> bytes:
        """Return what OpenSSL has to say by itself.

        Errors: TlsError, if a peer makes it say more than any honest one.
        """
        if not self._outgoing.pending:
            return b""
        found = self._outgoing.read()
        if self.is_established:
            self._answered_bytes += len(found)
            if self._answered_bytes > ANSWERS_BYTES:
                raise TlsError("asks for new keys without end")
        return found

    def _decrypted(self) -> bytes:
        parts = []
        try:
            # an error that says "no more" costs as much as a small record
            while self._incoming.pending or self._object.pending():
                part = self._object.read(RECORD_BYTES)
                if not part:
                    self.is_ended = True
                    break
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.is_ended = True
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _told(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    return str(error.reason or "not TLS").lower().replace("_", " ")
