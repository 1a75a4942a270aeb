"""The state of one Vigie at its start: its secret, its store, the ledger as it was kept."""

from __future__ import annotations

import os
import secrets
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy import accel
from proxy.errors import ConfigurationError
from proxy.meter.book import Book
from proxy.meter.ledger import Ledger
from proxy.net import clock
from proxy.net.keeper import Keeper
from proxy.session.catalog_book import CatalogBook
from proxy.settings.load import MEMORY
from proxy.stores.moments import resume
from proxy.stores.sqlite import SqliteStore, StateError

if TYPE_CHECKING:
    import contextlib

    from proxy.metrics import Metrics
    from proxy.settings.settings import Settings

_SECRET_BYTES: Final = 32
_MIB: Final = 1024 * 1024
_LONGEST_KEY: Final = 64  # that BLAKE2b takes


def open_state(
    settings: Settings, metrics: Metrics, stack: contextlib.ExitStack | contextlib.AsyncExitStack
) -> tuple[Ledger, Keeper, bytes, CatalogBook]:
    """Return the ledger, what keeps it, the key of the hashes of subject keys, and the copies.

    Errors: ConfigurationError, if the secret or the state cannot be used.
    """
    secret = read_secret(settings)
    catalogs = CatalogBook()
    ceiling = settings.state_memory_mib * _MIB
    if settings.state == MEMORY:
        ledger = Ledger(Book(memory_bytes=ceiling, new_subjects=accel.Subjects))
        return ledger, Keeper(ledger, None, None, metrics, catalogs), secret, catalogs
    path = Path(settings.state)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = SqliteStore(path, secret)
        try:
            saved, kept = store.load()
            catalogs.restore(store.load_taint())
        except StateError:
            store.close()
            raise
    except StateError as error:
        raise ConfigurationError([str(error)]) from None
    except OSError as error:
        raise ConfigurationError(
            [f"state {path}: its folder cannot be made: {error.strerror}"]
        ) from None
    offset = resume(kept, clock.moment()) - clock.now()
    book = Book(
        is_kept=True,
        memory_bytes=ceiling,
        new_subjects=accel.Subjects,
        read_pages=store.pages,
    )
    ledger = Ledger(book, offset_seconds=offset, share_percent=settings.state_share_percent)
    try:
        with store.reading():
            book.restore(saved, ledger.time(clock.now()))
    except (ValueError, StateError) as error:
        store.close()
        said = f"state {path} cannot be read: {error}; restore a copy, or move it away"
        raise ConfigurationError([f"{said}, which forgets all usage"]) from None
    executor = ThreadPoolExecutor(1, "state")
    keeper = Keeper(ledger, store, executor, metrics, catalogs)
    stack.callback(keeper.close)
    stack.callback(executor.shutdown)
    return ledger, keeper, secret, catalogs


def read_secret(settings: Settings) -> bytes:
    """Return the key of the hashes of subject keys.

    From the environment, or from its file, which is made if there is none; with neither, beside
    the state. A state in memory needs none that lasts.

    Errors: ConfigurationError, if its file cannot be used.
    """
    if settings.secret is not None:
        return settings.secret.encode()[:_LONGEST_KEY]
    path = settings.secret_file
    if path is None:
        if settings.state == MEMORY:
            return secrets.token_bytes(_SECRET_BYTES)
        path = Path(f"{settings.state}.secret")
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ConfigurationError(
            [f"secret_file: {path} cannot be read: {error.strerror}"]
        ) from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(_SECRET_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return _read(path)
    except OSError as error:
        raise ConfigurationError(
            [f"secret_file: {path} cannot be made: {error.strerror}"]
        ) from None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise ConfigurationError(
                [f"secret_file: {path} has mode {mode:04o}, expected 0600: others can read it"]
            )
        found = file.read().strip()
    if not found:
        raise ConfigurationError([f"secret_file: {path} is empty"])
    return found[:_LONGEST_KEY]
