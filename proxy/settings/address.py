"""Where to listen and to connect: ``host:port`` as everybody writes it, or a Unix socket."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final

UNIX: Final = "unix:"
LONGEST_PATH_BYTES: Final = 107  # of a Unix socket, as Linux has it
_MAX_PORT: Final = 65535
_FORM: Final = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]:\s/]+)):(?P<port>\d{1,5})"
)
_FOLDER: Final = re.compile(r"(?P<folder>/.*):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address, ``host`` without the brackets of IPv6; or a Unix socket by its ``path``."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return UNIX + self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return the address of a text; port 0 stands for any free one.

    ``host:port`` and ``[::1]:port`` are TCP. ``unix:/path`` is a Unix socket, and so is
    ``/folder:port``, which means ``/folder/.s.PGSQL.port`` as in libpq.

    Errors: ValueError that says what was expected.
    """
    if text.startswith((UNIX, "/")):
        return Address("", 0, _path(text))
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is no address, expected host:port or unix:/path")
    port = int(found["port"])
    if port > _MAX_PORT:
        raise ValueError(f"port {port} of '{text}' is above {_MAX_PORT}")
    return Address(found["six"] or found["host"], port)


def _path(text: str) -> str:
    path = text.removeprefix(UNIX)
    if path is text:
        found = _FOLDER.fullmatch(text)
        if found is None:
            raise ValueError(f"'{text}' is a folder without a port, expected /folder:port")
        path = f"{found['folder'].rstrip('/')}/.s.PGSQL.{int(found['port'])}"
    if not path.startswith("/") or path.endswith("/") or "\0" in path:
        raise ValueError(f"'{text}' is no Unix socket, expected unix:/path")
    size = len(os.fsencode(path))
    if size > LONGEST_PATH_BYTES:
        raise ValueError(f"'{path}' has {size} bytes, a Unix socket {LONGEST_PATH_BYTES} at most")
    return path
