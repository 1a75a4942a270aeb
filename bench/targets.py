"""The ways to the database that are compared; each a process of its own, but for the direct one."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from bench.certificate import make_certificate
from bench.laboratory import ROLE, with_nirs
from bench.model import DIRECT, POOLED, POOLED_BY_TRANSACTION, VIGIE, BenchError
from bench.processes import cpu_seconds, private_bytes
from proxy.demo.lab import DATABASE
from proxy.demo.postgres import HOST, UNPRIVILEGED, free_port
from proxy.demo.vigie_process import VigieProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.laboratory import Database

START_SECONDS: Final = 10.0
END_SECONDS: Final = 10.0
PREPARES: Final = (1, 21)  # from this version pgbouncer keeps prepared statements per transaction
_PAUSE_SECONDS: Final = 0.05
_SETTLED_SECONDS: Final = 0.5
_POOL: Final = {"session": 600, "transaction": 20}  # 20 is pgbouncer's default
_SETTINGS: Final = """\
[databases]
{database} = host={host} port={upstream} dbname={database}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = {asks}
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {pool}
max_client_conn = 6000
client_tls_sslmode = {tls}
server_tls_sslmode = disable
logfile = {folder}/log
log_connections = 0
log_disconnections = 0
log_stats = 0
{more}
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a target is otherwise than all others.

    Args:
        reuses: connections to the database, if it is what does.
        encrypts: towards the frontend.
        inspects: looks for NIRs in what leaves, if it can.
        asks: for a password.
        upstream: the port that it connects to; 0: the database's.
    """

    upstream: int = 0
    reuses: bool = True
    encrypts: bool = False
    inspects: bool = False
    asks: bool = True


AS_EVER: Final = Wish()


class Target(ABC):
    """A way to the database. A context manager: started within, ended after."""

    def __init__(self, name: str, database: Database, wish: Wish = AS_EVER) -> None:
        self.name = name
        self.database = database
        self._wish = wish
        self.port = database.lab.port
        self.process = 0  # of the proxy; 0: there is none

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it listens."""

    @abstractmethod
    def stop(self) -> None:
        """End what was started."""

    @abstractmethod
    def again(self, wish: Wish = AS_EVER) -> Target:
        """Return another one, not started: for measures that want a process of their own."""

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of PostgreSQL's programs to come this way."""
        secure = {"PGSSLMODE": "require"} if self._wish.encrypts else {}
        return {**os.environ, **self.database.environment(self.port), **secure}

    @property
    def keeps_prepared_statements(self) -> bool:
        """Whether a prepared statement can be used in a later transaction."""
        return True

    def settle(self) -> None:
        """Wait until what a process does at its start is done."""
        deadline = time.monotonic() + START_SECONDS
        used = -1.0
        while used != self.cpu_seconds() and time.monotonic() < deadline:
            used = self.cpu_seconds()
            time.sleep(_SETTLED_SECONDS)

    def cpu_seconds(self) -> float:
        """Return the proxy's CPU time so far, that of processes it started included."""
        return cpu_seconds(self.process) if self.process else 0.0

    def private_bytes(self) -> int:
        """Return the proxy's private memory."""
        return private_bytes(self.process) if self.process else 0

    def counters(self) -> Mapping[str, float]:
        """Return what the proxy says of itself, by name of the metric."""
        return {}


class Direct(Target):
    """PostgreSQL itself."""

    def __init__(self, database: Database) -> None:
        super().__init__(DIRECT, database)

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to end."""

    def again(self, wish: Wish = AS_EVER) -> Direct:
        """Return another one; this database does not encrypt."""
        if wish.encrypts:
            raise BenchError("this database has no certificate")
        return Direct(self.database)


class PgBouncer(Target):
    """Debian's pgbouncer with SCRAM on both sides; started by root it runs as ``nobody``.

    Args:
        database: behind it.
        mode: ``session`` or ``transaction``.
        wish: see ``Wish``.
    """

    def __init__(self, database: Database, mode: str, wish: Wish = AS_EVER) -> None:
        super().__init__(POOLED if mode == "session" else POOLED_BY_TRANSACTION, database, wish)
        self._mode = mode
        self._folder: Path | None = None
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def keeps_prepared_statements(self) -> bool:
        """Whether a prepared statement can be used in a later transaction."""
        return self._mode == "session" or version_numbers(pgbouncer_version()) >= PREPARES

    def start(self) -> None:
        """Start it and wait until it listens."""
        identity = _identity()
        self._folder = folder = Path(tempfile.mkdtemp(prefix="vigie-bench-"))
        self.port = free_port()
        more = []
        if version_numbers(pgbouncer_version()) >= PREPARES:
            more.append("max_prepared_statements = 100")
        if not self._wish.reuses:
            more.append("server_lifetime = 0")
        if self._wish.encrypts:
            certificate, key = make_certificate(folder)
            more.append(f"client_tls_cert_file = {certificate}\nclient_tls_key_file = {key}")
        settings = _SETTINGS.format(
            database=DATABASE,
            host=HOST,
            upstream=self.database.lab.port,
            port=self.port,
            folder=folder,
            mode=self._mode,
            pool=_POOL[self._mode],
            asks="scram-sha-256" if self._wish.asks else "trust",
            tls="require" if self._wish.encrypts else "disable",
            more="\n".join(more),
        )
        (folder / "settings").write_text(settings)
        (folder / "users").write_text(f'"{ROLE}" "{self.database.password}"\n')
        for path in (folder, *folder.iterdir()) if identity else ():
            os.chown(path, identity["user"], identity["group"])
        self._running = subprocess.Popen(
            [pgbouncer_path(), "-q", str(folder / "settings")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **identity,
        )
        self.process = self._running.pid
        try:
            self._wait(self._running, folder / "log")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it and remove its folder."""
        if self._running is not None:
            self._running.terminate()
            try:
                self._running.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._running.kill()
                self._running.wait()
            self._running, self.process = None, 0
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def again(self, wish: Wish = AS_EVER) -> PgBouncer:
        """Return another one, not started."""
        return PgBouncer(self.database, self._mode, wish)

    def _wait(self, running: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
            except OSError:
                if running.poll() is None and time.monotonic() < deadline:
                    time.sleep(_PAUSE_SECONDS)
                    continue
                said = log.read_text()[-1000:] if log.exists() else "no log"
                raise BenchError(f"pgbouncer does not start: {said}") from None
            return


class Vigie(Target):
    """Vigie, enforcing, with the shipped rules and the benchmark's site.

    Args:
        database: behind it.
        site: folder of the site's rules.
        folder: where a folder for its logs is made.
        wish: see ``Wish``.
    """

    def __init__(self, database: Database, site: Path, folder: Path, wish: Wish = AS_EVER) -> None:
        super().__init__(VIGIE, database, wish)
        self._site = site
        self._folder = folder
        self._running: VigieProcess | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        folder = Path(tempfile.mkdtemp(prefix="vigie-", dir=self._folder))
        site = with_nirs(self._site, folder) if self._wish.inspects else self._site
        environment = {"VIGIE_BACKEND_TLS__MODE": "disable"}  # as of all others
        if self._wish.encrypts:
            certificate, key = make_certificate(folder)
            environment["VIGIE_FRONTEND_TLS__CERTIFICATE"] = str(certificate)
            environment["VIGIE_FRONTEND_TLS__KEY"] = str(key)
            environment["VIGIE_FRONTEND_TLS__CHANNEL_BINDING"] = "unused"
        upstream = self._wish.upstream or self.database.lab.port
        running = VigieProcess(upstream, folder, site=site, environment=environment)
        running.start()
        self._running, self.port, self.process = running, running.port, running.process_number

    def stop(self) -> None:
        """End it."""
        if self._running is not None:
            self._running.stop()
            self._running, self.process = None, 0

    def again(self, wish: Wish = AS_EVER) -> Vigie:
        """Return another one, not started."""
        return Vigie(self.database, self._site, self._folder, wish)

    @property
    def kernel(self) -> str:
        """Return which implementation of the hot functions it says it uses; or nothing."""
        found = re.search(r'kernel="([^"]*)"', self._running.metrics()) if self._running else None
        return found[1] if found else ""

    def counters(self) -> Mapping[str, float]:
        """Return its metrics: the sum of all samples of each name."""
        found: dict[str, float] = {}
        lines = self._running.metrics().splitlines() if self._running is not None else []
        for line in lines:
            if line and not line.startswith("#"):
                labelled, _, value = line.rpartition(" ")
                name = labelled.partition("{")[0]
                found[name] = found.get(name, 0.0) + float(value)
        return found


def pgbouncer_path() -> str:
    """Return where pgbouncer is; nothing if it is not installed."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/sbin") or ""


def pgbouncer_version() -> str:
    """Return the version ("1.18.0"); nothing if it is not installed."""
    if not pgbouncer_path():
        return ""
    done = subprocess.run(
        [pgbouncer_path(), "--version"], check=False, capture_output=True, text=True
    )
    found = re.search(r"\d+(?:\.\d+)+", done.stdout)
    return found[0] if found else ""


def version_numbers(version: str) -> tuple[int, ...]:
    """Return "1.18.0" as numbers that compare."""
    return tuple(int(number) for number in version.split(".") if number)


def _identity() -> dict[str, Any]:
    """Return the arguments of ``subprocess`` that drop root's rights; none for a normal user."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(UNPRIVILEGED)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
