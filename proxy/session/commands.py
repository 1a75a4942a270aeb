"""What a session asks for. Only ``proxy.net`` carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.audit.record import AuditRecord
    from proxy.terms.budget import Method
    from proxy.terms.facts import StatementFacts
    from proxy.terms.finding import Judgement
    from proxy.terms.mask import How


@dataclass(frozen=True, slots=True)
class SendFrontend:
    """Send these bytes to the frontend."""

    data: bytes


@dataclass(frozen=True, slots=True)
class AwaitState:
    """What follows may leave for the frontend only when all that is charged is kept."""


@dataclass(frozen=True, slots=True)
class Delay:
    """What follows may leave for the frontend only after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SendBackend:
    """Send these bytes to the backend."""

    data: bytes


@dataclass(frozen=True, slots=True)
class OpenBackend:
    """Connect to the backend; what is sent to it before that is kept in order.

    ``upstream``: name of a route's; "" for that of all others.
    """

    upstream: str = ""


@dataclass(frozen=True, slots=True)
class EncryptFrontend:
    """Send ``answer`` in the clear, and nothing more: what follows is TLS.

    ``received``: what the frontend has sent of its handshake. FrontendEncrypted follows, or
    EncryptionBroken.
    """

    answer: bytes
    received: bytes = b""


@dataclass(frozen=True, slots=True)
class CloseFrontend:
    """Close the frontend's connection after everything was sent."""


@dataclass(frozen=True, slots=True)
class CloseBackend:
    """Close the backend's connection after everything was sent."""


@dataclass(frozen=True, slots=True)
class CancelBackend:
    """Send this CancelRequest on a connection of its own; CancelDone follows at its end."""

    process_id: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class ForwardCancel:
    """A CancelRequest came from a frontend; ``secret`` is one that we gave out, or a wrong one.

    Close the frontend's connection when the backend's is at its end.
    """

    process_id: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class RegisterKey:
    """From now on a CancelRequest with ``ours`` means the backend's key ``theirs``."""

    process_id: int
    ours: bytes
    theirs: bytes


@dataclass(frozen=True, slots=True)
class AskWorker:
    """Read this text in a process of its own; WorkerAnswered follows."""

    raw: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Emit:
    """Keep this audit record; its time is that of the sink."""

    record: AuditRecord


@dataclass(frozen=True, slots=True)
class Judged:
    """A statement was judged. ``seconds``: what it took to have its facts."""

    facts: StatementFacts
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Attributed:
    """A statement about subjects came from who is believed to say for whom it is.

    ``naming``: named, unnamed or too_many.
    """

    naming: str


@dataclass(frozen=True, slots=True)
class Analysed:
    """A text became facts. ``cached``: exact, template or miss."""

    cached: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Released:
    """Rows of a result went to the frontend."""

    method: Method
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Masked:
    """So many values of a result went to the frontend masked."""

    how: How
    values: int


@dataclass(frozen=True, slots=True)
class WasCut:
    """A running result was ended because this budget was spent."""

    budget: str


@dataclass(frozen=True, slots=True)
class CatalogRead:
    """The catalog was read in this session, or could not be.

    ``drift``: how many differences to the schema map there are now, by kind, over all databases;
    None: nothing has changed.
    """

    loaded: bool
    drift: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The first ReadyForQuery came."""


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """The backend refused the login."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Vigie refused the connection itself.

    ``reason``: start_up (bad, replication, a setting), too_many, too_many_of_role, stopping.
    """

    reason: str = "start_up"


@dataclass(frozen=True, slots=True)
class Ended:
    """Vigie ended a session that did nothing wrong.

    ``reason``: idle, idle_in_transaction, login_timeout, stopping.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class ProtocolFault:
    """Bytes that are not the protocol came from this side: ``frontend`` or ``backend``."""

    side: str
    reason: str


@dataclass(frozen=True, slots=True)
class UpstreamFault:
    """The backend could not be reached or was lost in the middle."""

    reason: str


@dataclass(frozen=True, slots=True)
class InternalFault:
    """An error of ours. ``where``: analysis, policy, meter, session; ``error``: its type."""

    where: str
    error: str
    traceback: str = ""


Command = (
    SendFrontend
    | AwaitState
    | Delay
    | SendBackend
    | OpenBackend
    | EncryptFrontend
    | CloseFrontend
    | CloseBackend
    | CancelBackend
    | ForwardCancel
    | RegisterKey
    | AskWorker
    | Emit
    | Judged
    | Analysed
    | Attributed
    | Released
    | Masked
    | WasCut
    | CatalogRead
    | LoggedIn
    | LoginFailed
    | Refused
    | Ended
    | ProtocolFault
    | UpstreamFault
    | InternalFault
)
