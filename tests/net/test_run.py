"""``vigie run`` within this process: it starts, says why it cannot, and ends in order."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from proxy.demo.postgres import HOST, free_port
from proxy.demo.vigie_process import SITE
from proxy.net import ending, run
from proxy.net.listener import CannotListenError, Listener
from proxy.net.relay import SPARE
from proxy.policy import load_policy
from proxy.session.routes import choose
from proxy.settings import read_policy_files
from proxy.settings.address import Address
from proxy.settings.settings import AuditSettings, Limits, Settings, Upstream

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.net.reload import Reread
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


def rereading(settings: Settings, policy: Policy) -> Reread:
    return lambda: (settings, policy)


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
    running = asyncio.ensure_future(run._serve(settings, policy, rereading(settings, policy)))
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
    running = asyncio.ensure_future(run._serve(settings, policy, rereading(settings, policy)))
    await fetch(settings, "/healthz")
    await ends(running)

    assert order == ["listen", "http"]


async def test_sessions_that_do_not_end_are_ended(
    settings: Settings, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frontend that does not read its farewell does not keep Vigie from ending."""
    monkeypatch.setattr(ending, "FAREWELL_SECONDS", 0.1)
    running = asyncio.ensure_future(run._serve(settings, policy, rereading(settings, policy)))
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
        await run._serve(settings, policy, rereading(settings, policy))


def made(settings: Settings, **changes: Any) -> Settings:
    values = {name: getattr(settings, name) for name in settings.__slots__}
    return Settings(**{**values, **changes})


def test_an_audit_log_that_cannot_be_opened_is_a_problem_of_the_settings(
    settings: Settings, policy: Policy, tmp_path: Path
) -> None:
    """Named by its key; status 1 and one line for each problem."""
    wrong = made(settings, audit=AuditSettings(tmp_path))

    assert run.serve(wrong, policy, rereading(wrong, policy)) == 1


async def test_a_second_signal_ends_at_once(
    settings: Settings, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one waits for transactions, the second for nothing."""
    waits: list[bool] = []
    told = asyncio.Event()

    async def end(_surroundings: object, _seconds: float, hurry: asyncio.Event) -> None:
        waits.append(hurry.is_set())
        told.set()
        await hurry.wait()

    monkeypatch.setattr(run, "end_sessions", end)
    serving = run._serve(settings, policy, rereading(settings, policy))
    running = asyncio.ensure_future(serving)
    await fetch(settings, "/healthz")
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(told.wait(), SECONDS)
    stopping = await fetch(settings, "/readyz")
    await ends(running)

    assert waits == [False]
    assert stopping[0] == 503
    assert "Vigie is stopping" in stopping[1]


def test_every_upstream_has_its_route(settings: Settings) -> None:
    """By the name of its address; listeners as the settings have them."""
    other, third = Address("db", 1), Address("::1", 2)
    upstreams = (
        Upstream(other, frozenset({"a"})),
        Upstream(third, None, frozenset(settings.listen)),
    )
    routes = [run._route(one) for one in upstreams]

    listener = str(settings.listen[0])
    assert choose(routes, "a", listener) == "db:1"
    assert choose(routes, "b", listener) == "[::1]:2"
    assert choose(routes, "b", "elsewhere") == ""


@pytest.mark.parametrize(
    ("files", "raised_to", "limit"),
    [
        ((1024, 1 << 20), 2 * 500 + SPARE + run.FILES, 500),
        ((1024, 1024), None, (1024 - SPARE - run.FILES) // 2),
        ((1 << 16, 1 << 20), None, 500),
    ],
)
def test_sessions_are_no_more_than_the_files_there_are(
    monkeypatch: pytest.MonkeyPatch,
    files: tuple[int, int],
    raised_to: int | None,
    limit: int,
) -> None:
    """As many as the settings say if the system may be asked for the files, else what they do."""
    asked: list[int] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: files)
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: asked.append(pair[0]))

    admission = run._admission(Limits(connections=500, connections_per_role=7))

    assert asked == ([] if raised_to is None else [raised_to])
    assert (admission.limit, admission.limit_per_role) == (limit, 7)
