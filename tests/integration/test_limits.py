"""Limits of a running Vigie: connections, idleness, and memory that no peer can raise."""

from __future__ import annotations

import struct
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from proxy.demo.postgres import HOST, SUPERUSER
from proxy.wire.encode import FLUSH, frame, query
from tests.fix_vigie import samples, until
from tests.integration import bare

if TYPE_CHECKING:
    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

ROLE = "lims_app"
OTHER = "secretary"
MIB = 1024 * 1024


def limits(**values: int) -> dict[str, str]:
    return {f"VIGIE_LIMITS__{name.upper()}": str(value) for name, value in values.items()}


def refusal(lab: Lab, role: str, port: int) -> str:
    """Return what a login is told; empty if it comes in."""
    try:
        lab.connect(role, port).close()
    except psycopg.OperationalError as error:
        return str(error).partition("FATAL:")[2].strip()
    return ""


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("connections", "sorry, too many clients already"),
        ("connections_per_address", f'too many connections for address "{HOST}"'),
        ("connections_per_role", f'too many connections for role "{ROLE}"'),
    ],
)
def test_one_session_too_many_is_refused(
    lab: Lab, vigie: StartVigie, setting: str, said: str
) -> None:
    """53300 in PostgreSQL's words; other roles come in; a place that is left is free again."""
    process = vigie(environment=limits(**{setting: 2}))
    with ExitStack() as stack:
        held = [stack.enter_context(lab.connect(ROLE, process.port)) for _ in range(2)]
        told = refusal(lab, ROLE, process.port)
        other = refusal(lab, OTHER, process.port)
        with bare.dialled(process.port) as wire:
            wire.send(bare.startup(user=ROLE, database=lab.database))
            first = wire.receive()
        held[0].close()
        until(lambda: refusal(lab, ROLE, process.port) == "", "a place")
    reason = "too_many_of_role" if setting == "connections_per_role" else "too_many"
    refused = samples(process)[f'vigie_connections_refused_total{{reason="{reason}"}}']

    assert told == said
    assert bool(other) == (setting != "connections_per_role")
    assert refused >= 1
    assert first is not None
    if setting == "connections_per_role":  # it counts once the password was good
        assert first[0] == "R"
    else:
        assert bare.error([first])["C"] == "53300"


@pytest.mark.parametrize(
    ("setting", "within", "sqlstate"),
    [
        ("idle_session_timeout_seconds", False, "57P05"),
        ("idle_in_transaction_timeout_seconds", True, "25P03"),
    ],
)
def test_an_idle_session_is_ended_as_by_postgresql(
    lab: Lab, vigie: StartVigie, setting: str, within: bool, sqlstate: str
) -> None:
    """The same words as the database's own timeout; a session of the other kind goes on."""
    process = vigie(environment=limits(**{setting: 1}))
    own = "idle_in_transaction_session_timeout" if within else "idle_session_timeout"
    answers = []
    for port, begin in ((lab.port, f"set {own} = 100"), (process.port, "select 1")):
        with bare.logged_in(lab, ROLE, port) as wire:
            wire.send(query(begin.encode()), query(b"begin") if within else b"")
            wire.receive_to()
            if within:
                wire.receive_to()
            answers.append(bare.error(wire.receive_to("E")))
    with lab.connect(ROLE, process.port) as connection:
        if not within:
            connection.execute("begin")
        busy = connection.execute("select pg_sleep(2)").fetchone()
        time.sleep(1.5 if not within else 0)  # longer than the limit, in the other state
        after = connection.execute("select 1").fetchone()

    direct, through = ({letter: one[letter] for letter in "SCM"} for one in answers)
    assert through == direct
    assert through["C"] == sqlstate
    assert (busy, after) == (("",), (1,))


def resident(process: VigieProcess) -> int:
    """Return the process's resident memory in bytes."""
    text = Path(f"/proc/{process.process_number}/status").read_text("ascii")
    line = next(one for one in text.splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def test_a_row_of_200_megabytes_is_not_collected(lab: Lab, vigie: StartVigie) -> None:
    """It passes whole, in pieces; at no moment does memory hold more than a few of them."""
    process = vigie()
    size = 200 * MIB
    peak, received = 0, 0
    with bare.logged_in(lab, ROLE, process.port) as wire:
        wire.send(query(b"select 1"))
        wire.receive_to()
        before = resident(process)
        wire.send(query(f"select repeat('x', {size})".encode()))
        while received < size:
            chunk = wire.socket.recv(4 * MIB)
            assert chunk
            received += len(chunk)
            peak = max(peak, resident(process))
    with lab.connect(ROLE, process.port) as connection:
        row = connection.execute(f"select repeat('y', {size // 4})").fetchone()

    assert peak - before < 16 * MIB
    assert row is not None
    assert len(row[0]) == size // 4


def flood(kind: str) -> bytes:
    """Return what would fill memory if it were kept: about 24 MiB of it."""
    match kind:
        case "password":
            return b"p" + struct.pack(">I", 1 << 30) + bytes(24 * MIB)
        case "query before the login":
            return b"Q" + struct.pack(">I", 15 * MIB) + b"x" * (14 * MIB)
        case "messages before the login":
            return query(b"select 1") * (24 * MIB // 14)
        case _:
            return frame(ord("C"), b"S" + b"x" * (8 * MIB) + b"\0") * 3


@pytest.mark.parametrize(
    "kind", ["password", "query before the login", "messages before the login", "close"]
)
def test_nobody_fills_memory_before_the_login(lab: Lab, vigie: StartVigie, kind: str) -> None:
    """Ten connections that send what they can; some bytes of each are kept."""
    process = vigie()
    with lab.connect(ROLE, process.port) as connection:
        connection.execute("select 1")
    before, peak = resident(process), 0
    data = flood(kind)
    with ExitStack() as stack:
        for _ in range(10):
            wire = stack.enter_context(bare.dialled(process.port))
            wire.send(bare.startup(user=ROLE, database=lab.database))
            wire.receive()  # the question for a password
            wire.socket.settimeout(0.5)
            with suppress(OSError):  # closed, or nobody reads any more
                wire.socket.sendall(data)
            peak = max(peak, resident(process))

    assert peak - before < 24 * MIB


def test_names_have_a_ceiling(lab: Lab, vigie: StartVigie) -> None:
    """Prepared statements without end: the database has them all, Vigie so many and says so."""
    process = vigie()
    with bare.logged_in(lab, SUPERUSER, process.port) as wire:
        before = resident(process)
        codes = set()
        for batch in range(24):
            first = batch * 500
            wire.send(
                *(
                    bare.parse(f"s{number}", f"select {number} as {'x' * 2000}")
                    for number in range(first, first + 500)
                ),
                b"S\0\0\0\4",
            )
            messages = wire.receive_to()
            codes |= {bare.fields(body)["C"] for tag, body in messages if tag == "E"}
        grown = resident(process) - before
        wire.send(query(b"deallocate all"), bare.parse("again", "select 1"), FLUSH)
        tags = bare.tags(wire.receive_to("1"))

    assert codes == {"54000"}
    assert grown < 160 * MIB
    assert tags.endswith("1")
