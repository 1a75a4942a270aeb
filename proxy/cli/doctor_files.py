"""What the doctor sees without the database: settings, files and their rights, TLS legs."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.errors import ConfigurationError, VigieError
from proxy.settings import shipped_rules
from proxy.settings.canary_file import read_canary_file
from proxy.settings.load import MEMORY
from proxy.stores.sqlite import is_in_use
from proxy.terms.finding import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.cli.loading import Loaded
    from proxy.settings import Settings
    from proxy.settings.address import Address

_LEAST_BYTES: Final = 256 * 1024 * 1024  # on the disk of the state
_OTHERS: Final = 0o077
_WRITE_OTHERS: Final = 0o022
_VERIFYING: Final = frozenset({"verify-ca", "verify-full"})
_PASSING: Final = frozenset({"tmpfs", "ramfs"})  # gone after a restart of the machine


class Level(IntEnum):
    """How it stands."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, slots=True)
class Told:
    """One line: what was looked at, how it stands, and what to do next; empty: nothing."""

    level: Level
    about: str
    what: str
    todo: str = ""


def look_at_files(loaded: Loaded) -> Iterator[Told]:
    """Yield how settings and files stand."""
    settings = loaded.settings
    yield Told(
        Level.OK, "settings", f"{loaded.source or 'no file'}, policy {loaded.policy.version}"
    )
    if settings.mode is Mode.OBSERVE:
        todo = "when observing is over: mode: enforce"
        yield Told(Level.WARN, "mode", "observe: nothing is refused, cut or masked", todo)
    else:
        yield Told(Level.OK, "mode", "enforce")
    yield from _tls(settings)
    for warning in loaded.warnings:
        yield Told(Level.WARN, "certificates", warning, "renew it, then SIGHUP")
    yield from _state(settings)
    yield from _secrets(settings)
    yield from _writable(loaded)
    yield from _audit(settings)
    yield from _canaries(settings)


def _tls(settings: Settings) -> Iterator[Told]:
    """Yield how the two legs stand. That channel binding can pass was seen when they were read."""
    frontend, backend = settings.frontend_tls, settings.backend_tls
    for address in settings.listen:
        is_plain = frontend.certificate is None or address in frontend.plaintext
        if is_plain and _is_remote(address):
            what = f"{address} takes sessions without TLS from other machines"
            todo = "frontend_tls.certificate and .key; leave it out of frontend_tls.plaintext"
            yield Told(Level.FAIL, "TLS", what, todo)
        else:
            what = f"{address}: {'this machine only' if is_plain else 'TLS is required'}"
            yield Told(Level.OK, "TLS", what)
    addresses = [settings.upstream, *(one.address for one in settings.upstreams)]
    for address in dict.fromkeys(addresses):
        if _is_remote(address) and backend.mode not in _VERIFYING:
            what = f"the database at {address} is not verified (backend_tls.mode {backend.mode})"
            todo = "backend_tls.mode: verify-full and backend_tls.ca"
            yield Told(Level.WARN, "TLS", what, todo)
        else:
            yield Told(Level.OK, "TLS", f"database at {address}: {backend.mode}")
    if frontend.certificate is not None:
        how = "by the verifiers of the roles" if frontend.scram_verifiers else "as both legs stand"
        if not frontend.needs_channel_binding:
            how = "is not used, as the settings say"
        yield Told(Level.OK, "SCRAM", f"channel binding passes {how}")
    if settings.http is not None and _is_remote(settings.http):
        what = f"metrics and health on {settings.http} can be read by other machines"
        yield Told(Level.WARN, "http", what, "http: 127.0.0.1:9187, or a firewall")


def _is_remote(address: Address) -> bool:
    """Whether more than this machine is at the other end."""
    if address.path or address.host == "localhost":
        return False
    try:
        return not ip_address(address.host.partition("%")[0]).is_loopback
    except ValueError:
        return True  # a name


def _state(settings: Settings) -> Iterator[Told]:
    if settings.state == MEMORY:
        what = "is in memory: a restart gives every budget back"
        yield Told(Level.WARN, "state", what, "state: a file that only Vigie may read")
        return
    path = Path(settings.state)
    folder = next(one for one in path.absolute().parents if one.is_dir())
    if not os.access(folder, os.W_OK):
        yield Told(
            Level.FAIL, "state", f"{folder} cannot be written by this user", f"chown {folder}"
        )
    if path.exists():
        yield from _rights("state", path, _OTHERS)
        runs = "a Vigie writes it now" if is_in_use(path) else "no Vigie writes it now"
        yield Told(Level.OK, "state", f"{path}: {runs}")
    else:
        yield Told(Level.OK, "state", f"{path} is made at the first start")
    kind = _file_system(folder)
    if kind in _PASSING:
        what = f"{folder} is {kind}: a restart of the machine gives every budget back"
        yield Told(Level.WARN, "state", what, "state: a file on a disk")
    free = shutil.disk_usage(folder).free
    if free < _LEAST_BYTES:
        what = f"{free >> 20} MiB are free in {folder}; when it is full, results are cut"
        yield Told(Level.WARN, "state", what, f"make room: {_LEAST_BYTES >> 20} MiB at least")


def _file_system(folder: Path) -> str:
    """Return what kind of file system a folder is on; empty: nobody says."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    found = ("", "")
    for line in lines:
        left, _, right = line.partition(" - ")
        mount = left.split()[4]
        if folder.is_relative_to(mount) and len(mount) >= len(found[0]):
            found = (mount, right.split()[0])
    return found[1]


def _secrets(settings: Settings) -> Iterator[Told]:
    if settings.secret is not None:
        what = "the secret of the hashes comes from the environment"
        yield Told(Level.WARN, "secrets", what, "secret_file: other processes cannot read it")
    beside = None if settings.state == MEMORY else Path(f"{settings.state}.secret")
    files = (
        settings.secret_file or beside,
        settings.frontend_tls.key,
        settings.backend_tls.key,
        settings.frontend_tls.scram_verifiers,
        settings.canaries,
    )
    for path in files:
        if path is not None and path.exists():
            yield from _rights("secrets", path, _OTHERS)


def _rights(about: str, path: Path, refused: int) -> Iterator[Told]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & refused:
        todo = f"chmod {mode & ~refused:o} {path}"
        yield Told(Level.FAIL, about, f"{path} has mode {mode:04o}: others can get at it", todo)
    else:
        yield Told(Level.OK, about, f"{path} has mode {mode:04o}")


def _writable(loaded: Loaded) -> Iterator[Told]:
    """Yield files that decide and that others could change."""
    settings = loaded.settings
    folders = [settings.rules or shipped_rules(), settings.site, settings.orders.folder]
    paths = [loaded.source, settings.orders.public_key]
    for folder in folders:
        paths += [] if folder is None else [folder, *folder.rglob("*.yaml")]
    found = [
        path
        for path in paths
        if path is not None and path.exists() and path.stat().st_mode & _WRITE_OTHERS
    ]
    for path in found:
        yield Told(Level.WARN, "rules", f"{path} can be changed by others", f"chmod go-w {path}")
    if not found:
        yield Told(Level.OK, "rules", "settings, rules and site can be changed by their owner only")


def _audit(settings: Settings) -> Iterator[Told]:
    path = settings.audit.path
    if path is None:
        yield Told(Level.OK, "audit", "records go to the standard output")
        return
    place = path if path.exists() else path.absolute().parent
    if not os.access(place, os.W_OK):
        yield Told(Level.FAIL, "audit", f"{place} cannot be written by this user", f"chown {place}")
    elif path.exists() and path.stat().st_mode & 0o007:
        what = f"{path} can be read by everybody"
        yield Told(Level.WARN, "audit", what, f"chmod o= {path}")
    else:
        yield Told(Level.OK, "audit", f"{path} can be written")


def _canaries(settings: Settings) -> Iterator[Told]:
    if settings.canaries is None:
        todo = "vigie canary plant, then canaries: FILE"
        yield Told(Level.WARN, "canaries", "none are planted", todo)
        return
    try:
        found = read_canary_file(settings.canaries)
    except (ConfigurationError, VigieError) as error:
        yield Told(Level.FAIL, "canaries", str(error), "vigie canary plant")
        return
    yield Told(Level.OK, "canaries", f"{len(found)} are watched for")
