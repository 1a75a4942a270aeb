"""Vigie as a process of its own, as a site would run it: started, awaited, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

import proxy
from proxy.demo.postgres import HOST, free_port
from proxy.errors import VigieError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PACKAGE: Final = Path(proxy.__file__).parent
_RULES: Final = (_PACKAGE.parent / "rules", _PACKAGE / "_rules")  # a clone; an installed wheel
SITE: Final = next((path for path in _RULES if path.is_dir()), _RULES[0]) / "sites" / "lab-demo"
READY_SECONDS: Final = 30.0
END_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.05


class VigieDidNotStartError(VigieError):
    """The process ended, or was not ready in time; the message holds its log."""


class VigieProcess:
    """One running proxy.

    Args:
        upstream: port of the PostgreSQL on the loopback address.
        folder: an existing folder for its log and its audit log.
        options: further options of ``vigie run``.
        site: folder of the site's rules.
        mode: ``enforce`` or ``observe``.
        environment: variables over those of this process.
    """

    def __init__(
        self,
        upstream: int,
        folder: Path,
        *,
        options: Sequence[str] = (),
        site: Path = SITE,
        mode: str = "enforce",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.http_port = free_port()
        self.audit = folder / "audit.jsonl"
        self._log = folder / "vigie.log"
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.command = [
            *(sys.executable, "-m", "proxy.cli", "run"),
            *("--listen", f"{HOST}:{self.port}", "--upstream", f"{HOST}:{upstream}"),
            *("--site", str(site), "--state", "memory", "--http", f"{HOST}:{self.http_port}"),
            *("--mode", mode, *options),
        ]

    @property
    def http(self) -> str:
        """Return the address of /metrics and /readyz, without a path."""
        return f"http://{HOST}:{self.http_port}"

    @property
    def log(self) -> str:
        """Return what it wrote to its standard output and error so far."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def process_number(self) -> int:
        """Return the process id."""
        return self._process.pid if self._process else 0

    def start(self, probe: str = "/readyz") -> None:
        """Start it and wait until ``probe`` says so; ``/healthz`` does not ask for a database.

        Raises:
            VigieDidNotStartError: it ended first, or took too long.
        """
        self._environment.setdefault("VIGIE_AUDIT__PATH", str(self.audit))
        with self._log.open("ab") as output:
            # A session of its own: Ctrl-C is for us, and we end it in order.
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
                cwd=_PACKAGE.parent,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers(probe):
            status = self._process.poll()
            if status is not None or time.monotonic() > deadline:
                self.stop()
                what = "was not ready in time" if status is None else f"ended with status {status}"
                raise VigieDidNotStartError(f"vigie {what}:\n{self.log[-4000:]}")
            time.sleep(_PAUSE_SECONDS)

    def stop(self) -> int:
        """End it as an orchestrator would; returns its exit status (-9 if it had to be killed)."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def metrics(self) -> str:
        """Return the text of /metrics."""
        with urllib.request.urlopen(f"{self.http}/metrics", timeout=10) as answer:  # noqa: S310
            return str(answer.read().decode())

    def _answers(self, probe: str) -> bool:
        try:
            with urllib.request.urlopen(f"{self.http}{probe}", timeout=2) as answer:  # noqa: S310
                return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's OK
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
