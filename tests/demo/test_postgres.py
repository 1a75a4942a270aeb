"""The embedded PostgreSQL comes up, keeps to itself and leaves nothing behind."""

from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from proxy.demo import binaries
from proxy.demo.binaries import Binaries, NoPostgresError, find_binaries
from proxy.demo.postgres import HOST, SUPERUSER, EmbeddedPostgres

pytestmark = pytest.mark.integration


def test_it_starts_with_passwords_on_loopback_and_leaves_nothing() -> None:
    """SCRAM, one loopback port, a folder closed to others that is gone afterwards; as root too."""
    with EmbeddedPostgres() as postgres:
        base = postgres.base
        with psycopg.connect(
            host=HOST, port=postgres.port, user=SUPERUSER, password=postgres.password
        ) as connection:
            row = connection.execute(
                "select current_setting('listen_addresses'), left(rolpassword, 13), "
                "current_setting('server_version_num')::int / 10000 from pg_authid "
                "where rolname = current_user"
            ).fetchone()
        owner = (base / "data").stat()
        assert row == (HOST, "SCRAM-SHA-256", postgres.binaries.major)
        assert stat.S_IMODE(owner.st_mode) == 0o700
        assert owner.st_uid != 0
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(host=HOST, port=postgres.port, user=SUPERUSER, password="wrong")

    assert not base.exists()
    with pytest.raises(NoPostgresError, match="not running"):
        _ = postgres.base


def test_what_it_needs_is_said_when_it_is_missing() -> None:
    """The message names what to install."""
    with pytest.raises(NoPostgresError, match=r"no PostgreSQL 7 here; found .*apt-get install"):
        find_binaries("7")


def test_a_folder_without_programs_is_refused(tmp_path: Path) -> None:
    """A wrong VIGIE_PG_BIN is an error, never passed over in silence."""
    with pytest.raises(NoPostgresError, match="has no initdb, pg_ctl, postgres"):
        find_binaries(str(tmp_path))


def test_the_variable_goes_before_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """VIGIE_PG_BIN names the folder of the programs."""
    folder = find_binaries().folder
    monkeypatch.setenv(binaries.VARIABLE, str(folder))

    assert find_binaries() == Binaries(folder, find_binaries().version, binaries.VARIABLE)


def test_a_start_that_fails_says_why_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, open_folder: Path
) -> None:
    """A wrong setting comes back with the server's own words."""
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))
    postgres = EmbeddedPostgres(settings={"shared_buffers": "no number"})
    with pytest.raises(NoPostgresError, match="shared_buffers"):
        postgres.start()

    assert list(open_folder.iterdir()) == []


def test_it_goes_away_when_its_starter_is_killed() -> None:
    """Even SIGKILL, which nobody can catch, leaves no server and no folder."""
    script = (
        "import os; from proxy.demo.postgres import EmbeddedPostgres; "
        "p = EmbeddedPostgres(); p.start(); print(p.base, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    base = Path(done.stdout.strip())
    assert done.returncode == -9
    assert base.name.startswith("vigie-pg-")
    subprocess.run(
        ["timeout", "20", "sh", "-c", f"while [ -e {base} ]; do sleep 0.1; done"], check=True
    )
