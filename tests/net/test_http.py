"""The HTTP listener: what it answers, and what it does not put up with."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from proxy.metrics import Metrics
from proxy.net import http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence


@asynccontextmanager
async def listening(
    readiness: Callable[[], Sequence[str]] = list,
    refresh: Callable[[], None] | None = None,
    metrics: Metrics | None = None,
) -> AsyncIterator[int]:
    """Yield the port of a listener."""
    metrics = metrics or Metrics(CollectorRegistry())
    listener = await http.serve_http("127.0.0.1", 0, metrics, readiness, refresh=refresh)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await listener.wait_closed()


async def exchange(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes; return status, headers and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


async def get(port: int, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    return await exchange(port, f"{method} {path} HTTP/1.1\r\nHost: vigie\r\n\r\n".encode())


async def test_metrics_are_exposed_after_a_refresh() -> None:
    """/metrics calls the refresh, then shows every metric as Prometheus reads it."""
    metrics = Metrics(CollectorRegistry())
    async with listening(metrics=metrics, refresh=metrics.audit_record) as port:
        status, headers, body = await get(port, "/metrics?x=1")

    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=")
    assert headers["connection"] == "close"
    assert int(headers["content-length"]) == len(body)
    assert b"\nvigie_audit_records_total 1.0\n" in body


@pytest.mark.parametrize("path", ["/healthz", "/livez"])
async def test_it_is_alive_even_when_not_ready(path: str) -> None:
    """A restart does not bring a lost backend back, so liveness does not ask about it."""
    async with listening(lambda: ["upstream cannot be reached"]) as port:
        assert (await get(port, path))[0] == 200


async def test_readiness_names_every_reason() -> None:
    """503 with one line for each reason, 200 when there is none."""
    reasons = ["upstream cannot be reached", "no policy is loaded"]
    async with listening(lambda: reasons) as port:
        status, _, body = await get(port, "/readyz")
        reasons.clear()
        ready, _, _ = await get(port, "/readyz")

    assert status == 503
    expected = b"not ready: upstream cannot be reached\nnot ready: no policy is loaded\n"
    assert body == expected
    assert ready == 200


async def test_head_has_no_body() -> None:
    """HEAD gives the headers of GET alone."""
    async with listening() as port:
        status, headers, body = await get(port, "/healthz", "HEAD")

    assert (status, headers["content-length"], body) == (200, "3", b"")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /../etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\n\r\n", 405),
        (b"GET /metrics\r\n\r\n", 400),
        (b"\x00\x00\x00\x08\x04\xd2\x16\x2f\r\n\r\n", 400),
        (b"GET /metrics HTTP/2.0\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 2 * http.HEAD_BYTES, 431),
    ],
)
async def test_other_requests_are_refused(request_bytes: bytes, status: int) -> None:
    """Each fault has its status, and the listener goes on."""
    async with listening() as port:
        refused = await exchange(port, request_bytes)
        after = await get(port, "/healthz")

    assert refused[0] == status
    assert after[0] == 200


async def test_whoever_sends_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that does not come in time ends the connection without an answer."""
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.05)
    async with listening() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metr")
        try:
            answer = await asyncio.wait_for(reader.read(), 5)
        except ConnectionResetError:
            answer = b""
        writer.close()

    assert answer == b""


async def test_whoever_hangs_up_leaves_nothing_behind() -> None:
    """A connection closed half-way through its head is forgotten."""
    async with listening() as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metr")
        writer.close()
        await writer.wait_closed()
        after = await get(port, "/healthz")

    assert after[0] == 200


async def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than the ceiling is dropped at once."""
    monkeypatch.setattr(http, "CONCURRENT", 1)
    async with listening() as port:
        _, waiting = await asyncio.open_connection("127.0.0.1", port)
        waiting.write(b"GET ")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            answer = await asyncio.wait_for(reader.read(), 5)
        except ConnectionResetError:
            answer = b""
        writer.close()
        waiting.close()

    assert answer == b""


async def test_a_fault_of_a_callable_is_counted_not_fatal() -> None:
    """A readiness that raises gives 500 and an internal error; the listener goes on."""
    metrics = Metrics(CollectorRegistry())

    def readiness() -> list[str]:
        raise KeyError("planted")

    async with listening(readiness, metrics=metrics) as port:
        status, _, body = await get(port, "/readyz")
        after = await get(port, "/healthz")

    assert (status, after[0]) == (500, 200)
    assert b"planted" not in body
    assert metrics.registry.get_sample_value("vigie_internal_errors_total", {"where": "http"}) == 1


async def test_a_taken_port_is_an_error() -> None:
    """The caller is told; nothing is left listening."""
    async with listening() as port:
        with pytest.raises(OSError, match=str(port)):
            await http.serve_http("127.0.0.1", port, Metrics(CollectorRegistry()), list)
