"""What may happen to a session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.sql.worker import WorkerOutcome
    from proxy.terms.principal import Certificate
    from proxy.wire.scram import Verifier


@dataclass(frozen=True, slots=True)
class FrontendBytes:
    """The frontend sent these."""

    chunk: bytes


@dataclass(frozen=True, slots=True)
class BackendBytes:
    """The backend sent these."""

    chunk: bytes


@dataclass(frozen=True, slots=True)
class FrontendEncrypted:
    """The handshake with the frontend is over: all it sends from here on came through TLS.

    ``protocol``: agreed on by ALPN. ``certificate``: the frontend's own, verified. ``end_point``:
    hash of the certificate that was presented to it (tls-server-end-point); empty: there is none.
    ``verifiers``: of the roles for which SCRAM may end here.
    """

    protocol: str | None = None
    certificate: Certificate | None = None
    end_point: bytes = b""
    verifiers: Mapping[str, Verifier] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BackendEncrypted:
    """The backend is reached by TLS.

    ``presents_ours``: its certificate is the one that we present to the frontend. ``end_point``:
    the hash of it, as far as anybody needs it.
    """

    presents_ours: bool
    end_point: bytes = b""


@dataclass(frozen=True, slots=True)
class EncryptionBroken:
    """What this side sent is no TLS, or it is not believed. ``side``: frontend or backend."""

    side: str
    reason: str


@dataclass(frozen=True, slots=True)
class FrontendClosed:
    """The frontend is gone."""


@dataclass(frozen=True, slots=True)
class BackendClosed:
    """The backend is gone."""


@dataclass(frozen=True, slots=True)
class BackendUnreachable:
    """No connection to the backend could be had. ``reason``: for people, without addresses."""

    reason: str


@dataclass(frozen=True, slots=True)
class CancelDone:
    """The backend has taken (or refused) our CancelRequest: its connection is at its end."""


@dataclass(frozen=True, slots=True)
class WorkerAnswered:
    """A text that was too large to be read here was read elsewhere."""

    text: bytes
    outcome: WorkerOutcome


@dataclass(frozen=True, slots=True)
class LoginTimeout:
    """The first ReadyForQuery did not come in time."""


@dataclass(frozen=True, slots=True)
class IdleTooLong:
    """Nothing came from the frontend, and nothing was under way, for as long as a session may."""


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """The context has another policy: what was found with the one before is found anew."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Vigie will end: the session ends if it is idle. Comes again and again until it was."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Vigie ends: so must the session."""


Event = (
    FrontendBytes
    | BackendBytes
    | FrontendEncrypted
    | BackendEncrypted
    | EncryptionBroken
    | FrontendClosed
    | BackendClosed
    | BackendUnreachable
    | CancelDone
    | WorkerAnswered
    | LoginTimeout
    | IdleTooLong
    | PolicyChanged
    | Drain
    | Shutdown
)
