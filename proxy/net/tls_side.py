"""A relay's socket with TLS on it: what the relay reads and writes is in the clear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from proxy.net.tls_stream import TlsError

if TYPE_CHECKING:
    from proxy.net.raw import RawSide
    from proxy.net.tls_stream import TlsStream


class Encrypted(Protocol):
    """The relay, as seen from here."""

    def established(self, side: TlsSide) -> None:
        """The handshake is over."""

    def broken(self, side: TlsSide, reason: str) -> None:
        """What came is no TLS, or of somebody who is not believed."""

    def frontend_sent(self, chunk: bytes) -> None:
        """The frontend sent these."""

    def backend_sent(self, chunk: bytes) -> None:
        """The backend sent these."""

    def congested(self, side: TlsSide, *, is_congested: bool) -> None:
        """The peer reads too slowly, or again."""

    def lost(self, side: TlsSide) -> None:
        """The socket is gone."""


class TlsSide:
    """Stands between a ``RawSide`` and the relay, with the interface that each expects.

    Bounds and back-pressure are those of the socket: all of a chunk is decrypted at once, and what
    is written is encrypted at once. Nothing is written before the handshake is over, and nothing
    of what came before it began is taken for what came in it.
    """

    def __init__(self, relay: Encrypted, raw: RawSide, stream: TlsStream) -> None:
        self._relay = relay
        self._raw = raw
        self._is_frontend = raw.is_frontend
        self.stream = stream
        self._is_broken = False
        raw.report_to(self)

    @property
    def is_open(self) -> bool:
        """Whether there is a socket."""
        return self._raw.is_open

    def read(self, *, wanted: bool) -> None:
        """Read on, or stop reading."""
        self._raw.read(wanted=wanted)

    def write(self, data: bytes) -> None:
        """Send bytes; before the handshake is over there is nobody yet to tell anything."""
        if not self.stream.is_established or self._is_broken or not data:
            return
        try:
            records = self.stream.encrypt(data)
        except TlsError as error:
            self._break(error)
        else:
            self._raw.write(records)

    def close(self) -> None:
        """Close after everything was sent, or after a while."""
        if self.stream.is_established and not self._is_broken and not self._raw.is_closing:
            self._raw.write(self.stream.end())
        self._raw.close()

    def abort(self) -> None:
        """Close at once."""
        self._raw.abort()

    # what the socket tells

    def connected(self, _side: RawSide) -> None:
        """The relay knows."""

    def frontend_sent(self, chunk: bytes) -> None:
        """The frontend sent these, encrypted."""
        self.received(chunk)

    def backend_sent(self, chunk: bytes) -> None:
        """The backend sent these, encrypted."""
        self.received(chunk)

    def congested(self, _side: RawSide, *, is_congested: bool) -> None:
        """The peer reads too slowly, or again."""
        self._relay.congested(self, is_congested=is_congested)

    def lost(self, _side: RawSide) -> None:
        """The socket is gone."""
        self._relay.lost(self)

    def received(self, chunk: bytes) -> None:
        """Take encrypted bytes of the peer."""
        if self._is_broken:
            return
        was_established = self.stream.is_established
        try:
            data = self.stream.feed(chunk)
            self._say(self.stream.take_outgoing())
        except TlsError as error:
            self._break(error)
            return
        if self.stream.is_established and not was_established:
            self._relay.established(self)
        self.deliver(data)
        if self.stream.is_ended:
            self._raw.abort()

    def deliver(self, data: bytes) -> None:
        """Tell the relay what came."""
        if not data or self._raw.is_closing:
            return
        if self._is_frontend:
            self._relay.frontend_sent(data)
        else:
            self._relay.backend_sent(data)

    def _break(self, error: TlsError) -> None:
        """Tell the peer by an alert, if there is one, and the relay."""
        self._is_broken = True
        self._say(self.stream.take_alert())
        self._relay.broken(self, str(error))

    def _say(self, records: bytes) -> None:
        if records:
            self._raw.write(records)
