"""Protocol versions and options that Vigie does not know: not asked of the backend.

What a newer backend would then speak could not be read. So a frontend that asks for more than
Vigie knows is told what it gets by a NegotiateProtocolVersion, as by a backend that knows no more.

Source: PostgreSQL documentation, "Protocol Versions", "NegotiateProtocolVersion".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy.wire.backend import decode_negotiation
from proxy.wire.encode import negotiate_protocol_version, startup_message
from proxy.wire.startup import MAJOR

if TYPE_CHECKING:
    from proxy.wire.startup import StartupMessage

LARGEST_MINOR: Final = 2
_OPTION: Final = "_pq_."


@dataclass(frozen=True, slots=True)
class Unasked:
    """What a frontend wanted and the backend is not asked for."""

    minor: int  # of the version that was asked for in its place
    options: tuple[str, ...]

    def told(self, body: bytes | None = None) -> bytes:
        """Return the NegotiateProtocolVersion for the frontend.

        Args:
            body: of the backend's own, if it sent one.

        Errors: WireError, if that is damaged.
        """
        version, options = MAJOR << 16 | self.minor, self.options
        if body is not None:
            theirs, more = decode_negotiation(body)
            version, options = min(version, theirs), (*options, *more)
        return negotiate_protocol_version(version, options)


def known_part(startup: StartupMessage) -> tuple[bytes, Unasked | None]:
    """Return what to send to the backend, and what was left out; None: nothing was."""
    options = tuple(name for name in startup.parameters if name.startswith(_OPTION))
    if startup.minor <= LARGEST_MINOR and not options:
        return startup.raw, None
    minor = min(startup.minor, LARGEST_MINOR)
    kept = {name: one for name, one in startup.parameters.items() if name not in options}
    return startup_message(minor, kept), Unasked(minor, options)
