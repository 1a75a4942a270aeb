"""A small web application with the mistake that SQL injection needs, to be attacked by the tests.

``/patient?id=1`` puts ``id`` into the text of its statement, shows what comes back, and shows
errors. It listens on the loopback address for as long as the test runs.
"""

from __future__ import annotations

import contextlib
import html
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import parse_qs, urlsplit

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable

HOST: Final = "127.0.0.1"
_STATEMENT: Final = "select id, nir, last_name from lab.patient where id = {}"


class Application:
    """The application behind ``port``; a context manager. ``requests``: how many it has served."""

    def __init__(self, connect: Callable[[], psycopg.Connection]) -> None:
        self.requests = 0
        self.refusals: list[str] = []  # details of the database's errors
        self._connect = connect
        self._local = threading.local()
        application = self

        class Pages(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                application.requests += 1
                status, text = application.page(self.path)
                body = f"<html><body>{text}</body></html>".encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # it did not want to wait
                    self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer((HOST, 0), Pages)
        self._http.daemon_threads = True
        self.port = int(self._http.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def page(self, path: str) -> tuple[int, str]:
        """Return status and text of a page."""
        given = parse_qs(urlsplit(path).query).get("id", ["0"])[0]
        try:
            rows = self._rows(_STATEMENT.format(given))
        except psycopg.Error as error:
            self.refusals.append(error.diag.message_detail or "")
            return 500, f"<p>{html.escape(str(error))}</p>"
        lines = "".join(
            f"<tr>{''.join(f'<td>{html.escape(str(value))}</td>' for value in row)}</tr>"
            for row in rows
        )
        return 200, f"<table>{lines}</table>"

    def _rows(self, statement: str) -> list[tuple[object, ...]]:
        connection: psycopg.Connection | None = getattr(self._local, "connection", None)
        if connection is None or connection.closed:
            connection = self._local.connection = self._connect()
        cursor = psycopg.ClientCursor(connection)
        cursor.execute(statement.encode())
        rows: list[tuple[object, ...]] = []
        while True:
            if cursor.description is not None:
                rows += cursor.fetchall()
            if not cursor.nextset():
                return rows
