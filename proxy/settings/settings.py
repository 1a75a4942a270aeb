"""The settings as values, and the form of vigie.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from proxy.terms.finding import Action, Mode

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.settings.address import Address

Text = Annotated[str, Field(min_length=1)]
MIB = 1024 * 1024
DAY = 24 * 3600
MONTH = 31 * DAY


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AuditData(_Strict):
    """Where audit records go; null: to the standard output."""

    path: Text | None = None


class LogData(_Strict):
    """What is told about Vigie itself, on the standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class LimitsData(_Strict):
    """What sessions may cost before they are refused or ended; 0 is none where it is allowed."""

    max_statement_bytes: int = Field(default=64 * MIB, ge=1024, le=1024 * MIB)
    login_timeout_seconds: int = Field(default=60, ge=1, le=3600)
    connect_timeout_seconds: int = Field(default=10, ge=1, le=600)
    idle_session_timeout_seconds: int = Field(default=0, ge=0, le=MONTH)
    idle_in_transaction_timeout_seconds: int = Field(default=0, ge=0, le=MONTH)
    drain_timeout_seconds: int = Field(default=8, ge=0, le=DAY)
    connections: int = Field(default=10_000, ge=0, le=1_000_000)
    connections_per_address: int = Field(default=0, ge=0, le=1_000_000)
    connections_per_role: int = Field(default=0, ge=0, le=1_000_000)


class UpstreamData(_Strict):
    """A database elsewhere than ``upstream``, and what is sent there."""

    address: Text
    databases: list[Text] | None = Field(default=None, min_length=1)
    listen: list[Text] | None = Field(default=None, min_length=1)


class FrontendTlsData(_Strict):
    """TLS with applications; without a certificate there is none."""

    certificate: Text | None = None
    key: Text | None = None
    plaintext: list[Text] = Field(default_factory=list)
    verify: Literal["none", "optional", "required"] = "none"
    ca: Text | None = None
    crl: Text | None = None
    channel_binding: Literal["needed", "unused"] = "needed"
    scram_verifiers: Text | None = None


class BackendTlsData(_Strict):
    """TLS with the database."""

    mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    negotiation: Literal["postgres", "direct"] = "postgres"
    ca: Text | None = None
    crl: Text | None = None
    certificate: Text | None = None
    key: Text | None = None


class OrdersData(_Strict):
    """Work orders: their folder, and the public key that they are signed by."""

    folder: Text | None = None
    public_key: Text | None = None


class SettingsData(_Strict):
    """The form of vigie.yaml."""

    listen: list[Text] = Field(default=["127.0.0.1:6432"], min_length=1)
    upstream: Text = "127.0.0.1:5432"
    upstreams: list[UpstreamData] = Field(default_factory=list, max_length=100)
    mode: Literal["enforce", "observe"] = "enforce"
    rules: Text | None = None
    site: Text | None = None
    state: Text | None = None
    state_share_percent: int = Field(default=0, ge=0, le=100)
    state_memory_mib: int = Field(default=512, ge=16, le=1 << 20)
    http: Text | None = "127.0.0.1:9187"
    orders: OrdersData = Field(default_factory=OrdersData)
    audit: AuditData = Field(default_factory=AuditData)
    log: LogData = Field(default_factory=LogData)
    limits: LimitsData = Field(default_factory=LimitsData)
    catalog_refresh_seconds: int = Field(default=30, ge=1, le=86400)
    plan_refresh_seconds: int = Field(default=600, ge=0, le=86400)
    on_internal_error: Literal["block", "allow"] = "block"
    secret_file: Text | None = None
    unix_socket_mode: Annotated[str, Field(pattern=r"^0?[0-7]{3}$")] = "0660"
    frontend_tls: FrontendTlsData = Field(default_factory=FrontendTlsData)
    backend_tls: BackendTlsData = Field(default_factory=BackendTlsData)
    canaries: Text | None = None


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """``path`` None: audit records go to the standard output."""

    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """Work orders. ``folder`` None: there are none. ``public_key``: what they are signed by."""

    folder: Path | None = None
    public_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What sessions may cost before they are refused or ended. 0: no such limit or timeout.

    ``drain_timeout_seconds``: how long transactions may go on after SIGTERM.
    """

    max_statement_bytes: int = 64 * MIB
    login_timeout_seconds: int = 60
    connect_timeout_seconds: int = 10
    idle_session_timeout_seconds: int = 0
    idle_in_transaction_timeout_seconds: int = 0
    drain_timeout_seconds: int = 8
    connections: int = 10_000
    connections_per_address: int = 0
    connections_per_role: int = 0


@dataclass(frozen=True, slots=True)
class Upstream:
    """A database elsewhere, and the sessions that go there: those of which all that is set fits.

    ``databases``: the names they ask for. ``listen``: the addresses they came in by, as in the
    setting of that name. None: any.
    """

    address: Address
    databases: frozenset[str] | None = None
    listen: frozenset[Address] | None = None


@dataclass(frozen=True, slots=True)
class FrontendTls:
    """TLS with applications. ``certificate`` None: none is offered.

    ``plaintext``: those listeners that take sessions without it. ``verify``: whether a frontend
    may or has to present a certificate of ``ca``. ``needs_channel_binding``: applications use
    SCRAM with channel binding, as libpq does by default. ``scram_verifiers``: of the roles for
    which SCRAM ends here and begins anew.
    """

    certificate: Path | None = None
    key: Path | None = None
    plaintext: frozenset[Address] = frozenset()
    verify: str = "none"
    ca: Path | None = None
    crl: Path | None = None
    needs_channel_binding: bool = True
    scram_verifiers: Path | None = None


@dataclass(frozen=True, slots=True)
class BackendTls:
    """TLS with the database: libpq's sslmode, sslnegotiation, sslrootcert, sslcrl, sslcert, sslkey.

    ``ca``: ``system`` means the machine's own.
    """

    mode: str = "prefer"
    negotiation: str = "postgres"
    ca: Path | None = None
    crl: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How one Vigie is set up.

    ``upstreams``: in order, the first that fits a session is its own; else it is ``upstream``.
    ``rules`` None: those that are shipped. ``site`` None: none is named. ``http`` None: no metrics
    are served. ``on_internal_error``: what an error of ours in analysis, policy or meter becomes.
    ``plan_refresh_seconds``: how long a plan is believed; 0: the planner is never asked.
    ``state``: the path of the file, or ``memory``. ``state_share_percent``: how much of each limit
    may be received while it cannot be written. ``state_memory_mib``: what usage may take of memory.
    ``secret``: the key of the hashes of subject keys; None: that of its file.
    ``canaries``: the file of the planted subjects; None: there are none.
    """

    listen: tuple[Address, ...]
    upstream: Address
    upstreams: tuple[Upstream, ...] = ()
    mode: Mode = Mode.ENFORCE
    rules: Path | None = None
    site: Path | None = None
    state: str = "memory"
    http: Address | None = None
    audit: AuditSettings = field(default_factory=AuditSettings)
    orders: Orders = field(default_factory=Orders)
    log_level: str = "info"
    limits: Limits = field(default_factory=Limits)
    catalog_refresh_seconds: int = 30
    plan_refresh_seconds: int = 600
    on_internal_error: Action = Action.BLOCK
    secret_file: Path | None = None
    secret: str | None = field(default=None, repr=False)
    unix_socket_mode: int = 0o660
    frontend_tls: FrontendTls = field(default_factory=FrontendTls)
    backend_tls: BackendTls = field(default_factory=BackendTls)
    state_share_percent: int = 0
    state_memory_mib: int = 512
    canaries: Path | None = None
