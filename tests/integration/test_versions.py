"""Protocol 3.0 and 3.2, on the PostgreSQL at hand and on 18: versions, keys, cancels."""

from __future__ import annotations

import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest

from proxy.demo.binaries import find_binaries
from proxy.demo.postgres import HOST, SUPERUSER, EmbeddedPostgres
from proxy.wire.encode import cancel_request, query
from tests.fix_vigie import starting, until
from tests.integration import bare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.demo.lab import Lab

pytestmark = pytest.mark.integration

SLEEP = "select pg_sleep(600)"
SHORT, LONG = 4, 32  # bytes of a cancel key of 3.0, and of PostgreSQL 18's own of 3.2


class Place(NamedTuple):
    """A PostgreSQL without passwords, and a Vigie before it."""

    direct: int
    through: int
    major: int


@pytest.fixture(scope="module", params=["at hand", "18"])
def place(
    request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    wanted = request.config.getoption("--pg") if request.param == "at hand" else request.param
    binaries = find_binaries(wanted)
    with (
        EmbeddedPostgres(binaries) as postgres,
        starting(lab, tmp_path_factory.mktemp("vigie")) as start,
    ):
        hba = postgres.base / "data" / "pg_hba.conf"
        hba.write_text("host all all 127.0.0.1/32 trust\n")
        with psycopg.connect(
            host=HOST, port=postgres.port, user=SUPERUSER, password=postgres.password
        ) as connection:
            connection.execute("select pg_reload_conf()")
        yield Place(postgres.port, start(upstream=postgres.port).port, binaries.major)


def start(minor: int, **parameters: str) -> bytes:
    raw = bare.startup(user=SUPERUSER, database="postgres", **parameters)
    return raw[:4] + struct.pack(">HH", 3, minor) + raw[8:]


def outline(messages: list[bare.Message]) -> list[tuple[str, object]]:
    """Return what of a login may be compared: values that differ each time by their length."""
    found: list[tuple[str, object]] = []
    for tag, body in messages:
        match tag:
            case "S":
                continue
            case "K":
                found.append((tag, len(body)))
            case _:
                found.append((tag, body))
    return found


def logged_in(port: int, opening: bytes) -> list[bare.Message]:
    with bare.dialled(port) as wire:
        wire.send(opening)
        found = wire.receive_to("Z")
        wire.send(b"X\0\0\0\4")
        return found


@pytest.mark.parametrize("minor", [0, 1, 2])
def test_a_known_version_is_negotiated_as_with_the_database(place: Place, minor: int) -> None:
    """NegotiateProtocolVersion, authentication, the length of the key: message for message."""
    opening = start(minor)
    direct = outline(logged_in(place.direct, opening))

    assert outline(logged_in(place.through, opening)) == direct
    assert ("K", 4 + (LONG if minor == 2 and place.major >= 18 else SHORT)) in direct


@pytest.mark.parametrize(
    ("minor", "options"), [(9999, {}), (0, {"_pq_.x": "1"}), (3, {"_pq_.y": ""})]
)
def test_what_nobody_knows_yet_is_negotiated_as_with_the_database(
    place: Place, minor: int, options: dict[str, str]
) -> None:
    """What a database of today answers is what Vigie answers, also before one of tomorrow."""
    opening = start(minor, **options)

    assert outline(logged_in(place.through, opening)) == outline(logged_in(place.direct, opening))


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_a_driver_speaks_each_version(place: Place, version: str) -> None:
    """Psycopg with libpq 18; a version that the database has not is refused as direct."""
    told: list[str] = []
    for port in (place.direct, place.through):
        asked: dict[str, Any] = {"min_protocol_version": version, "max_protocol_version": version}
        try:
            with psycopg.connect(
                host=HOST, port=port, user=SUPERUSER, dbname="postgres", **asked
            ) as connection:
                row = connection.execute("select 1, pg_backend_pid()").fetchone()
                assert row == (1, connection.info.backend_pid)
                told.append("works")
        except psycopg.OperationalError as error:
            told.append(str(error).rpartition("failed: ")[2].replace(str(port), "PORT"))

    assert told[1] == told[0]
    assert (told[0] == "works") == (version == "3.0" or place.major >= 18)


@contextmanager
def busy(port: int, minor: int) -> Iterator[tuple[bare.Bare, int, bytes]]:
    """Yield a session that runs the long statement, with its process id and secret."""
    with bare.dialled(port) as wire:
        wire.send(start(minor))
        key = dict(wire.receive_to("Z"))["K"]
        process_id = int.from_bytes(key[:4], "big")
        yield wire, process_id, key[4:]


def is_busy(place: Place, process_id: int) -> bool:
    text = "select state = 'active' and query = %s from pg_stat_activity where pid = %s"
    with psycopg.connect(host=HOST, port=place.direct, user=SUPERUSER, dbname="postgres") as other:
        return other.execute(text.encode(), [SLEEP, process_id]).fetchone() == (True,)


def cancel(port: int, process_id: int, secret: bytes) -> bytes:
    with bare.dialled(port) as wire:
        wire.send(cancel_request(process_id, secret))
        return wire.receive_rest()


@pytest.mark.parametrize("minor", [0, 2])
def test_only_the_whole_key_cancels(place: Place, minor: int) -> None:
    """A part, more, another, that of another session: nothing; the very key: 57014."""
    with (
        busy(place.through, minor) as (wire, process_id, secret),
        busy(place.through, minor) as (_, other_id, other_secret),
    ):
        wire.send(query(SLEEP.encode()))
        until(lambda: is_busy(place, process_id), "the statement to run")
        flipped = bytes([secret[0] ^ 1]) + secret[1:]
        wrong = [
            (process_id, flipped),
            (process_id, secret[:-1] + bytes([secret[-1] ^ 0x80])),
            (process_id, secret + b"\0"),
            (process_id, secret + secret),
            (process_id, (secret * 64)[:256]),
            (process_id, other_secret),
            (other_id, secret),
            (process_id ^ 1, secret),
            (0, secret),
        ]
        if len(secret) > SHORT:
            wrong += [(process_id, secret[:SHORT]), (process_id, secret[:-1])]
        answers = {cancel(place.through, *one) for one in wrong}
        answers.add(cancel(place.direct, process_id, secret))
        still = is_busy(place, process_id)
        cancel(place.through, process_id, secret)
        error = bare.error(wire.receive_to("Z"))

    assert answers == {b""}
    assert still
    assert error["C"] == "57014"


def test_a_key_is_of_no_use_after_its_session(place: Place) -> None:
    """Not even if the database gives the process id to another session."""
    with busy(place.through, 0) as (gone, old_id, old_secret):
        gone.send(b"X\0\0\0\4")
        gone.receive_rest()
    with busy(place.through, 0) as (wire, process_id, secret):
        wire.send(query(SLEEP.encode()))
        until(lambda: is_busy(place, process_id), "the statement to run")
        for number in (old_id, process_id):
            cancel(place.through, number, old_secret)
        still = is_busy(place, process_id)
        cancel(place.through, process_id, secret)
        error = bare.error(wire.receive_to("Z"))

    assert (still, error["C"]) == (True, "57014")


def test_cancels_between_statements_hit_nothing_else(place: Place) -> None:
    """A storm of them: each statement works or is cancelled, and no other session notices."""
    with (
        busy(place.through, 0) as (wire, process_id, secret),
        busy(place.through, 0) as (bystander, _, _),
    ):
        stop = threading.Event()

        def storm() -> None:
            while not stop.is_set():
                cancel(place.through, process_id, secret)

        threads = [threading.Thread(target=storm) for _ in range(3)]
        for thread in threads:
            thread.start()
        outcomes = set()
        untouched = set()
        for number in range(150):
            text = f"select count(*) from pg_class, pg_class b where {number} = {number}"
            wire.send(query(text.encode()))
            found = wire.receive_to("Z")
            outcomes.add(bare.error(found)["C"] if "E" in bare.tags(found) else "works")
            bystander.send(query(b"select 1"))
            untouched.add(bare.tags(bystander.receive_to("Z")))
        stop.set()
        for thread in threads:
            thread.join(30)
        wire.send(query(b"select 1"))
        after = bare.tags(wire.receive_to("Z"))

    assert outcomes <= {"works", "57014"}
    assert untouched == {"TDCZ"}
    assert after == "TDCZ"
