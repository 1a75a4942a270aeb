"""Progress for people: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Self

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from rich.console import Console

_LINES: Final = 4  # plain lines of one stage, at most


class Stages:
    """Shows one stage after the other; call it with (stage, done, of all) from any thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._stage, self._line = "", 0
        self._gate = threading.Lock()
        columns = (TextColumn("{task.description:<40}"), BarColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console) if console.is_terminal else None
        self._task = None if self._bar is None else self._bar.add_task("", total=1)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, stage: str, done: int = 0, of: int = 1) -> None:
        """Show how far a stage is."""
        with self._gate:
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, description=stage, completed=done, total=max(of, 1))
                return
            line = done * _LINES // max(of, 1)
            if stage != self._stage or line > self._line:
                self._stage, self._line = stage, line
                seconds = time.monotonic() - self._began
                share = f" {100 * done // of} %" if of > 1 else ""
                self._console.print(f"{seconds:5.1f} s  {stage}{share}", highlight=False)
