"""A relay in C that only copies: the limit of what a proxy in one thread can reach here."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.model import COPYING, BenchError
from bench.targets import AS_EVER, START_SECONDS, Target, Wish
from proxy.demo.postgres import HOST, free_port

if TYPE_CHECKING:
    from bench.laboratory import Database

SOURCE: Final = Path(__file__).with_suffix(".c")
_PAUSE_SECONDS: Final = 0.05


def compiler() -> str:
    """Return where a C compiler is; nothing if there is none."""
    return shutil.which("cc") or ""


class CopyRelay(Target):
    """The relay of ``copy_relay.c``, compiled when it starts."""

    def __init__(self, database: Database) -> None:
        super().__init__(COPYING, database)
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Compile it, start it and wait until it listens. Errors: BenchError."""
        self.port = free_port()
        with tempfile.TemporaryDirectory(prefix="vigie-bench-") as folder:
            program = f"{folder}/copy_relay"
            done = subprocess.run(
                [compiler(), "-O2", str(SOURCE), "-o", program],
                check=False,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise BenchError(f"{SOURCE.name} does not compile: {done.stderr[-1000:]}")
            self._running = subprocess.Popen(
                [program, str(self.port), str(self.database.lab.port)], stdin=subprocess.DEVNULL
            )
            self.process = self._running.pid
            deadline = time.monotonic() + START_SECONDS
            while True:
                try:
                    socket.create_connection((HOST, self.port), timeout=1).close()
                except OSError:
                    if self._running.poll() is None and time.monotonic() < deadline:
                        time.sleep(_PAUSE_SECONDS)
                        continue
                    self.stop()
                    raise BenchError("the copy relay does not start") from None
                return

    def stop(self) -> None:
        """End it."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running, self.process = None, 0

    def again(self, wish: Wish = AS_EVER) -> CopyRelay:
        """Return another one, not started; it does not encrypt."""
        if wish.encrypts:
            raise BenchError("it only copies")
        return CopyRelay(self.database)
