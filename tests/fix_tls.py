"""Certificates made for a test, and a laboratory whose PostgreSQL speaks TLS."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from proxy.demo.binaries import Binaries, find_binaries
from proxy.demo.lab import Lab, create_lab
from proxy.demo.postgres import HOST, EmbeddedPostgres, _identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME: Final = "db.test"
OTHER_HOST: Final = "127.0.0.2"  # the database listens there too, but its certificate knows nothing
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files and in DER."""

    certificate: Path
    key: Path
    der: bytes
    number: int


class Authority:
    """A certification authority that lives as long as a test."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self.certificate = folder / f"{name}.crt"
        own = self._sign(self._name, self._key.public_key(), [_ca()], 365)
        self.certificate.write_bytes(own.public_bytes(Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        alternatives: Sequence[x509.GeneralName] = (),
        days: int = 365,
        file: str | None = None,
        unit: str | None = None,
    ) -> Pair:
        """Return a new certificate; it ends after ``days``, which may be negative."""
        key = ec.generate_private_key(ec.SECP256R1())
        extensions = [x509.SubjectAlternativeName(alternatives)] if alternatives else []
        made = self._sign(_named(name, unit), key.public_key(), extensions, days)
        certificate = self.folder / f"{file or name}.crt"
        certificate.write_bytes(made.public_bytes(Encoding.PEM))
        secret = self.folder / f"{file or name}.key"
        secret.touch(mode=0o600)
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        der = made.public_bytes(Encoding.DER)
        return Pair(certificate, secret, der, made.serial_number)

    def revoke(self, *pairs: Pair) -> Path:
        """Return a list of those that are no longer good."""
        now = datetime.now(tz=UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        builder = builder.last_update(now - _DAY).next_update(now + 30 * _DAY)
        for pair in pairs:
            one = x509.RevokedCertificateBuilder().serial_number(pair.number)
            builder = builder.add_revoked_certificate(one.revocation_date(now - _DAY).build())
        path = self.folder / "revoked.crl"
        path.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return path

    def _sign(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        extensions: Sequence[x509.ExtensionType],
        days: int,
    ) -> x509.Certificate:
        now = datetime.now(tz=UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name)
        builder = builder.public_key(key).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now + (min(days, 0) - 2) * _DAY)
        builder = builder.not_valid_after(now + days * _DAY)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _named(name: str, unit: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]
    if unit is not None:
        parts.insert(0, x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name(parts)


def _ca() -> x509.BasicConstraints:
    return x509.BasicConstraints(ca=True, path_length=None)


@dataclass(frozen=True)
class TlsLab:
    """A laboratory with TLS. ``pair`` is the database's, signed by ``authority``."""

    lab: Lab
    postgres: EmbeddedPostgres
    authority: Authority
    pair: Pair
    other: Pair  # for Vigie, where it is not to be the database's

    def admit(self, *lines: str) -> None:
        """Put these lines of pg_hba.conf in force."""
        data = self.postgres.base / "data"
        (data / "pg_hba.conf").write_text("".join(f"{line}\n" for line in lines))
        program = self.postgres.binaries.path("pg_ctl")
        subprocess.run(
            [program, "-D", str(data), "reload"],
            check=True,
            capture_output=True,
            cwd="/",
            **_identity(),
        )


ANY_WAY: Final = ("local all all scram-sha-256", "host all all all scram-sha-256")


@pytest.fixture(scope="session")
def tls_lab(request: pytest.FixtureRequest) -> Iterator[TlsLab]:
    """A laboratory in a PostgreSQL with TLS, which asks frontends for certificates of its CA."""
    binaries = find_binaries(request.config.getoption("--pg"))
    # not below pytest's folder, which is closed to the user whom PostgreSQL runs as
    with tempfile.TemporaryDirectory(prefix="vigie-tls-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        yield from _tls_lab(binaries, folder)


def _tls_lab(binaries: Binaries, folder: Path) -> Iterator[TlsLab]:
    authority = Authority(folder, "authority")
    names = [x509.DNSName(NAME), x509.DNSName("localhost")]
    address = x509.IPAddress(ipaddress.ip_address(HOST))
    pair = authority.issue(NAME, alternatives=[*names, address])
    other = authority.issue("vigie", alternatives=[*names, address])
    _give_away(pair.key, folder / "server.key")
    settings = {
        "listen_addresses": f"{HOST},{OTHER_HOST}",
        "ssl": "on",
        "ssl_cert_file": str(pair.certificate),
        "ssl_key_file": str(folder / "server.key"),
        "ssl_ca_file": str(authority.certificate),
    }
    if not _has_tls(binaries.path("pg_config")):
        pytest.skip(f"{binaries} was built without TLS")
    with EmbeddedPostgres(binaries, settings=settings) as postgres:
        lab = create_lab(postgres.port, postgres.password, 300, programs=binaries.folder)
        found = TlsLab(lab, postgres, authority, pair, other)
        found.admit(*ANY_WAY)
        yield found


def _has_tls(pg_config: str) -> bool:
    done = subprocess.run(
        [pg_config, "--configure"], check=False, capture_output=True, text=True, timeout=20
    )
    return "openssl" in done.stdout


def _give_away(key: Path, target: Path) -> None:
    target.write_bytes(key.read_bytes())
    target.chmod(0o600)
    identity = _identity()
    if identity:
        os.chown(target, identity["user"], identity["group"])
