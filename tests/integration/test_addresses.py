"""Unix sockets and IPv6 on both sides, with a real PostgreSQL and libpq."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import psycopg
import pytest

from proxy.demo.postgres import HOST, free_port
from tests.fix_vigie import until

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.demo.lab import Lab
    from tests.fix_tls import TlsLab
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

ROLE = "lims_app"


def log_in(lab: Lab, host: str, port: int) -> psycopg.Connection:
    return psycopg.connect(
        host=host,
        port=port,
        user=ROLE,
        password=lab.passwords[ROLE],
        dbname=lab.database,
        autocommit=True,
    )


def test_a_unix_socket_on_either_side(vigie: StartVigie, tls_lab: TlsLab, tmp_path: Path) -> None:
    """Named as libpq names it, the statement cancelled, and the peer's user in the audit log."""
    lab, port = tls_lab.lab, free_port()
    process = vigie(
        *("--listen", f"{tmp_path}:{port}", "--upstream", f"{tls_lab.postgres.base}:{lab.port}"),
        environment={"VIGIE_UNIX_SOCKET_MODE": "0600"},
        upstream=lab.port,
    )

    with log_in(lab, str(tmp_path), port) as connection:
        text = b"select client_addr from pg_stat_activity where pid = pg_backend_pid()"
        assert connection.execute(text).fetchone() == (None,)  # a Unix socket to the database
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from lab.patient")
        connection.execute("set statement_timeout = 0")
        connection.pgconn.send_query(b"select pg_sleep(60)")
        connection.cancel_safe()
        until(lambda: not still_busy(connection), "the statement to end")
        connection.pgconn.finish()

    record = json.loads(process.audit.read_text("utf-8").splitlines()[0])
    assert record["principal"]["address"] == f"unix:{os.getuid()}"


def still_busy(connection: psycopg.Connection) -> bool:
    connection.pgconn.consume_input()
    return bool(connection.pgconn.is_busy())


def test_ipv6_on_either_side(vigie: StartVigie, lab: Lab) -> None:
    """To the application; and to the database, which a second Vigie stands for."""
    port = free_port()
    vigie("--listen", f"[::1]:{port}")
    second = vigie("--upstream", f"[::1]:{port}")

    with log_in(lab, "::1", port) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    with log_in(lab, HOST, second.port) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
