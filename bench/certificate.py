"""A certificate that signs itself, for as long as a run takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from proxy.net import clock

if TYPE_CHECKING:
    from pathlib import Path

_NAME: Final = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
_LASTS: Final = timedelta(days=2)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate and its key in ``folder``; return where they are."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.fromtimestamp(clock.wall(), UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LASTS)
        .not_valid_after(now + _LASTS)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    paths[1].chmod(0o600)
    return paths
