"""The files of both legs: read again without a restart, and what is said of the database."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import pytest

from proxy.demo.postgres import HOST, free_port
from proxy.errors import ConfigurationError
from proxy.net.tls import Tls
from proxy.session.opening import Encryption
from proxy.settings.address import Address
from proxy.settings.settings import BackendTls, FrontendTls
from tests.fix_tls import Authority, Pair

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fix_tls import TlsLab

SECONDS: Final = 20.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "authority")


def frontend_of(pair: Pair, folder: Path) -> FrontendTls:
    """Return settings that name copies, so that others can be put in their place."""
    put(pair, folder)
    return FrontendTls(folder / "c.crt", folder / "c.key")


def put(pair: Pair, folder: Path) -> None:
    shutil.copy2(pair.certificate, folder / "c.crt")
    shutil.copy2(pair.key, folder / "c.key")


def test_a_new_certificate_is_presented_after_a_reload(
    authority: Authority, tmp_path: Path
) -> None:
    """The old one stays with the sessions that began with it, and with nobody else."""
    old, new = authority.issue("old"), authority.issue("new", days=3)
    tls = Tls(frontend_of(old, tmp_path))
    before = tls.frontend
    put(new, tmp_path)

    tls.reload()

    assert before is not None
    assert tls.frontend is not None
    assert (before.certificate, tls.frontend.certificate) == (old.der, new.der)
    (warning,) = tls.warnings
    assert "expires on" in warning


def test_a_reload_that_fails_changes_nothing(authority: Authority, tmp_path: Path) -> None:
    """On neither leg, and all that is wrong is told."""
    old, new = authority.issue("old"), authority.issue("new")
    ca = tmp_path / "ca.crt"
    shutil.copy2(authority.certificate, ca)
    tls = Tls(frontend_of(old, tmp_path), BackendTls("verify-ca", ca=ca))
    before = tls.frontend, tls.backend
    shutil.copy2(new.key, tmp_path / "c.key")
    ca.unlink()

    with pytest.raises(ConfigurationError) as caught:
        tls.reload()

    assert [one.split(": ")[0] for one in caught.value.problems] == [
        "frontend_tls.key",
        "backend_tls.ca",
    ]
    assert (tls.frontend, tls.backend) == before


def test_what_is_asked_of_frontends(authority: Authority, tmp_path: Path) -> None:
    """TLS by every address that is not named, and never by a Unix socket."""
    strict, lenient = Address(HOST, 1), Address(HOST, 2)
    pair = authority.issue("x")
    settings = FrontendTls(pair.certificate, pair.key, plaintext=frozenset({lenient}))
    tls = Tls(settings)

    asked = [tls.asked_of(one) for one in (strict, lenient, Address("", 0, str(tmp_path)), None)]

    assert asked == [
        Encryption.REQUIRED,
        Encryption.OFFERED,
        Encryption.NOT_OFFERED,
        Encryption.NOT_OFFERED,
    ]
    assert Tls().asked_of(strict) is Encryption.NOT_OFFERED


@pytest.mark.integration
@pytest.mark.parametrize(
    ("presents", "mode", "needs", "problem"),
    [
        ("same", "require", True, None),
        ("other", "require", False, None),
        ("other", "disable", True, None),
        ("other", "allow", True, None),
        ("other", "prefer", True, "is not that of the database at"),
        ("none", "require", True, None),
        ("none", "verify-ca", True, "certificate not accepted"),
    ],
)
async def test_what_is_told_before_anybody_logs_in(
    presents: str, mode: str, problem: str | None, tls_lab: TlsLab, tmp_path: Path, *, needs: bool
) -> None:
    """Where SCRAM cannot pass, or nobody would be let in."""
    pair = {"same": tls_lab.pair, "other": tls_lab.other, "none": None}[presents]
    frontend = FrontendTls(needs_channel_binding=needs)
    if pair is not None:
        frontend = FrontendTls(pair.certificate, pair.key, needs_channel_binding=needs)
    ca = Authority(tmp_path, "nobody").certificate if mode == "verify-ca" else None
    tls = Tls(frontend, BackendTls(mode, ca=ca))

    told = await tls.problem_with(Address(HOST, tls_lab.lab.port), SECONDS)

    assert (told is None) is (problem is None)
    assert (problem or "") in (told or "")


async def test_a_database_that_is_away_is_no_problem_of_tls(
    authority: Authority,
) -> None:
    """Vigie may start before it; whether it is there is told by /readyz."""
    pair = authority.issue("x")
    tls = Tls(FrontendTls(pair.certificate, pair.key), BackendTls("require"))

    assert await tls.problem_with(Address(HOST, free_port()), SECONDS) is None
