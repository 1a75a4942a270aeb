"""TLS on both legs, with real drivers and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import asyncpg
import psycopg
import pytest

from proxy.demo.postgres import HOST, SUPERUSER, free_port
from proxy.demo.vigie_process import VigieDidNotStartError
from proxy.wire.encode import SSL_REQUEST
from tests.fix_tls import ANY_WAY, Authority
from tests.fix_vigie import until
from tests.integration import bare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_tls import Pair, TlsLab
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

ROLE: Final = "lims_app"
MIB: Final = 1024 * 1024
DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "tls.md"
BACKEND_TLS: Final = b"select ssl from pg_stat_ssl where pid = pg_backend_pid()"


class Running(NamedTuple):
    """A Vigie whose own port requires TLS, and which also listens where it may be left out."""

    process: VigieProcess
    lenient: int

    @property
    def strict(self) -> int:
        """Return the port that requires TLS."""
        return self.process.port


def start(
    vigie: StartVigie, lab: TlsLab, pair: Pair | None, *, upstream: int | None = None, **others: str
) -> Running:
    """Start one that presents ``pair``; ``others``: settings by the names of their variables."""
    lenient = free_port()
    variables = {f"VIGIE_{name.upper()}": value for name, value in others.items()}
    if pair is not None:
        variables["VIGIE_FRONTEND_TLS__CERTIFICATE"] = str(pair.certificate)
        variables["VIGIE_FRONTEND_TLS__KEY"] = str(pair.key)
        variables["VIGIE_FRONTEND_TLS__PLAINTEXT"] = f"{HOST}:{lenient}"
    options = ("--listen", f"{HOST}:{lenient}")
    process = vigie(*options, upstream=upstream or lab.lab.port, environment=variables)
    return Running(process, lenient)


def parameters(lab: TlsLab, port: int) -> dict[str, Any]:
    return {
        "host": HOST,
        "port": port,
        "user": ROLE,
        "password": lab.lab.passwords[ROLE],
        "dbname": lab.lab.database,
        "connect_timeout": 20,
    }


def connect(lab: TlsLab, port: int, **options: Any) -> psycopg.Connection:
    """Log in by the driver's own libpq, which is of PostgreSQL 17 or later."""
    return psycopg.connect(**parameters(lab, port), autocommit=True, **options)


def by_psql(lab: TlsLab, port: int, **options: str) -> str:
    """Log in by the system's psql; return "" or what it complains of."""
    told = " ".join(f"{name}='{value}'" for name, value in options.items())
    given = " ".join(f"{name}='{value}'" for name, value in parameters(lab, port).items())
    done = subprocess.run(
        [str(lab.lab.programs / "psql"), "-Xqc", "select 1", f"{given} {told}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
    )
    return done.stderr if done.returncode else ""


def by_driver(lab: TlsLab, port: int, **options: str) -> str:
    """Log in by psycopg; return "" or what it complains of."""
    try:
        with connect(lab, port, **options) as connection:
            connection.execute("select 1")
    except psycopg.OperationalError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def same(module_vigie: StartVigie, tls_lab: TlsLab) -> Running:
    """TLS on both legs, with one certificate."""
    return start(
        module_vigie,
        tls_lab,
        tls_lab.pair,
        backend_tls__mode="verify-full",
        backend_tls__ca=str(tls_lab.authority.certificate),
        frontend_tls__verify="optional",
        frontend_tls__ca=str(tls_lab.authority.certificate),
    )


@pytest.fixture(scope="module")
def other(module_vigie: StartVigie, tls_lab: TlsLab) -> Running:
    """TLS on both legs, with a certificate of Vigie's own."""
    return start(
        module_vigie,
        tls_lab,
        tls_lab.other,
        backend_tls__mode="require",
        frontend_tls__channel_binding="unused",
    )


@pytest.fixture(scope="module")
def plain(module_vigie: StartVigie, tls_lab: TlsLab) -> Running:
    """TLS with applications only."""
    return start(module_vigie, tls_lab, tls_lab.other, backend_tls__mode="disable")


@pytest.fixture(scope="module")
def verifiers(tls_lab: TlsLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of SCRAM verifiers, written as docs/tls.md says."""
    command = next(
        line.strip() for line in DOCUMENT.read_text("utf-8").splitlines() if "psql -AXqt" in line
    )
    folder = tmp_path_factory.mktemp("verifiers")
    lab = tls_lab.lab
    subprocess.run(
        ["sh", "-ec", command],
        check=True,
        cwd=folder,
        env={
            "PATH": f"{lab.programs}:{os.environ['PATH']}",
            "PGHOST": HOST,
            "PGPORT": str(lab.port),
            "PGUSER": SUPERUSER,
            "PGPASSWORD": lab.passwords[SUPERUSER],
            "PGDATABASE": lab.database,
        },
    )
    return folder / "verifiers.txt"


@pytest.fixture(scope="module")
def relayed(module_vigie: StartVigie, tls_lab: TlsLab, verifiers: Path) -> Running:
    """TLS on both legs, with a certificate of Vigie's own, and the verifiers."""
    return start(
        module_vigie,
        tls_lab,
        tls_lab.other,
        backend_tls__mode="require",
        frontend_tls__scram_verifiers=str(verifiers),
    )


@pytest.fixture(scope="module")
def relayed_plain(module_vigie: StartVigie, tls_lab: TlsLab, verifiers: Path) -> Running:
    """TLS with applications only, and the verifiers."""
    return start(
        module_vigie,
        tls_lab,
        tls_lab.other,
        backend_tls__mode="disable",
        frontend_tls__scram_verifiers=str(verifiers),
    )


# the table of combinations

ENCRYPTED: Final = ("prefer", "require", "verify-full")
IN_THE_CLEAR: Final = ("disable", "allow")
BINDINGS: Final = ("prefer", "require", "disable")


def documented() -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the table of docs/tls.md: what becomes of a login, by both legs."""
    text = DOCUMENT.read_text("utf-8").partition("<!-- combinations -->")[2]
    table = itertools.takewhile(lambda line: line.startswith("|"), text.strip().splitlines())
    rows = list(table)[2:]
    cells = [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in rows]
    return {(one[0], one[1]): one[2:] for one in cells}


ROWS: Final = documented()
RUNNING: Final = {  # the fixture of each kind of backend's leg
    "no TLS": "plain",
    "TLS": "same",
    "TLS, same certificate": "same",
    "TLS, another certificate": "other",
    "TLS, another certificate, `scram_verifiers`": "relayed",
    "no TLS, `scram_verifiers`": "relayed_plain",
}


def outcome(complaint: str) -> str:
    """Return what a driver's complaint comes to, in the words of the table."""
    if not complaint:
        return "works"
    if "SCRAM channel binding cannot pass: Vigie's certificate is not the database's" in complaint:
        return "Vigie refuses"
    if re.search(r"channel binding (is )?required", complaint):
        return "libpq refuses"
    return complaint


@pytest.mark.parametrize("row", ROWS, ids=" and ".join)
def test_every_combination_is_as_documented(
    row: tuple[str, str], request: pytest.FixtureRequest, tls_lab: TlsLab
) -> None:
    """Each sslmode and channel_binding, by two versions of libpq, against the table for people."""
    frontend, backend = row
    vigie: Running = request.getfixturevalue(RUNNING[backend])
    modes, port = (ENCRYPTED, vigie.strict) if frontend == "TLS" else (IN_THE_CLEAR, vigie.lenient)
    root = str(tls_lab.authority.certificate)

    found = {
        binding: {
            outcome(log_in(tls_lab, port, sslmode=mode, channel_binding=binding, sslrootcert=root))
            for mode, log_in in itertools.product(modes, (by_psql, by_driver))
        }
        for binding in BINDINGS
    }

    assert found == {binding: {cell} for binding, cell in zip(BINDINGS, ROWS[row], strict=True)}


def test_another_certificate_is_told_at_the_start(vigie: StartVigie, tls_lab: TlsLab) -> None:
    """Where libpq's default could not work, Vigie says so and how to go on, and does not start."""
    with pytest.raises(VigieDidNotStartError) as caught:
        start(vigie, tls_lab, tls_lab.other, backend_tls__mode="require")

    told = str(caught.value)
    assert "ended with status 1" in told
    assert "frontend_tls.certificate: is not that of the database at 127.0.0.1:" in told
    assert "channel_binding 'unused'" in told


def test_passwords_with_verifiers(
    vigie: StartVigie, tls_lab: TlsLab, verifiers: Path, tmp_path: Path
) -> None:
    """A wrong one, one that was changed since, and roles that are not in the file."""
    role = "lims_app"
    kept = [line for line in verifiers.read_text().splitlines() if '"biologist"' not in line]
    own = tmp_path / "verifiers.txt"
    own.touch(mode=0o600)
    own.write_text("\n".join(kept))
    running = start(
        vigie,
        tls_lab,
        tls_lab.other,
        backend_tls__mode="require",
        frontend_tls__scram_verifiers=str(own),
    )

    def told(name: str, password: str, **options: str) -> str:
        lab = replace(tls_lab.lab, passwords={ROLE: password})
        given = {"user": name, **options, "sslmode": "require"}
        try:
            psycopg.connect(**{**parameters(replace(tls_lab, lab=lab), running.strict), **given})
        except psycopg.OperationalError as error:
            return str(error)
        return ""

    right = tls_lab.lab.passwords
    with tls_lab.lab.connect(SUPERUSER) as database:
        database.execute("alter role dashboard password 'new'")
    try:
        found = {
            "wrong": told(role, "guess"),
            "changed": told("dashboard", "new"),
            "nobody": told("nobody", "guess"),
            "not in it": told("biologist", right["biologist"]),
            "not in it, unbound": told("biologist", "guess", channel_binding="disable"),
        }
    finally:
        with tls_lab.lab.connect(SUPERUSER) as database:
            database.execute(f"alter role dashboard password '{right['dashboard']}'".encode())

    assert 'password authentication failed for user "lims_app"' in found["wrong"]
    assert "is not the database's" in found["changed"]
    assert "SCRAM channel binding cannot pass" in found["nobody"]
    assert "SCRAM channel binding cannot pass" in found["not in it"]
    assert 'password authentication failed for user "biologist"' in found["not in it, unbound"]


def test_a_wrong_ca_is_told_at_the_start(
    vigie: StartVigie, tls_lab: TlsLab, tmp_path: Path
) -> None:
    """Nobody could log in: better said now than at each login."""
    ca = Authority(tmp_path, "nobody").certificate
    with pytest.raises(VigieDidNotStartError) as caught:
        start(vigie, tls_lab, None, backend_tls__mode="verify-ca", backend_tls__ca=str(ca))

    assert "backend_tls.mode: verify-ca, but of the database" in str(caught.value)
    assert "certificate not accepted" in str(caught.value)


# the frontend's leg


def test_direct_tls(same: Running, tls_lab: TlsLab) -> None:
    """PostgreSQL 17's: no SSLRequest, ALPN instead, channel binding as ever."""
    with connect(
        tls_lab,
        same.strict,
        sslmode="require",
        sslnegotiation="direct",
        channel_binding="require",
    ) as connection:
        assert connection.execute(BACKEND_TLS).fetchone() == (True,)


@pytest.mark.parametrize(
    ("alpn", "is_direct", "is_taken"),
    [
        (["postgresql"], True, True),
        (None, True, False),
        (["http/1.1"], True, False),
        (["postgresql"], False, True),
        (None, False, True),
    ],
)
def test_the_protocol_by_alpn(
    same: Running, alpn: list[str] | None, *, is_direct: bool, is_taken: bool
) -> None:
    """Direct TLS needs it, so that nobody is led here from elsewhere; SSLRequest does not."""
    with bare.dialled(same.strict) as raw:
        if not is_direct:
            raw.send(SSL_REQUEST)
            assert raw.socket.recv(1) == b"S"
        with context(alpn).wrap_socket(raw.socket) as wrapped:
            inner = bare.Bare(wrapped)
            inner.send(bare.startup(user=ROLE))
            answer = inner.receive()

    assert (answer is not None and answer[0] == "R") is is_taken


def context(alpn: list[str] | None = None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if alpn is not None:
        made.set_alpn_protocols(alpn)
    return made


def test_plaintext_is_refused_where_tls_is_required(same: Running, tls_lab: TlsLab) -> None:
    """In PostgreSQL's words, and with its SQLSTATE."""
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        connect(tls_lab, same.strict, sslmode="disable")
    with bare.dialled(same.strict) as raw:
        raw.send(bare.startup(user=ROLE, database="lab"))
        assert bare.error(raw.receive_to("E"))["C"] == "28000"


def test_bytes_stuffed_before_the_handshake_are_refused(same: Running) -> None:
    """Neither with the request nor after its answer does a start-up in the clear begin anything."""
    for sends in (
        [SSL_REQUEST + bare.startup(user=ROLE)],
        [SSL_REQUEST, bare.startup(user=ROLE)],
    ):
        with bare.dialled(same.lenient) as raw:
            raw.send(sends[0])
            for one in sends[1:]:
                assert raw.socket.recv(1) == b"S"
                raw.send(one)
            rest = raw.receive_rest()
            assert b"R\0\0\0" not in rest  # no Authentication message


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\n\r\n" * 3, bytes(64), b"\x16\x03\x01\x02\x00" + bytes(512)]
)
def test_a_handshake_that_is_none_ends_the_connection(same: Running, noise: bytes) -> None:
    """By an alert at most; nobody else notices."""
    with bare.dialled(same.strict) as raw:
        raw.send(SSL_REQUEST)
        assert raw.socket.recv(1) == b"S"
        raw.send(noise)

        assert raw.receive_rest()[:1] in {b"", b"\x15"}


def test_a_slow_handshake_has_the_deadline_of_the_login(vigie: StartVigie, tls_lab: TlsLab) -> None:
    """Before S, after it, and within the ClientHello: closed when the time is over."""
    running = start(
        vigie,
        tls_lab,
        tls_lab.other,
        backend_tls__mode="disable",
        limits__login_timeout_seconds="1",
    )
    for asks, then in ((False, b""), (True, b""), (True, b"\x16\x03\x01\x02\0"), (False, b"\x16")):
        with bare.dialled(running.strict) as raw:
            if asks:
                raw.send(SSL_REQUEST)
                assert raw.socket.recv(1) == b"S"
            raw.send(then)
            assert raw.receive_rest()[:1] in {b"", b"E"}


def test_older_libpq_cancels_in_the_clear(same: Running, tls_lab: TlsLab) -> None:
    """The listener that requires TLS takes a CancelRequest without it, as PostgreSQL does."""
    with connect(tls_lab, same.strict, sslmode="require") as connection:
        timer = threading.Timer(0.3, connection.cancel)  # PQcancel: never encrypted
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select pg_sleep(60)")
        timer.join()


def test_newer_libpq_cancels_through_tls(same: Running, tls_lab: TlsLab) -> None:
    """PQcancelBlocking uses the encryption of the session that it cancels."""
    with connect(tls_lab, same.strict, sslmode="require") as connection:
        timer = threading.Timer(0.3, connection.cancel_safe)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select pg_sleep(60)")
        timer.join()


def test_a_new_certificate_without_a_restart(
    vigie: StartVigie, tls_lab: TlsLab, tmp_path: Path
) -> None:
    """SIGHUP: new sessions see it, old ones go on, and a file that is wrong changes nothing."""
    first, second = (tls_lab.authority.issue(name) for name in ("first", "second"))
    own = replace(first, certificate=tmp_path / "c.crt", key=tmp_path / "c.key")
    shutil.copy2(first.certificate, own.certificate)
    shutil.copy2(first.key, own.key)
    running = start(vigie, tls_lab, own, backend_tls__mode="disable")

    with connect(tls_lab, running.strict, sslmode="require") as connection:
        assert presented(running.strict) == first.der
        shutil.copy2(second.certificate, own.certificate)
        os.kill(running.process.process_number, signal.SIGHUP)
        until(lambda: "does not belong to the certificate" in running.process.log, "a complaint")
        assert presented(running.strict) == first.der
        shutil.copy2(second.key, own.key)
        os.kill(running.process.process_number, signal.SIGHUP)
        until(lambda: presented(running.strict) == second.der, "the new certificate")
        assert connection.execute("select 1").fetchone() == (1,)


def presented(port: int) -> bytes:
    """Return the certificate that a frontend is presented."""
    with bare.dialled(port) as raw:
        raw.send(SSL_REQUEST)
        assert raw.socket.recv(1) == b"S"
        with context().wrap_socket(raw.socket) as wrapped:
            return wrapped.getpeercert(binary_form=True) or b""


# certificates of frontends


def test_a_certificate_is_in_the_audit_log(same: Running, tls_lab: TlsLab) -> None:
    """Who had what certificate stands beside role and address; without one there is none."""
    own = tls_lab.authority.issue("lims", unit="Lab")
    for options in ({"sslcert": str(own.certificate), "sslkey": str(own.key)}, {}):
        with (
            connect(tls_lab, same.strict, sslmode="require", **options) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute("select * from lab.patient")

    lines = same.process.audit.read_text("utf-8").splitlines()[-2:]
    named = [json.loads(line)["principal"]["certificate"] for line in lines]
    assert named == ["CN=lims,OU=Lab", ""]


def test_a_certificate_of_somebody_else_is_refused(
    same: Running, tls_lab: TlsLab, tmp_path: Path
) -> None:
    """Even where none would be needed: it is not what it says."""
    forged = Authority(tmp_path, "authority").issue("lims")
    with pytest.raises(psycopg.OperationalError, match=r"unknown ca|decrypt error|unexpectedly"):
        connect(
            tls_lab,
            same.strict,
            sslmode="require",
            sslcert=str(forged.certificate),
            sslkey=str(forged.key),
        )


def test_certificates_may_be_required_and_revoked(vigie: StartVigie, tls_lab: TlsLab) -> None:
    """None, a good one, and one that was called back."""
    good, bad = tls_lab.authority.issue("good"), tls_lab.authority.issue("bad")
    running = start(
        vigie,
        tls_lab,
        tls_lab.other,
        backend_tls__mode="disable",
        frontend_tls__verify="required",
        frontend_tls__ca=str(tls_lab.authority.certificate),
        frontend_tls__crl=str(tls_lab.authority.revoke(bad)),
    )

    told = {
        name: by_driver(
            tls_lab,
            running.strict,
            sslmode="require",
            **({"sslcert": str(one.certificate), "sslkey": str(one.key)} if one else {}),
        )
        for name, one in (("none", None), ("good", good), ("bad", bad))
    }

    assert told["good"] == ""
    assert re.search("certificate required|unexpectedly", told["none"])
    assert re.search("certificate revoked|unexpectedly", told["bad"])


# the backend's leg


@pytest.fixture
def hba(tls_lab: TlsLab) -> Iterator[TlsLab]:
    """The laboratory, whose pg_hba.conf a test may change."""
    yield tls_lab
    tls_lab.admit(*ANY_WAY)


@pytest.mark.parametrize(
    ("mode", "line", "with_tls"),
    [
        ("allow", "hostssl all all all scram-sha-256", True),
        ("allow", "host all all all scram-sha-256", False),
        ("prefer", "hostnossl all all all scram-sha-256", False),
        ("prefer", "host all all all scram-sha-256", True),
    ],
)
def test_modes_that_try_both_ways(
    vigie: StartVigie, hba: TlsLab, mode: str, line: str, *, with_tls: bool
) -> None:
    """The session is on the way that the database admits, and the application sees only that."""
    running = start(vigie, hba, None, backend_tls__mode=mode)
    hba.admit("local all all scram-sha-256", line)

    with connect(hba, running.strict, sslmode="disable") as connection:
        assert connection.execute(BACKEND_TLS).fetchone() == (with_tls,)


def test_an_error_of_the_database_is_told_by_either_way(vigie: StartVigie, hba: TlsLab) -> None:
    """When the database refuses both, what it says is what the application gets."""
    running = start(vigie, hba, None, backend_tls__mode="prefer")
    hba.admit("local all all scram-sha-256", "host all postgres all scram-sha-256")

    with pytest.raises(psycopg.OperationalError, match=r'no pg_hba.conf entry .*"lims_app"'):
        connect(hba, running.strict, sslmode="disable")


def test_the_certificate_of_vigie_opens_the_database(vigie: StartVigie, hba: TlsLab) -> None:
    """``clientcert=verify-ca``: only through Vigie, and with the role's own password."""
    own = hba.authority.issue("vigie-itself")
    running = start(
        vigie,
        hba,
        None,
        backend_tls__mode="require",
        backend_tls__certificate=str(own.certificate),
        backend_tls__key=str(own.key),
    )
    hba.admit(
        "local all all scram-sha-256",
        "hostssl all all all scram-sha-256 clientcert=verify-ca",
    )

    with connect(hba, running.strict, sslmode="disable") as connection:
        assert connection.execute(BACKEND_TLS).fetchone() == (True,)
    with pytest.raises(psycopg.OperationalError, match="requires a valid client certificate"):
        connect(hba, hba.lab.port, sslmode="require")


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
def test_a_vigie_before_a_vigie(
    vigie: StartVigie, same: Running, tls_lab: TlsLab, negotiation: str
) -> None:
    """One stands for PostgreSQL 17: direct TLS, and channel binding over three legs."""
    ahead = start(
        vigie,
        tls_lab,
        tls_lab.pair,
        upstream=same.strict,
        backend_tls__mode="verify-full",
        backend_tls__ca=str(tls_lab.authority.certificate),
        backend_tls__negotiation=negotiation,
    )

    with connect(tls_lab, ahead.strict, sslmode="require", channel_binding="require") as connection:
        assert connection.execute("select 1").fetchone() == (1,)
        connection.pgconn.send_query(b"select pg_sleep(60)")
        connection.cancel_safe()
        until(lambda: not is_busy(connection), "the statement to end")
        connection.pgconn.finish()


def is_busy(connection: psycopg.Connection) -> bool:
    connection.pgconn.consume_input()
    return bool(connection.pgconn.is_busy())


# what passes through both legs


def test_copies_of_50_mb_both_ways(same: Running, tls_lab: TlsLab) -> None:
    """Byte for byte, through four ends of TLS."""
    block = os.urandom(MIB // 2).hex().encode() + b"\n"
    sent, received, size = hashlib.sha256(), hashlib.sha256(), 0
    with connect(tls_lab, same.strict, sslmode="require") as connection:
        connection.execute("create temporary table bulk (line text)")
        with connection.cursor() as cursor, cursor.copy("copy bulk from stdin") as into:
            for _ in range(50):
                into.write(block)
                sent.update(block)
        with connection.cursor() as cursor, cursor.copy("copy bulk to stdout") as out:
            for part in out:
                received.update(part)
                size += len(part)

    assert size == 50 * len(block)
    assert received.hexdigest() == sent.hexdigest()


def test_a_refusal_through_tls(same: Running, tls_lab: TlsLab) -> None:
    """The error is the one told in the clear, and the session goes on."""
    with connect(tls_lab, same.strict, sslmode="require") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="query refused"):
            connection.execute("select * from lab.patient")
        for first in range(1, 50):
            text = f"select nir from lab.patient where id = {first}"
            assert len(connection.execute(text.encode()).fetchall()) == 1
        assert connection.execute("select 1").fetchone() == (1,)


async def test_asyncpg(same: Running, tls_lab: TlsLab) -> None:
    """A driver with a TLS of its own, pipelined statements and binary results."""
    given = parameters(tls_lab, same.strict)
    connection = await asyncpg.connect(
        host=given["host"],
        port=given["port"],
        user=given["user"],
        password=given["password"],
        database=given["dbname"],
        ssl=context(),
    )
    try:
        rows = await connection.fetch("select generate_series(1, $1::int)", 5000)
        assert [row[0] for row in rows] == list(range(1, 5001))
        with pytest.raises(asyncpg.QueryCanceledError):
            async with asyncio.timeout(30):
                await connection.execute("set statement_timeout = 100; select pg_sleep(20)")
    finally:
        await connection.close()


def test_a_reset_in_the_middle_leaves_nothing(same: Running, tls_lab: TlsLab) -> None:
    """The backend's session ends with the frontend's, whatever was under way."""
    with connect(tls_lab, same.strict, sslmode="require") as connection:
        row = connection.execute("select pg_backend_pid()").fetchone()
        assert row is not None
        connection.pgconn.send_query(b"select repeat('x', 1000) from generate_series(1, 10000000)")
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.pgconn.finish()

    with tls_lab.lab.connect(SUPERUSER) as watching:
        text = "select count(*) from pg_stat_activity where pid = %s"
        until(
            lambda: watching.execute(text, row).fetchone() == (0,),
            "the end of the backend's session",
        )


def test_who_reads_nothing_makes_nothing_grow(same: Running, tls_lab: TlsLab) -> None:
    """A result of a gigabyte that nobody takes stays where it is."""
    status = Path(f"/proc/{same.process.process_number}/status")
    connection = connect(tls_lab, same.strict, sslmode="require")
    number = connection.info.backend_pid
    before = peak(status)
    connection.pgconn.send_query(b"select repeat('x', 1000) from generate_series(1, 1000000)")
    with tls_lab.lab.connect(SUPERUSER) as watching:
        text = "select wait_event = 'ClientWrite' from pg_stat_activity where pid = %s"
        until(
            lambda: watching.execute(text, [number]).fetchone() == (True,),
            "the database to wait",
        )
    held = peak(status) - before
    connection.close()

    assert held < 8 * MIB


def peak(status: Path) -> int:
    (found,) = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())
    return int(found) * 1024
