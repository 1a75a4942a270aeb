"""The tap counts what reaches the attacker, and nothing else."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import psycopg
import pytest

from proxy.demo.intruder import Intruder
from proxy.demo.postgres import HOST, free_port
from proxy.demo.tap import Tap

if TYPE_CHECKING:
    from proxy.demo.lab import Lab

pytestmark = pytest.mark.integration


def test_tap_counts_the_known_alone(lab: Lab) -> None:
    """A number that looks like a NIR but is nobody's is not counted."""
    with Tap(lab.port) as tap:
        intruder = Intruder(lab, "lims_app", tap.port)
        with intruder.session() as connection:
            intruder.rows(connection, "select '255081416802538'")
            intruder.rows(connection, "select nir from lab.patient where id in (1, 2)")
            intruder.rows(connection, "select nir from lab.patient where id = 2")

    assert len(tap.subjects(lab.keys())) == 2
    assert intruder.stops == []


def test_tap_counts_what_is_sent_before_an_error(lab: Lab) -> None:
    """Rows that the driver throws away because an error follows have left all the same."""
    sql = "select nir, 1 / (id - 50) from lab.patient where id <= 50 order by id"
    with Tap(lab.port) as tap:
        intruder = Intruder(lab, "lims_app", tap.port)
        with intruder.session() as connection:
            assert intruder.rows(connection, sql) is None

    assert len(tap.subjects(lab.keys())) == 49
    assert tap.octets() > 49 * 15


def test_nobody_behind_the_tap_ends_the_connection() -> None:
    """The attacker sees a closed connection at once, not silence."""
    with Tap(free_port()) as tap, socket.create_connection((HOST, tap.port), 5) as near:
        near.settimeout(5)
        assert near.recv(1) == b""
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host=HOST, port=tap.port, connect_timeout=2)
