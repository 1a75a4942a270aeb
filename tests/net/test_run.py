"""``vigie run`` within this process: it starts, says why it cannot, and ends in order."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from proxy.demo.postgres import HOST, free_port
from proxy.demo.vigie_process import SITE
from proxy.net import run
from proxy.net.dial import Dial
from proxy.net.listener import CannotListenError, Listener
from proxy.policy import load_policy
from proxy.settings import read_policy_files
from proxy.settings.address import Address
from proxy.settings.settings import AuditSettings, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.policy import Policy

SECONDS = 20.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        listen=(Address(HOST, free_port()),),
        upstream=Address(HOST, free_port()),
        site=SITE,
        http=Address(HOST, free_port()),
        audit=AuditSettings(tmp_path / "audit.jsonl"),
    )


@pytest.fixture
def policy(settings: Settings) -> Policy:
    return load_policy(read_policy_files(settings), today=date(2026, 1, 1))


async def fetch(settings: Settings, path: str) -> tuple[int, str]:
    """Ask the probes, again and again until they listen."""
    assert settings.http is not None
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                reader, writer = await asyncio.open_connection(HOST, settings.http.port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
                continue
            writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
            head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
            writer.close()
            await writer.wait_closed()
            return int(head.split()[1]), body


async def ends(running: asyncio.Future[None]) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(SECONDS):
        await running


async def test_it_runs_until_it_is_told_to_end(settings: Settings, policy: Policy) -> None:
    """Alive, not ready without a database, ready with one, and gone after SIGTERM."""
    running = asyncio.ensure_future(run._serve(settings, policy))
    alive = await fetch(settings, "/healthz")
    reasons = await fetch(settings, "/readyz")
    await ends(running)

    assert alive == (200, "ok\n")
    assert reasons[0] == 503
    assert "the database" in reasons[1]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, settings.listen[0].port)


async def test_it_listens_before_it_says_that_it_is_ready(
    settings: Settings, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probes answer last: whoever sees them can connect."""
    order: list[str] = []
    serve_http = run._serve_http

    class Listening(Listener):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            order.append("listen")
            super().__init__(*arguments, **options)

    async def probing(*arguments: Any) -> None:
        order.append("http")
        await serve_http(*arguments)

    monkeypatch.setattr(run, "Listener", Listening)
    monkeypatch.setattr(run, "_serve_http", probing)
    running = asyncio.ensure_future(run._serve(settings, policy))
    await fetch(settings, "/healthz")
    await ends(running)

    assert order == ["listen", "http"]


async def test_sessions_that_do_not_end_are_ended(
    settings: Settings, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frontend that does not read its farewell does not keep Vigie from ending."""
    monkeypatch.setattr(run, "DRAIN_SECONDS", 0.1)
    running = asyncio.ensure_future(run._serve(settings, policy))
    await fetch(settings, "/healthz")
    reader, writer = await asyncio.open_connection(HOST, settings.listen[0].port)
    writer.write(b"\0")
    await fetch(settings, "/healthz")
    await ends(running)
    farewell = await asyncio.wait_for(reader.read(), SECONDS)
    writer.close()

    assert farewell[:1] in {b"E", b""}


@pytest.mark.parametrize("option", ["listen", "http"])
async def test_an_address_in_use_is_told(settings: Settings, policy: Policy, option: str) -> None:
    """Address, reason, and the option that chooses another."""
    address = settings.listen[0] if option == "listen" else settings.http
    assert address is not None
    with (
        socket.create_server((HOST, address.port)),
        pytest.raises(
            CannotListenError,
            match=rf"port {address.port}: address already in use; choose another by --{option}$",
        ),
    ):
        await run._serve(settings, policy)


def made(settings: Settings, **changes: Any) -> Settings:
    values = {name: getattr(settings, name) for name in settings.__slots__}
    return Settings(**{**values, **changes})


def test_an_audit_log_that_cannot_be_opened_is_a_problem_of_the_settings(
    settings: Settings, policy: Policy, tmp_path: Path
) -> None:
    """Named by its key; status 1 and one line for each problem."""
    wrong = made(settings, audit=AuditSettings(tmp_path))

    assert run.serve(wrong, policy) == 1


async def test_the_upstream_is_watched() -> None:
    """Not reached yet, reached, refused: as readiness says it."""
    with socket.create_server((HOST, 0)) as listener:
        upstream = run._Upstream(Address(HOST, listener.getsockname()[1]))
        at_first = upstream.readiness()
        await upstream._try()
        reached = upstream.readiness()
    await upstream._try()

    assert at_first == ["the database was not reached yet"]
    assert reached == []
    assert upstream.readiness()[0].startswith("the database cannot be reached: ")


async def test_an_upstream_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline ends each try."""

    async def never(*_arguments: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Dial, "open", never)
    monkeypatch.setattr(run, "PROBE_SECONDS", 0.01)
    upstream = run._Upstream(Address(HOST, 1))
    await upstream._try()

    assert upstream.readiness() == ["the database does not answer"]
