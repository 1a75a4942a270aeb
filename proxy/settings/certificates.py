"""The files of TLS: read, checked, and made into what a handshake takes.

All that can be wrong with a certificate, a key, a CA or a CRL is told here by the name of its
setting, so that it is not first seen in the middle of somebody's handshake.

Source: PostgreSQL documentation, "Secure TCP/IP Connections with SSL" (permissions of a key).
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from proxy.errors import ConfigurationError
from proxy.settings.tls_settings import SYSTEM
from proxy.wire.scram import parse_verifier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from proxy.settings.settings import BackendTls, FrontendTls
    from proxy.wire.scram import Verifier

ALPN: Final = "postgresql"
SOON: Final = timedelta(days=14)
_LINE: Final = re.compile(r'"((?:[^"]|"")+)"\s+"([^"]*)"')
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_OF_ROOT: Final = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one leg needs for a handshake.

    ``certificate``: ours, in DER; empty if there is none. ``end_point``: its hash for channel
    binding. ``warnings``: what will be wrong soon, or for some peers. ``verifiers``: by role.
    """

    context: ssl.SSLContext
    certificate: bytes = b""
    end_point: bytes = b""
    warnings: tuple[str, ...] = ()
    verifiers: Mapping[str, Verifier] = field(default_factory=dict)


def frontend_credentials(settings: FrontendTls, now: datetime) -> Credentials | None:
    """Return what the frontend's leg needs; None: TLS is not offered.

    Errors: ConfigurationError with everything that is wrong with the files.
    """
    if settings.certificate is None:
        return None
    context = _bounded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.options |= ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0  # as PostgreSQL: sessions are not resumed
    files = _Files("frontend_tls", context, now)
    files.present(settings.certificate, settings.key)
    files.trust(settings.ca, settings.crl)
    if settings.verify != "none":
        required = settings.verify == "required"
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    files.verify(settings.scram_verifiers)
    return files.credentials()


def backend_credentials(settings: BackendTls, now: datetime) -> Credentials | None:
    """Return what the backend's leg needs; None: TLS is never used.

    As in libpq a CA is enough to have the database's certificate verified, whatever the mode.

    Errors: ConfigurationError with everything that is wrong with the files.
    """
    if settings.mode == "disable":
        return None
    context = _bounded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    files = _Files("backend_tls", context, now)
    files.present(settings.certificate, settings.key)
    files.trust(settings.ca, settings.crl)
    if settings.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.check_hostname = settings.mode == "verify-full"
    return files.credentials()


def _bounded(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols([ALPN])
    return context


class _Files:
    """Loads the files of one section into a context, and collects what is wrong with them."""

    def __init__(self, section: str, context: ssl.SSLContext, now: datetime) -> None:
        self._section = section
        self._context = context
        self._now = now
        self._problems: list[str] = []
        self._warnings: list[str] = []
        self._certificate = b""
        self._verifiers: dict[str, Verifier] = {}

    def credentials(self) -> Credentials:
        """Return what was loaded. Errors: ConfigurationError."""
        if self._problems:
            raise ConfigurationError(self._problems)
        return Credentials(
            self._context,
            self._certificate,
            end_point(self._certificate) if self._certificate else b"",
            tuple(self._warnings),
            self._verifiers,
        )

    def present(self, certificate: Path | None, key: Path | None) -> None:
        """Load our own certificate with its chain, and its key."""
        if certificate is None or key is None:
            return
        own = self._own_certificate(certificate)
        fits = self._has_key(key, own)
        if own is None or not fits:
            return
        self._certificate = own.public_bytes(Encoding.DER)
        try:
            self._context.load_cert_chain(certificate, key)
        except (ssl.SSLError, OSError) as error:
            self._complain("certificate", f"{certificate} cannot be used: {_reason(error)}")

    def trust(self, ca: Path | None, crl: Path | None) -> None:
        """Load whom we believe, and whom no longer."""
        if ca is not None and str(ca) == SYSTEM:
            self._context.load_default_certs()
        elif ca is not None:
            self._load("ca", ca, "x509", "certificate")
        if crl is not None:
            self._load("crl", crl, "crl", "revocation list")
            self._context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN

    def verify(self, path: Path | None) -> None:
        """Load the verifiers of roles, each line as pgbouncer has it: "role" "verifier"."""
        text = None if path is None else self._read("scram_verifiers", path)
        if path is None or text is None:
            return
        self._expect_closed("scram_verifiers", path)
        for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
            if not line.strip() or line.startswith(("#", ";")):
                continue
            found = _LINE.fullmatch(line.strip())
            try:
                if found is None:
                    raise ValueError("no role with a verifier")  # noqa: TRY301 - told below
                self._verifiers[found[1].replace('""', '"')] = parse_verifier(found[2])
            except ValueError as error:
                what = f'{path}:{number}: {error}, expected "role" "SCRAM-SHA-256$..."'
                self._complain("scram_verifiers", what)

    def _own_certificate(self, path: Path) -> x509.Certificate | None:
        text = self._read("certificate", path)
        if text is None:
            return None
        try:
            own = x509.load_pem_x509_certificates(text)[0]
        except ValueError:
            self._complain("certificate", f"{path} holds no certificate, expected PEM")
            return None
        left = own.not_valid_after_utc - self._now
        if left < timedelta(0):
            self._warn("certificate", f"{path} has expired on {own.not_valid_after_utc:%Y-%m-%d}")
        elif left < SOON:
            self._warn("certificate", f"{path} expires on {own.not_valid_after_utc:%Y-%m-%d}")
        if own.not_valid_before_utc > self._now:
            since = own.not_valid_before_utc
            self._warn("certificate", f"{path} is not valid before {since:%Y-%m-%d}")
        return own

    def _has_key(self, path: Path, own: x509.Certificate | None) -> bool:
        text = self._read("key", path)
        if text is None:
            return False
        self._expect_closed("key", path)
        try:
            key = load_pem_private_key(text, None)
        except TypeError:
            self._complain("key", f"{path} is encrypted, expected a key without a passphrase")
            return False
        except ValueError:
            self._complain("key", f"{path} holds no private key, expected PEM")
            return False
        if own is not None and key.public_key() != own.public_key():
            self._complain("key", f"{path} does not belong to the certificate, expected its key")
            return False
        return True

    def _expect_closed(self, name: str, path: Path) -> None:
        status = path.stat()
        others = _OTHERS if status.st_uid else _OTHERS_OF_ROOT
        if status.st_mode & others:
            mode = stat.S_IMODE(status.st_mode)
            self._complain(
                name,
                f"{path} has mode {mode:04o}: others may read it, expected 0600, or 0640 if it"
                " is root's",
            )

    def _load(self, name: str, path: Path, kind: str, wanted: str) -> None:
        if self._read(name, path) is None:
            return
        try:
            self._context.load_verify_locations(path)
        except ssl.SSLError:
            found = False
        else:
            found = self._context.cert_store_stats()[kind] > 0
        if not found:
            self._complain(name, f"{path} holds no {wanted}, expected PEM")

    def _read(self, name: str, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except OSError as error:
            self._complain(name, f"{path} cannot be read: {os.strerror(error.errno or 0)}")
            return None

    def _complain(self, name: str, what: str) -> None:
        self._problems.append(f"{self._section}.{name}: {what}")

    def _warn(self, name: str, what: str) -> None:
        self._warnings.append(f"{self._section}.{name}: {what}")


def end_point(certificate: bytes) -> bytes:
    """Return the hash of a certificate in DER by which SCRAM binds to it; empty: it has none.

    Source: RFC 5929, section 4.1.
    """
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return b""
    if algorithm is None:  # that of Ed25519 hashes by itself
        return b""
    name = "sha256" if algorithm.name in {"md5", "sha1"} else algorithm.name
    return hashlib.new(name, certificate).digest()


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
    return str(reason).lower().replace("_", " ")


def utc_now() -> datetime:
    """Return the time by which certificates expire."""
    return datetime.now(tz=UTC)
