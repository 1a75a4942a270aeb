"""Faults of either side: each gets one clear message or a close, and nobody else notices."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest

from proxy.demo.postgres import HOST, SUPERUSER, free_port
from proxy.demo.vigie_process import VigieDidNotStartError
from proxy.wire.encode import frame, query
from tests.fix_vigie import await_no_session, samples, until
from tests.integration import bare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

ROLE = "lims_app"
MIB = 1024 * 1024
ENDLESS = "select repeat('x', 1000), generate_series(1, 100000000)"
CLIENT_HELLO: Final = bytes.fromhex("16030100c4010000c00303") + os.urandom(190)


@pytest.fixture
def bystander(lab: Lab, enforcing: VigieProcess) -> Iterator[None]:
    """A session that is open all the while, and answered before and after."""
    with lab.connect(ROLE, enforcing.port) as connection:
        before = connection.execute("select pg_backend_pid()").fetchone()
        yield
        assert connection.execute("select pg_backend_pid()").fetchone() == before
    await_no_session(enforcing)


def raw_startup(code: int, rest: bytes, length: int | None = None) -> bytes:
    size = 8 + len(rest) if length is None else length
    return struct.pack(">II", size & 0xFFFFFFFF, code) + rest


V3: Final = 196608
OPENINGS: dict[str, tuple[bytes, str | None]] = {  # what is sent, and the SQLSTATE; None: closed
    "HTTP": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", None),
    "TLS without SSLRequest": (CLIENT_HELLO, None),
    "noise": (b"\xff\xfe\xfd\xfc" * 50, None),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", None),
    "length 0": (raw_startup(V3, b"", 0), "08P01"),
    "length 7": (raw_startup(V3, b"", 7), "08P01"),
    "length over the bound": (raw_startup(V3, b"", 10_005), "08P01"),
    "length of 2 GB": (raw_startup(V3, b"", 0x7FFFFFFF), None),
    "no zero byte": (raw_startup(V3, b"user\0x"), "08P01"),
    "no value": (raw_startup(V3, b"user\0\0"), "08P01"),
    "no user": (raw_startup(V3, b"database\0x\0\0"), "28000"),
    "nothing": (raw_startup(V3, b"\0"), "28000"),
    "a name that is no text": (raw_startup(V3, b"user\0\xff\xfe\0\0"), "08P01"),
    "a name that is cut": (raw_startup(V3, b"user\0" + b"a" * 64 + b"\0\0"), "08P01"),
    "protocol 2": (raw_startup(0x20000, b"\0" * 288), "0A000"),
    "protocol 4": (raw_startup(0x40000, b"\0"), "0A000"),
    "a cancel that is too short": (raw_startup(80877102, b"\0\0\0\1"), "08P01"),
    "SSLRequest with more behind it": (bare.SSL_REQUEST + bare.startup(user="x"), "08P01"),
}


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("name", OPENINGS)
def test_a_start_that_is_none_is_refused(enforcing: VigieProcess, name: str) -> None:
    """An ErrorResponse if it may be a frontend, a close in any case."""
    sent, sqlstate = OPENINGS[name]
    refused = 'vigie_frontend_connections_total{outcome="refused"}'
    before = samples(enforcing)[refused]
    with bare.dialled(enforcing.port) as wire:
        wire.send(sent)
        answer = wire.receive_rest()

    if sqlstate is None:
        assert answer == b""
    else:
        assert answer[:1] == b"E"
        assert int.from_bytes(answer[1:5], "big") == len(answer) - 1
        error = bare.fields(answer[5:])
        assert (error["S"], error["C"]) == ("FATAL", sqlstate)
        assert len(error["M"]) > 10
    assert samples(enforcing)[refused] == before + 1


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("sent", [b"", b"\0", b"\0\0\0\x50", bare.startup(user="x")[:-1]])
def test_a_frontend_that_leaves_half_way_leaves_nothing(
    enforcing: VigieProcess, sent: bytes
) -> None:
    """Connected, a few bytes, gone: the connection is forgotten."""
    before = samples(enforcing)["vigie_frontend_connections_open"]
    with bare.dialled(enforcing.port) as wire:
        if sent:
            wire.send(sent)
        until(
            lambda: samples(enforcing)["vigie_frontend_connections_open"] == before + 1,
            "the connection to be counted",
        )
    until(
        lambda: samples(enforcing)["vigie_frontend_connections_open"] == before,
        "the connection to be forgotten",
    )


@pytest.mark.usefixtures("bystander")
def test_a_wrong_password_is_the_databases_error(lab: Lab, enforcing: VigieProcess) -> None:
    """28P01 as it comes, counted as a failed login, and not as an error of the database."""
    failed = 'vigie_frontend_connections_total{outcome="login_failed"}'
    lost = 'vigie_upstream_errors_total{reason="lost"}'
    before = samples(enforcing)
    dsn = lab.dsn(ROLE, enforcing.port).replace(lab.passwords[ROLE], "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(dsn)
    until(lambda: samples(enforcing)[failed] == before[failed] + 1, "the login to be counted")

    assert samples(enforcing)[lost] == before[lost]


@pytest.mark.usefixtures("bystander")
def test_a_database_that_does_not_exist_is_the_databases_error(
    lab: Lab, enforcing: VigieProcess
) -> None:
    """FATAL 3D000 passes."""
    dsn = lab.dsn(ROLE, enforcing.port).replace("dbname=lab", "dbname=nowhere")
    with pytest.raises(psycopg.OperationalError, match='database "nowhere" does not exist'):
        psycopg.connect(dsn)


MESSAGES: dict[str, tuple[bytes, str]] = {
    "length 0": (b"Q\0\0\0\0", "08P01"),
    "length 3": (b"Q\0\0\0\3", "08P01"),
    "length over the bound": (b"Q\x7f\xff\xff\xff", "08P01"),
    "negative length": (b"Q\xff\xff\xff\xff", "08P01"),
    "unknown type": (b"z\0\0\0\4", "08P01"),
    "type of the other side": (b"T\0\0\0\4", "08P01"),
    "zero bytes": (b"\0" * 100, "08P01"),
    "TLS in the middle": (CLIENT_HELLO, "08P01"),
    "HTTP in the middle": (b"GET / HTTP/1.1\r\n\r\n", "08P01"),
    "oversize Query": (frame(ord("Q"), b"select '" + b"x" * 65 * MIB + b"'\0"), "54000"),
    "oversize Parse": (frame(ord("P"), b"\0select '" + b"x" * 65 * MIB + b"'\0\0\0"), "54000"),
    "oversize Describe": (frame(ord("D"), b"S" + b"x" * 17 * MIB + b"\0"), "08P01"),
}


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_that_is_none_ends_the_session(
    lab: Lab, enforcing: VigieProcess, name: str
) -> None:
    """One FATAL error that names value and bound, then closed; the backend goes too."""
    sent, sqlstate = MESSAGES[name]
    with bare.logged_in(lab, ROLE, enforcing.port) as wire:
        wire.send(query(b"select pg_backend_pid()"))
        process_id = int(dict(wire.receive_to())["D"][6:])
        with contextlib.suppress(ConnectionError):
            wire.send(sent)
        answers = wire.receive_to()

    assert bare.tags(answers) == "E"
    error = bare.error(answers)
    assert (error["S"], error["C"]) == ("FATAL", sqlstate)
    assert re.search(r"\d|0x", error["M"])
    until(lambda: not is_there(lab, process_id), "the backend to end")


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize(
    "sent",
    [
        b"Q\0\1\0\0select",
        query(ENDLESS.encode()),
        query(b"select pg_sleep(600)"),
        query(b"copy lab.audit from stdin") + frame(ord("d"), b"1\t"),
        bare.parse("", ENDLESS) + bare.bind("", "") + bare.execute("", 10) + b"H\0\0\0\4",
    ],
    ids=["half a message", "streaming", "busy", "copying", "suspended"],
)
def test_a_frontend_that_is_gone_takes_its_backend_along(
    lab: Lab, enforcing: VigieProcess, sent: bytes
) -> None:
    """Closed in the middle of something: no session and no backend stays behind."""
    with bare.logged_in(lab, ROLE, enforcing.port) as wire:
        wire.send(query(b"select pg_backend_pid()"))
        process_id = int(dict(wire.receive_to())["D"][6:])
        wire.send(sent)
        if b"generate_series" in sent:
            wire.receive()
        # a reset, as from a machine that lost its power and came back
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.socket.shutdown(socket.SHUT_RDWR)
    if b"pg_sleep" in sent:  # PostgreSQL itself looks for the frontend only when it answers
        terminate(lab, process_id)
    until(lambda: not is_there(lab, process_id), "the backend to end")


@pytest.mark.usefixtures("bystander")
def test_a_backend_that_is_killed_within_a_result_is_an_error(
    lab: Lab, enforcing: VigieProcess
) -> None:
    """Terminated while rows come: the frontend sees an error or a close, never an end."""
    lost = 'vigie_upstream_errors_total{reason="lost"}'
    with bare.logged_in(lab, ROLE, enforcing.port) as wire:
        wire.send(query(b"select pg_backend_pid()"))
        process_id = int(dict(wire.receive_to())["D"][6:])
        wire.send(query(ENDLESS.encode()))
        wire.receive()
        terminate(lab, process_id)
        answers = wire.receive_to()

    assert "C" not in bare.tags(answers)
    assert "Z" not in bare.tags(answers)
    assert bare.tags(answers).count("E") <= 1
    assert not is_there(lab, process_id)
    assert samples(enforcing)[lost] >= 0


@pytest.mark.usefixtures("bystander")
def test_an_idle_session_hears_that_its_backend_was_ended(
    lab: Lab, enforcing: VigieProcess
) -> None:
    """57P01 passes, then closed."""
    with bare.logged_in(lab, ROLE, enforcing.port) as wire:
        wire.send(query(b"select pg_backend_pid()"))
        terminate(lab, int(dict(wire.receive_to())["D"][6:]))
        answers = wire.receive_to()

    assert bare.tags(answers) == "E"
    assert bare.error(answers)["C"] == "57P01"


def is_there(lab: Lab, process_id: int) -> bool:
    with lab.connect(SUPERUSER) as connection:
        text = b"select 1 from pg_stat_activity where pid = %s"
        return connection.execute(text, [process_id]).fetchone() is not None


def terminate(lab: Lab, process_id: int) -> None:
    with lab.connect(SUPERUSER) as connection:
        connection.execute("select pg_terminate_backend(%s)", [process_id])


# a database that is none


class Upstream:
    """Listens as the database; hands each connection to ``play`` in a thread."""

    def __init__(self, play: Callable[[bare.Bare], None], port: int = 0) -> None:
        self._listener = socket.create_server((HOST, port))
        self.port = int(self._listener.getsockname()[1])
        self._play = play
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):
            wire = bare.Bare(connection)
            size = connection.recv(4)
            if size:  # else: only whether anybody listens
                connection.recv(int.from_bytes(size, "big") - 4)
                self._play(wire)

    def close(self) -> None:
        """Stop listening and wait for what is played."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(bare.SILENCE_SECONDS)


@contextlib.contextmanager
def playing(play: Callable[[bare.Bare], None]) -> Iterator[Upstream]:
    upstream = Upstream(play)
    try:
        yield upstream
    finally:
        upstream.close()


READY: Final = frame(ord("Z"), b"I")
WELCOME: Final = frame(ord("R"), b"\0\0\0\0") + frame(ord("K"), b"\0\0\0\7abcd") + READY
COLUMN: Final = b"\0\1c\0" + struct.pack(">IhIhih", 0, 0, 25, -1, -1, 0)
ROW: Final = frame(ord("D"), b"\0\1\0\0\0\1x")
NO_CATALOG: Final = frame(ord("E"), b"SERROR\0C42501\0Mno catalog\0\0") + READY
FAULTS: dict[str, tuple[bytes, str | None]] = {  # what answers a Query, and the SQLSTATE told
    "closes between messages": (frame(ord("T"), COLUMN) + ROW, "08006"),
    "closes at once": (b"", "08006"),
    "unknown type": (b"y\0\0\0\4", "08P01"),
    "length 3": (b"D\0\0\0\3", "08P01"),
    "a row that answers nothing": (frame(ord("T"), COLUMN) + frame(ord("1"), b""), "08P01"),
    "an impossible count of columns": (frame(ord("T"), b"\xff\xff"), "08P01"),
    "ready twice": (READY + READY, "08P01"),
}


@pytest.fixture(scope="module")
def failing(module_vigie: StartVigie) -> Iterator[VigieProcess]:
    """A proxy in front of an upstream that answers a Query by the fault it names."""

    def play(wire: bare.Bare) -> None:
        wire.send(WELCOME)
        while (message := wire.receive()) is not None:
            if message[0] not in "QS":  # the rest of an extended query, which Sync ends
                continue
            name = message[1].rstrip(b"\0").decode().removeprefix("select '").removesuffix("'")
            if name in FAULTS:
                wire.send(FAULTS[name][0])
                return
            wire.send(NO_CATALOG)

    with playing(play) as upstream:
        process = module_vigie(upstream=upstream.port)
        yield process
        process.stop()


@pytest.mark.parametrize("name", FAULTS)
def test_an_upstream_that_fails_is_told_once(failing: VigieProcess, name: str) -> None:
    """Lost or out of its mind in the middle of a result: one FATAL error, then closed."""
    with bare.dialled(failing.port) as wire:
        wire.send(bare.startup(user="somebody", database="lab"))
        wire.receive_to()
        wire.send(query(f"select '{name}'".encode()))
        rest = wire.receive_to("never")
    await_no_session(failing)

    errors = [body for tag, body in rest if tag == "E"]
    assert len(errors) == 1
    assert (bare.fields(errors[0])["S"], bare.fields(errors[0])["C"]) == ("FATAL", FAULTS[name][1])
    assert "C" not in bare.tags(rest)


def test_an_upstream_that_says_nothing_ends_at_the_deadline(vigie: StartVigie) -> None:
    """One deadline from the connection to the first ReadyForQuery, whoever is silent."""
    end = threading.Event()
    with playing(lambda _wire: (end.wait(30), None)[1]) as upstream:
        process = vigie(
            upstream=upstream.port, environment={"VIGIE_LIMITS__LOGIN_TIMEOUT_SECONDS": "1"}
        )
        with (
            bare.dialled(process.port) as silent,
            bare.dialled(process.port) as half,
            bare.dialled(process.port) as asked,
            bare.dialled(process.port) as whole,
        ):
            half.send(bare.startup(user="x")[:9])
            asked.send(bare.SSL_REQUEST)
            whole.send(bare.startup(user="x"))
            answers = [one.receive_rest() for one in (silent, half, asked, whole)]
        await_no_session(process)
        end.set()

    assert [answer.count(b"C08006\0") for answer in answers] == [1, 1, 1, 1]


def test_an_upstream_that_is_down_is_told(lab: Lab, vigie: StartVigie) -> None:
    """Vigie starts without it and says 08006; once the database is there, all is well."""
    port = free_port()
    process = vigie(upstream=port, probe="/healthz")
    with bare.dialled(process.port) as wire:
        wire.send(bare.startup(user=ROLE, database=lab.database))
        answers = wire.receive_to()
    refused = samples(process)['vigie_upstream_errors_total{reason="refused"}']

    def welcome(wire: bare.Bare) -> None:
        wire.send(WELCOME)

    upstream = Upstream(welcome, port)
    try:
        with bare.dialled(process.port) as wire:
            wire.send(bare.startup(user=ROLE, database=lab.database))
            later = wire.receive_to()
    finally:
        upstream.close()

    assert bare.tags(answers) == "E"
    assert bare.error(answers)["C"] == "08006"
    assert str(port) not in bare.error(answers)["M"]
    assert refused == 1
    assert bare.tags(later) == "RKZ"


@pytest.mark.parametrize("option", ["--listen", "--http"])
def test_a_port_in_use_is_one_line(vigie: StartVigie, option: str) -> None:
    """The address, why, and which option changes it; status 1, no traceback."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(VigieDidNotStartError) as caught:
            vigie(option, f"{HOST}:{port}", probe="/healthz")

    text = str(caught.value)
    line = f"vigie: cannot listen on {HOST} port {port}: address already in use; choose another by"
    assert f"{line} {option}\n" in text
    assert "ended with status 1" in text
    assert "Traceback" not in text


def test_an_address_of_elsewhere_is_one_line(tmp_path: Any) -> None:
    """An address that this machine does not have."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "proxy.cli", "run", "--listen", "192.0.2.1:6432"),
            *("--upstream", f"{HOST}:1", "--audit", str(tmp_path / "audit.jsonl")),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert re.fullmatch(
        r"vigie: cannot listen on 192\.0\.2\.1 port 6432: .+; choose another by --listen",
        done.stderr.splitlines()[-1],
    )


def test_a_termination_is_told_to_open_sessions(lab: Lab, vigie: StartVigie) -> None:
    """SIGTERM: each session hears 57P01, and the process ends with status 0."""
    process = vigie(environment={"VIGIE_LIMITS__DRAIN_TIMEOUT_SECONDS": "1"})
    with (
        bare.logged_in(lab, ROLE, process.port) as idle,
        bare.logged_in(lab, ROLE, process.port) as busy,
    ):
        busy.send(query(b"select pg_sleep(600)"))
        os.kill(process.process_number, signal.SIGTERM)
        answers = [one.receive_to() for one in (idle, busy)]
    status = process.stop()
    sleeping = b"select count(*) from pg_stat_activity where query = 'select pg_sleep(600)'"
    with lab.connect(SUPERUSER) as connection:
        until(lambda: connection.execute(sleeping).fetchone() == (0,), "what ran to be cancelled")

    assert status == 0
    assert [bare.error(one)["C"] for one in answers] == ["57P01", "57P01"]
