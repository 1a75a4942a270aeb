"""What may happen to a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.sql.worker import WorkerOutcome


@dataclass(frozen=True, slots=True)
class FrontendBytes:
    """The frontend sent these."""

    chunk: bytes


@dataclass(frozen=True, slots=True)
class BackendBytes:
    """The backend sent these."""

    chunk: bytes


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
class Shutdown:
    """Vigie ends: so must the session."""


Event = (
    FrontendBytes
    | BackendBytes
    | FrontendClosed
    | BackendClosed
    | BackendUnreachable
    | CancelDone
    | WorkerAnswered
    | LoginTimeout
    | Shutdown
)
