"""A very small HTTP/1.1 listener for metrics and probes; own, because nothing else is needed.

GET and HEAD of ``/metrics``, ``/healthz``, ``/livez``, ``/readyz``; one request a connection. It
answers whoever reaches it, so it listens on loopback or a private network.

Source: RFC 9110 and RFC 9112; the names of the probes are those of Kubernetes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proxy.metrics import Metrics

HEAD_BYTES: Final = 8192
HEAD_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 10.0
CONCURRENT: Final = 32

_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    body: bytes
    content_type: str = _TEXT
    header: str = ""


async def serve_http(
    host: str,
    port: int,
    metrics: Metrics,
    readiness: Callable[[], Sequence[str]],
    *,
    remarks: Callable[[], Sequence[str]] = tuple,
    refresh: Callable[[], None] | None = None,
) -> asyncio.Server:
    """Listen on an address and answer until the returned listener is closed.

    Args:
        host: the address to listen on.
        port: 0 lets the kernel choose.
        metrics: what ``/metrics`` shows; rendered in a thread, off the loop.
        readiness: returns the reasons why Vigie is not ready, none if it is.
        remarks: returns what is not as it should be although Vigie is ready.
        refresh: called on the loop before metrics are rendered, to set what falls with time.

    Errors: OSError, if the address cannot be had.
    """
    probes = _Probes(metrics, readiness, remarks, refresh)
    return await asyncio.start_server(probes.accept, host, port, limit=HEAD_BYTES)


class _Probes:
    """Answer one request on each connection, and a bounded number of them at once."""

    def __init__(
        self,
        metrics: Metrics,
        readiness: Callable[[], Sequence[str]],
        remarks: Callable[[], Sequence[str]],
        refresh: Callable[[], None] | None,
    ) -> None:
        self._metrics = metrics
        self._readiness = readiness
        self._remarks = remarks
        self._refresh = refresh
        self._open = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request, answer it, close."""
        if self._open >= CONCURRENT:
            writer.transport.abort()
            return
        self._open += 1
        try:
            method, answer = await self._answer(reader)
            writer.write(_encode(answer, with_body=method != "HEAD"))
            async with asyncio.timeout(ANSWER_SECONDS):
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # it hung up, sent nothing in time, or did not read
        finally:
            self._open -= 1
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[str, _Answer]:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return "", _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError from error
        request = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(request) != 3 or not request[2].startswith("HTTP/1."):  # noqa: PLR2004 - RFC 9112, 3
            return "", _plain(HTTPStatus.BAD_REQUEST)
        method, target, _ = request
        try:
            return method, await self._route(method, target.partition("?")[0])
        except Exception:  # noqa: BLE001 - a fault of a callable must not end the listener
            self._metrics.internal_error("http")
            return method, _plain(HTTPStatus.INTERNAL_SERVER_ERROR)

    async def _route(self, method: str, path: str) -> _Answer:
        if path not in {"/metrics", "/healthz", "/livez", "/readyz"}:
            return _plain(HTTPStatus.NOT_FOUND)
        if method not in {"GET", "HEAD"}:
            return _Answer(
                HTTPStatus.METHOD_NOT_ALLOWED, b"GET and HEAD only\n", header="Allow: GET, HEAD\r\n"
            )
        match path:
            case "/metrics":
                if self._refresh:
                    self._refresh()
                text = await asyncio.to_thread(self._metrics.render)
                return _Answer(HTTPStatus.OK, text, CONTENT_TYPE_LATEST)
            case "/readyz":
                return self._ready()
            case _:
                return _Answer(HTTPStatus.OK, b"ok\n")

    def _ready(self) -> _Answer:
        reasons = self._readiness()
        if not reasons:
            said = "".join(f"but {remark}\n" for remark in self._remarks())
            return _Answer(HTTPStatus.OK, f"ready\n{said}".encode())
        body = "".join(f"not ready: {reason}\n" for reason in reasons)
        return _Answer(HTTPStatus.SERVICE_UNAVAILABLE, body.encode())


def _plain(status: HTTPStatus) -> _Answer:
    return _Answer(status, f"{status.phrase.lower()}\n".encode())


def _encode(answer: _Answer, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\n"
        f"{answer.header}Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (answer.body if with_body else b"")
