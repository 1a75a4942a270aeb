"""CancelRequests: they reach the one session that they mean, by the key that Vigie gave it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

from proxy.demo.postgres import SUPERUSER
from proxy.wire.encode import cancel_request
from tests.fix_vigie import DEADLINE_SECONDS, until
from tests.integration import bare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess

pytestmark = pytest.mark.integration

Connection = psycopg.Connection[Any]
ROLE = "lims_app"
SLEEP = "select pg_sleep(600)"


def runs(lab: Lab, process_id: int) -> bool:
    """Whether the backend is busy with the long statement."""
    with lab.connect(SUPERUSER) as connection:
        text = "select state = 'active' and query = %s from pg_stat_activity where pid = %s"
        return connection.execute(text.encode(), [SLEEP, process_id]).fetchone() == (True,)


@contextmanager
def sleeping(lab: Lab, port: int) -> Iterator[tuple[Connection, list[str | None]]]:
    """Yield a session that is busy, and where its SQLSTATE will be once it has ended."""
    states: list[str | None] = []

    def sleep(connection: Connection) -> None:
        try:
            connection.execute(SLEEP.encode())
            states.append(None)
        except psycopg.Error as error:
            states.append(error.sqlstate)

    with lab.connect(ROLE, port) as connection:
        thread = threading.Thread(target=sleep, args=(connection,))
        thread.start()
        try:
            until(lambda: runs(lab, connection.info.backend_pid), "the statement to run")
            yield connection, states
        finally:
            with lab.connect(SUPERUSER) as other:
                other.execute("select pg_cancel_backend(%s)", [connection.info.backend_pid])
            thread.join(30)


@pytest.mark.parametrize("by", ["cancel", "cancel_safe"])
def test_psycopg_cancels_its_own_statement(lab: Lab, enforcing: VigieProcess, by: str) -> None:
    """57014, as direct; the session goes on."""
    with sleeping(lab, enforcing.port) as (connection, states):
        getattr(connection, by)()
        until(lambda: bool(states), "the statement to end")
        after = connection.execute("select 1").fetchone()

    assert states == ["57014"]
    assert after == (1,)


def test_a_cancel_never_hits_another_session(lab: Lab, enforcing: VigieProcess) -> None:
    """Of two busy sessions the one ends, the other goes on."""
    with (
        sleeping(lab, enforcing.port) as (_, other_states),
        sleeping(lab, enforcing.port) as (connection, states),
        sleeping(lab, enforcing.port) as (third, _),
    ):
        connection.cancel()
        until(lambda: bool(states), "the statement to end")
        still = runs(lab, third.info.backend_pid)

        assert (states, other_states, still) == (["57014"], [], True)


def test_a_wrong_key_is_ignored(lab: Lab, enforcing: VigieProcess) -> None:
    """No answer, closed, nothing cancelled: whatever the length of the secret."""
    with sleeping(lab, enforcing.port) as (connection, states):
        process_id = connection.info.backend_pid
        for secret in (b"\0\0\0\0", b"none", b"x" * 32, b"x" * 256):
            with bare.dialled(enforcing.port) as wire:
                wire.send(cancel_request(process_id, secret))
                assert wire.receive_rest() == b""
        with bare.dialled(enforcing.port) as wire:
            wire.send(cancel_request(process_id + 1, b"none"))
            assert wire.receive_rest() == b""
        still = runs(lab, process_id)

        assert (states, still) == ([], True)


async def asyncpg_connection(lab: Lab, port: int) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(
        host=lab.host,
        port=port,
        user=ROLE,
        password=lab.passwords[ROLE],
        database=lab.database,
        ssl=False,
        timeout=20,
    )


def secret_of(connection: asyncpg.Connection[asyncpg.Record]) -> bytes:
    """Return the key that the driver was given."""
    secret = connection._protocol.backend_secret
    return secret if isinstance(secret, bytes) else int(secret).to_bytes(4, "big", signed=True)


def test_a_timeout_of_asyncpg_cancels(lab: Lab, enforcing: VigieProcess) -> None:
    """It cancels by a connection of its own, and the session answers the next statement."""

    async def act() -> tuple[int, object, bool]:
        connection = await asyncpg_connection(lab, enforcing.port)
        process_id = connection.get_server_pid()
        try:
            with pytest.raises(TimeoutError):
                await connection.fetch(SLEEP, timeout=0.05)
            return process_id, await connection.fetchval("select 1"), runs(lab, process_id)
        finally:
            await connection.close()

    _, after, still = asyncio.run(act())

    assert (after, still) == (1, False)


def test_the_secret_is_not_the_backends(lab: Lab, enforcing: VigieProcess) -> None:
    """The key that a frontend got is of no use at the database itself, and good at Vigie."""

    async def act() -> tuple[bool, str]:
        connection = await asyncpg_connection(lab, enforcing.port)
        process_id = connection.get_server_pid()
        secret = secret_of(connection)
        sleep = asyncio.ensure_future(connection.fetch(SLEEP))
        try:
            await asyncio.to_thread(until, lambda: runs(lab, process_id), "the statement to run")
            with bare.dialled(lab.port) as wire:
                wire.send(cancel_request(process_id, secret))
                wire.receive_rest()
            still = runs(lab, process_id)
            with bare.dialled(enforcing.port) as wire:
                wire.send(cancel_request(process_id, secret))
                await asyncio.to_thread(wire.receive_rest)
            with pytest.raises(asyncpg.QueryCanceledError) as caught:
                await sleep
            return still, caught.value.sqlstate
        finally:
            await connection.close()

    assert asyncio.run(act()) == (True, "57014")


def test_the_key_ends_with_its_session(lab: Lab, enforcing: VigieProcess) -> None:
    """A cancel for a session that is over does nothing, even while others are busy."""
    with sleeping(lab, enforcing.port) as (busy, states):
        with lab.connect(ROLE, enforcing.port) as connection:
            cancel = connection.pgconn.get_cancel()
        cancel.cancel()
        still = runs(lab, busy.info.backend_pid)

        assert (states, still) == ([], True)


def test_a_cancel_counts_even_if_its_sender_does_not_wait(
    lab: Lab, enforcing: VigieProcess
) -> None:
    """Sent, and closed at once: as with the database, the statement ends all the same."""

    async def act() -> str:
        connection = await asyncpg_connection(lab, enforcing.port)
        try:
            sleep = asyncio.ensure_future(connection.fetch(SLEEP))
            process_id = connection.get_server_pid()
            await asyncio.to_thread(until, lambda: runs(lab, process_id), "the statement to run")
            with bare.dialled(enforcing.port) as wire:
                wire.send(cancel_request(process_id, secret_of(connection)))
            with pytest.raises(asyncpg.QueryCanceledError) as caught:
                await asyncio.wait_for(sleep, DEADLINE_SECONDS)
            return str(caught.value.sqlstate)
        finally:
            connection.terminate()

    assert asyncio.run(act()) == "57014"
