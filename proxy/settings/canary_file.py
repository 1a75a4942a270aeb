"""The file of the canaries on the disk. Whoever can read it knows whom to avoid."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from proxy.content.canaries import Canary, read_canaries, write_canaries
from proxy.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MODE: Final = 0o600
_OTHERS: Final = 0o077


def read_canary_file(path: Path) -> tuple[Canary, ...]:
    """Return the canaries of a file.

    Errors: ConfigurationError: it cannot be read, others may read it, or it is damaged.
    """
    try:
        with path.open("rb") as file:
            rights = os.fstat(file.fileno()).st_mode
            text = file.read().decode("utf-8")
    except OSError as error:
        raise ConfigurationError([f"canaries: {path} cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path}: is not UTF-8 at byte {error.start}"]) from None
    if rights & _OTHERS:
        shown = f"{rights & 0o777:o}"
        raise ConfigurationError(
            [f"canaries: {path} has mode {shown}, expected 600: chmod 600 {path}"]
        )
    return read_canaries(text, str(path))


def write_canary_file(path: Path, canaries: Iterable[Canary]) -> None:
    """Write the canaries, all or nothing, for the owner alone. Errors: OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(write_canaries(canaries))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
