"""TLS of both legs as the settings say it, read anew without a restart."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from cryptography import x509

from proxy.errors import ConfigurationError
from proxy.net.dial import BackendLeg, Dial, NoTlsError
from proxy.net.tls_stream import TlsError
from proxy.session.opening import Encryption
from proxy.settings.certificates import (
    backend_credentials,
    frontend_credentials,
    utc_now,
)
from proxy.settings.settings import BackendTls, FrontendTls
from proxy.terms.principal import Certificate

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from proxy.settings.address import Address
    from proxy.settings.certificates import Credentials

_NAMES: Final = (x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier)


class Tls:
    """What a handshake needs, on either leg; sessions under way keep what they began with.

    Errors: ConfigurationError with everything that is wrong with the files.
    """

    def __init__(
        self, frontend: FrontendTls | None = None, backend: BackendTls | None = None
    ) -> None:
        backend = backend or BackendTls("disable")
        self._settings = frontend or FrontendTls(), backend
        self.frontend: Credentials | None = None
        self.backend = BackendLeg(backend)
        self.reload()

    def reload(self) -> None:
        """Read the files again; what was read before stays in force if anything is wrong.

        Errors: ConfigurationError.
        """
        frontend, backend = self._settings
        problems: list[str] = []
        ours = _read(partial(frontend_credentials, frontend), problems)
        theirs = _read(partial(backend_credentials, backend), problems)
        if problems:
            raise ConfigurationError(problems)
        self.frontend, self.backend = ours, BackendLeg(backend, theirs)

    @property
    def warnings(self) -> list[str]:
        """Return what will be wrong with the files soon, or is already but for some peers."""
        legs = (self.frontend, self.backend.credentials)
        return [warning for one in legs if one is not None for warning in one.warnings]

    def asked_of(self, listener: Address | None) -> Encryption:
        """Return what a listener asks of its frontends."""
        if self.frontend is None or listener is None or listener.path:
            return Encryption.NOT_OFFERED  # PostgreSQL has no TLS over Unix sockets either
        is_plain = listener in self._settings[0].plaintext
        return Encryption.OFFERED if is_plain else Encryption.REQUIRED

    async def problem_with(self, upstream: Address, seconds: float) -> str | None:
        """Return why no application could log in, or none with libpq's defaults; None if they can.

        A database that cannot be reached is no problem of TLS. Errors: none.
        """
        if not self.backend.tries[0]:  # in the clear, as far as anybody knows yet
            return None
        try:
            async with asyncio.timeout(seconds):
                certificate = await Dial(upstream, self.backend).peer_certificate()
        except NoTlsError as error:
            mode = self.backend.settings.mode
            return f"backend_tls.mode: {mode}, but of the database at {upstream}: {error}"
        except (OSError, TimeoutError):
            return None
        if self.frontend is None or certificate in {None, self.frontend.certificate}:
            return None
        if not self._settings[0].needs_channel_binding or self.frontend.verifiers:
            return None
        return (
            f"frontend_tls.certificate: is not that of the database at {upstream}: SCRAM channel"
            " binding, which libpq uses by default, cannot pass; expected the certificate and key"
            " of the database, or frontend_tls.scram_verifiers, or a Unix socket or"
            " backend_tls.mode 'disable' towards it, or"
            " frontend_tls.channel_binding 'unused' if all applications connect with"
            " channel_binding=disable or do not log in by SCRAM"
        )


def _read(
    credentials: Callable[[datetime], Credentials | None], problems: list[str]
) -> Credentials | None:
    try:
        return credentials(utc_now())
    except ConfigurationError as error:
        problems += error.problems
        return None


def read_certificate(encoded: bytes) -> Certificate | None:
    """Return whom a verified certificate names; None: there is none. Errors: TlsError."""
    if not encoded:
        return None
    try:
        found = x509.load_der_x509_certificate(encoded)
        names = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        subject = found.subject.rfc4514_string()
        alternatives = _alternatives(found)
    except ValueError as error:
        raise TlsError(f"certificate that cannot be read: {error}") from None
    name = str(names[-1].value) if names else ""
    if "\0" in subject + name + "".join(alternatives):
        raise TlsError("certificate with a zero byte in a name")
    return Certificate(subject, name, frozenset(alternatives))


def _alternatives(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    texts = [str(text) for kind in _NAMES for text in found.get_values_for_type(kind)]
    return [*texts, *map(str, found.get_values_for_type(x509.IPAddress))]
