"""Files of TLS: each fault is told by the name of its setting, all of them at once."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from proxy.errors import ConfigurationError
from proxy.settings.certificates import backend_credentials, frontend_credentials, utc_now
from proxy.settings.settings import BackendTls, FrontendTls
from tests.fix_tls import Authority, Pair
from tests.scram import text_of, verifier_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "authority")


@pytest.fixture
def pair(authority: Authority, tmp_path: Path) -> Pair:
    made = authority.issue("vigie")
    for path in (made.certificate, made.key):
        (tmp_path / path.name).touch(mode=0o600)
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return replace(made, certificate=tmp_path / "vigie.crt", key=tmp_path / "vigie.key")


def settings_of(pair: Pair, **others: object) -> FrontendTls:
    return replace(FrontendTls(pair.certificate, pair.key), **others)  # type: ignore[arg-type]


def test_what_is_right_is_read(pair: Pair, authority: Authority) -> None:
    """Our certificate in DER, TLS 1.2 at least, and as many questions to the peer as were asked."""
    settings = settings_of(pair, ca=authority.certificate, verify="optional")
    found = frontend_credentials(settings, utc_now())

    assert found is not None
    assert found.certificate == pair.der
    assert found.warnings == ()
    assert found.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert found.context.verify_mode is ssl.CERT_OPTIONAL
    assert found.context.num_tickets == 0


def test_without_a_certificate_there_is_no_tls() -> None:
    """Neither with applications, nor with the database where it is disabled."""
    assert frontend_credentials(FrontendTls(), utc_now()) is None
    assert backend_credentials(BackendTls("disable"), utc_now()) is None


@pytest.mark.parametrize(
    ("mode", "ca", "verified", "named"),
    [
        ("prefer", False, ssl.CERT_NONE, False),
        ("require", False, ssl.CERT_NONE, False),
        ("require", True, ssl.CERT_REQUIRED, False),
        ("verify-ca", True, ssl.CERT_REQUIRED, False),
        ("verify-full", True, ssl.CERT_REQUIRED, True),
    ],
)
def test_how_the_database_is_verified(
    mode: str, authority: Authority, *, ca: bool, verified: ssl.VerifyMode, named: bool
) -> None:
    """As libpq: a CA is enough to be verified, the name only with verify-full."""
    file = authority.certificate if ca else None
    found = backend_credentials(BackendTls(mode, ca=file), utc_now())

    assert found is not None
    assert found.context.verify_mode is verified
    assert found.context.check_hostname is named


def no_file(pair: Pair) -> FrontendTls:
    return settings_of(pair, certificate=pair.certificate.with_name("none.crt"))


def no_key(pair: Pair) -> FrontendTls:
    pair.key.unlink()
    return settings_of(pair)


def not_a_key(pair: Pair) -> FrontendTls:
    pair.key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    return settings_of(pair)


def not_a_certificate(pair: Pair) -> FrontendTls:
    pair.certificate.write_bytes(pair.key.read_bytes())
    return settings_of(pair)


def key_of_another(pair: Pair) -> FrontendTls:
    other = Authority(pair.key.parent, "other").issue("other")
    return settings_of(pair, key=other.key)


def key_for_all(pair: Pair) -> FrontendTls:
    pair.key.chmod(0o644)
    return settings_of(pair)


def encrypted_key(pair: Pair) -> FrontendTls:
    key = load_pem_private_key(pair.key.read_bytes(), None)
    cipher = BestAvailableEncryption(b"secret")
    pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, cipher))
    return settings_of(pair)


def key_as_ca(pair: Pair) -> FrontendTls:
    return settings_of(pair, ca=pair.key, verify="required")


def certificate_as_crl(pair: Pair) -> FrontendTls:
    return settings_of(pair, ca=pair.certificate, crl=pair.certificate, verify="required")


FAULTS: dict[Callable[[Pair], FrontendTls], str] = {
    no_file: "frontend_tls.certificate: {folder}/none.crt cannot be read: No such file",
    no_key: "frontend_tls.key: {folder}/vigie.key cannot be read: No such file",
    not_a_key: "frontend_tls.key: {folder}/vigie.key holds no private key, expected PEM",
    not_a_certificate: "frontend_tls.certificate: {folder}/vigie.crt holds no certificate, exp",
    key_of_another: "frontend_tls.key: {folder}/other.key does not belong to the certificate, exp",
    key_for_all: "frontend_tls.key: {folder}/vigie.key has mode 0644: others may read it, expected",
    encrypted_key: "frontend_tls.key: {folder}/vigie.key is encrypted, expected a key without a",
    key_as_ca: "frontend_tls.ca: {folder}/vigie.key holds no certificate, expected PEM",
    certificate_as_crl: "frontend_tls.crl: {folder}/vigie.crt holds no revocation list, expected",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_fault_is_one_clear_problem(fault: Callable[[Pair], FrontendTls], pair: Pair) -> None:
    """What is wrong, with which file, and what was expected instead."""
    settings = fault(pair)

    with pytest.raises(ConfigurationError) as caught:
        frontend_credentials(settings, utc_now())

    (problem,) = caught.value.problems
    assert problem.startswith(FAULTS[fault].format(folder=pair.key.parent))


def verifiers_of(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "verifiers.txt"
    path.touch(mode=mode)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_verifiers_by_role(pair: Pair, tmp_path: Path) -> None:
    """The form of pgbouncer's file, quotes doubled; comments and empty lines are none."""
    verifier = verifier_of("secret")
    text = f'; of today\n"app" "{text_of(verifier)}"\n\n"a ""b""" "{text_of(verifier)}"\n'
    settings = settings_of(pair, scram_verifiers=verifiers_of(tmp_path, text))

    found = frontend_credentials(settings, utc_now())

    assert found is not None
    assert found.verifiers == {"app": verifier, 'a "b"': verifier}
    assert found.end_point == hashlib.sha256(pair.der).digest()


def test_what_is_no_file_of_verifiers(pair: Pair, tmp_path: Path) -> None:
    """Each line that is wrong, by its number, and without what stands in it."""
    text = f'"app" "md5abc"\n"ok" "{text_of(verifier_of("x"))}"\napp SCRAM\n'
    settings = settings_of(pair, scram_verifiers=verifiers_of(tmp_path, text))

    with pytest.raises(ConfigurationError) as caught:
        frontend_credentials(settings, utc_now())

    told = [one.partition("verifiers.txt")[2] for one in caught.value.problems]
    assert [one.partition(",")[0] for one in told] == [
        ":1: no SCRAM-SHA-256 verifier",
        ":3: no role with a verifier",
    ]
    assert "abc" not in str(caught.value)


def test_who_may_read_the_verifiers(pair: Pair, tmp_path: Path) -> None:
    """As a key: nobody else."""
    settings = settings_of(pair, scram_verifiers=verifiers_of(tmp_path, "", 0o644))

    with pytest.raises(ConfigurationError, match="mode 0644: others may read it"):
        frontend_credentials(settings, utc_now())


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """One start names every file that is missing."""
    names = ("certificate", "key", "ca", "crl")
    ca, crl, certificate, key = (tmp_path / name for name in ("ca", "crl", "c", "k"))
    settings = BackendTls("verify-ca", "postgres", ca, crl, certificate, key)

    with pytest.raises(ConfigurationError) as caught:
        backend_credentials(settings, utc_now())

    told = [problem.split(": ")[0] for problem in caught.value.problems]
    assert told == [f"backend_tls.{name}" for name in names]


@pytest.mark.parametrize(
    ("days", "later", "warning"),
    [
        (365, 0, None),
        (10, 0, "expires on"),
        (-1, 0, "has expired on"),
        (365, 400, "has expired on"),
        (365, -10, "is not valid before"),
    ],
)
def test_the_time_of_a_certificate_is_a_warning(
    days: int, later: int, warning: str | None, authority: Authority
) -> None:
    """Vigie starts with it: who verifies it will say no, and others will not."""
    made = authority.issue("short", days=days)

    now = utc_now() + timedelta(days=later)
    found = frontend_credentials(FrontendTls(made.certificate, made.key), now)

    assert found is not None
    assert [warning in one for one in found.warnings if warning] == ([True] if warning else [])
