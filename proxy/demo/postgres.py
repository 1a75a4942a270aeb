"""An embedded PostgreSQL: its own folder, loopback only, SCRAM passwords, nothing left behind.

Started by root, it runs as ``nobody``: PostgreSQL refuses to run as root. A small shell waits on
a pipe to this process, so that the server goes away even when this process is killed.
"""

from __future__ import annotations

import locale
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from proxy.demo.binaries import WHEEL, Binaries, NoPostgresError, find_binaries

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST: Final = "127.0.0.1"
SUPERUSER: Final = "postgres"
START_TRIES: Final = 3  # another process may take the free port between asking and binding
UNPRIVILEGED: Final = "nobody"
FAST: Final = {  # a throw-away server: nothing has to survive a crash
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "jit": "off",
}
# Waits for the end of its standard input: the death of this process.
_GUARDIAN: Final = 'read -r _; "$1" -D "$2" -m immediate stop >/dev/null 2>&1; rm -rf "$3"'


class EmbeddedPostgres:
    """A cluster in a temporary folder; use it as a context manager, or ``start`` and ``stop``.

    Args:
        binaries: what to run; by default what ``find_binaries`` chooses.
        settings: lines of postgresql.conf over ours.

    Errors: NoPostgresError when the server cannot be made or started; the message ends with the
    last lines of its log.
    """

    def __init__(
        self, binaries: Binaries | None = None, *, settings: Mapping[str, str] | None = None
    ) -> None:
        self.binaries = binaries or find_binaries()
        self.port = 0
        self.password = secrets.token_urlsafe(18)
        self._settings = {**FAST, **(settings or {})}
        self._base: Path | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._identity = _identity()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def base(self) -> Path:
        """Return the temporary folder, which exists from ``start`` to ``stop``."""
        if self._base is None:
            raise NoPostgresError("the embedded PostgreSQL is not running")
        return self._base

    @property
    def log(self) -> str:
        """Return the server's log so far."""
        path = self.base / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self) -> None:
        """Make the cluster and start it; returns when it accepts connections."""
        base = Path(tempfile.mkdtemp(prefix="vigie-pg-"))
        self._base = base
        try:
            if self._identity:
                os.chown(base, self._identity["user"], self._identity["group"])
            self._make_reachable()
            self._initdb()
            self._guard()
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server at once, closing its connections, and remove its folder."""
        if self._base is None:
            return
        if (self._base / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self._base / "data"), "-m", "fast", "-w", "stop")
        if self._guardian is not None:
            self._guardian.kill()
            self._guardian.communicate()
            self._guardian = None
        shutil.rmtree(self._base, ignore_errors=True)
        self._base = None

    def _initdb(self) -> None:
        secret = self.base / "secret"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if self._identity:
            os.chown(secret, self._identity["user"], self._identity["group"])
        done = self._run(
            "initdb",
            *("-D", str(self.base / "data"), "--username", SUPERUSER, "--encoding", "UTF8"),
            *("--auth", "scram-sha-256", "--pwfile", str(secret), "--no-sync"),
            *("--locale", _locale()),
        )
        secret.unlink()
        if done.returncode:
            raise NoPostgresError(f"initdb of {self.binaries} failed:\n{done.stderr[-2000:]}")

    def _start(self) -> None:
        for _ in range(START_TRIES):
            if self._try_start() == 0:
                return
        raise NoPostgresError(f"{self.binaries} does not start:\n{self.log[-2000:]}")

    def _try_start(self) -> int:
        self.port = free_port()
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": str(self.base),
            **self._settings,
        }
        lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        (self.base / "data" / "postgresql.auto.conf").write_text(lines)
        data, log = str(self.base / "data"), str(self.base / "log")
        return self._run("pg_ctl", "-D", data, "-l", log, "-w", "-t", "60", "start").returncode

    def _guard(self) -> None:
        command = ["sh", "-c", _GUARDIAN, "vigie-pg", self.binaries.path("pg_ctl")]
        self._guardian = subprocess.Popen(
            [*command, str(self.base / "data"), str(self.base)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            **self._identity,
        )

    def _make_reachable(self) -> None:
        """Copy the wheel's programs where ``nobody`` may read them, if it may not where they are.

        A clone under root's home is closed to others; the wheel's programs may be moved.
        """
        if self._run("postgres", "--version").returncode == 0:
            return
        source = self.binaries.folder.parent
        if WHEEL not in source.parts:
            raise NoPostgresError(f"{self.binaries}: {UNPRIVILEGED} may not run it")
        target = self.base / WHEEL / source.name
        shutil.copytree(source, target, symlinks=True)
        shared = source.parent.with_name(f"{WHEEL}.libs")
        if shared.is_dir():
            shutil.copytree(shared, self.base / shared.name)
        self.base.chmod(0o755)  # PostgreSQL's own folder in it stays closed
        self.binaries = Binaries(target / "bin", self.binaries.version, self.binaries.origin)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Output to a file: the server would inherit a pipe, and reading it would never end.
        with tempfile.TemporaryFile("w+") as output:
            try:
                done = subprocess.run(
                    [self.binaries.path(program), *arguments],
                    check=False,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    **self._identity,
                )
                status = done.returncode
            except PermissionError as error:
                status = 126
                output.write(str(error))
            output.seek(0)
            return subprocess.CompletedProcess([program], status, "", output.read())


def free_port() -> int:
    """Return a TCP port of the loopback address that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _identity() -> dict[str, Any]:
    """Return the arguments of ``subprocess`` that drop root's rights; none for a normal user."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(UNPRIVILEGED)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _locale() -> str:
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    locale.setlocale(locale.LC_CTYPE, before)
    return "C.UTF-8"
