"""The catalogs that sessions have read, for the others on the same database.

One catalog a database; and for each reader (role, database, start-up options) the search_path that
its sessions begin with. Both are believed for a while, and not beyond a change that passed here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from proxy.sql import build_catalog
from proxy.sql.kept import kept_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from proxy.policy.drift import Drift
    from proxy.sql import Catalog
    from proxy.sql.kept import KeptRelation
    from proxy.terms.relation import Relation
    from proxy.terms.schema_map import SchemaMap

Results: TypeAlias = "Sequence[Sequence[Sequence[str | None]]]"

_CLAIM_SECONDS: Final = 5.0  # a session that began to read has so long; then another one reads
_MAX_READERS: Final = 1024
_NEVER: Final = float("-inf")
_NOT_OVER: Final = float("inf")


class Need(Enum):
    """What has to be read before a statement can be judged."""

    NOTHING = "nothing"
    PATH = "path"
    ALL = "all"


class Reader(NamedTuple):
    """Whose sessions begin with the same search_path. ``database``: its place, see Principal."""

    role: str
    database: str
    options: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Page:
    """What is known of one database. ``change``: number of the last change that it holds."""

    catalog: Catalog | None = None
    results: Results = ()  # what it was made from
    read_at: float = _NEVER
    change: int = -1
    changes: int = 0
    claimed_until: float = _NEVER
    drift: tuple[Drift, ...] | None = None  # None: it was not looked for
    # by name, until a catalog that was read after their transaction has them with their OID:
    # relation -> number of the change that has to be in it; infinite: it is not over yet
    tainted: dict[Relation, float] = field(default_factory=dict)
    kept: frozenset[KeptRelation] = frozenset()


@dataclass(frozen=True, slots=True)
class KeptTaint:
    """What is known of copies and renamed relations, by database, for after a restart.

    ``named``: of the copies that no catalog has shown yet.
    """

    relations: Mapping[str, frozenset[KeptRelation]] = field(default_factory=dict)
    named: frozenset[tuple[str, Relation]] = frozenset()


class CatalogBook:
    """Catalogs by database and paths by reader; bounded by the number of databases and readers."""

    def __init__(self) -> None:
        self.epochs = [0]  # raised when what is known changes, or ceases to be believed
        self._pages: dict[str, _Page] = {}
        self._paths: dict[Reader, tuple[tuple[str, ...], float, int]] = {}
        self._restored: dict[str, frozenset[KeptRelation]] = {}
        # numbers of versions: of all this, of what was taken to be kept, of what is kept, and of
        # the last copy, whose maker waits until it is kept
        self._version = self._taken = self._saved = self._copied = 0
        self._unsaved: set[str] = set()

    def need(self, reader: Reader, now: float, seconds: float) -> Need:
        """Return what a session that begins has to read. ``seconds``: how long it is believed."""
        if not self.is_fresh(reader.database, now, seconds):
            return Need.ALL
        path = self._paths.get(reader)
        changes = self._page(reader.database).changes
        known = path is not None and path[2] == changes and now - path[1] < seconds
        return Need.NOTHING if known else Need.PATH

    def is_fresh(self, database: str, now: float, seconds: float) -> bool:
        """Whether the catalog need not be read again, or somebody is just reading it."""
        return now < self.fresh_until(database, seconds)

    def fresh_until(self, database: str, seconds: float) -> float:
        """Return until when the catalog need not be read again, as of this epoch."""
        page = self._page(database)
        if page.change != page.changes:
            return _NEVER
        return max(page.read_at + seconds, page.claimed_until)

    def is_recent(self, database: str, now: float, seconds: float) -> bool:
        """Whether nothing but changes that passed here can have made the catalog too old."""
        return now - self._page(database).read_at < seconds

    def catalog(self, database: str) -> Catalog | None:
        """Return what was read last, however old; None: nothing."""
        return self._page(database).catalog

    def path(self, reader: Reader) -> tuple[str, ...] | None:
        """Return the search_path that sessions of the reader begin with, if it is known."""
        found = self._paths.get(reader)
        return None if found is None else found[0]

    def claim(self, database: str, now: float) -> None:
        """Say that a session begins to read, so that others with a catalog do not as well."""
        page = self._page(database)
        if page.catalog is not None:
            page.claimed_until = now + _CLAIM_SECONDS

    def put(
        self, database: str, catalog: Catalog, change: int, now: float, results: Results = ()
    ) -> None:
        """Keep a catalog. ``change``: the number of changes when its reading began.

        ``results``: what it was made from, for another schema map.
        """
        page = self._page(database)
        page.catalog, page.read_at, page.change = catalog, now, change
        page.claimed_until = _NEVER
        page.results = results
        settled = [one for one, number in page.tainted.items() if number <= change]
        for relation in settled:  # the catalog has it with its OID, or it is gone
            del page.tainted[relation]
        kept = kept_of(catalog)
        if settled or kept != page.kept:
            page.kept = kept
            self._unsaved.add(database)
            self._version += 1
            if settled:  # waited for: until then a new name would hide it from the next process
                self._copied = self._version
        self.epochs[0] += 1

    def put_drift(self, database: str, found: tuple[Drift, ...]) -> tuple[Drift, ...]:
        """Keep where a database does not fit the schema map; return what was not known yet."""
        page = self._page(database)
        new = tuple(one for one in found if one not in (page.drift or ()))
        page.drift = found
        return new

    def drift(self) -> Iterator[Drift]:
        """Yield where the databases do not fit the schema map."""
        for page in self._pages.values():
            yield from page.drift or ()

    def knows_drift(self, database: str) -> bool:
        """Whether it was looked for since the schema map or the catalog changed."""
        return self._page(database).drift is not None

    def adopt(self, before: SchemaMap, after: SchemaMap) -> None:
        """Make every catalog anew with another schema map.

        What a relation was under a name that it no longer has stays with it; all else is as the
        new map says.
        """
        made = [(page, _made_anew(page, before, after)) for page in self._pages.values()]
        self.epochs[0] += 1
        for page, catalog in made:  # all of them, or none if one cannot be made
            page.catalog, page.drift = catalog, None
            if catalog is None:
                page.read_at = _NEVER

    def release(self, database: str) -> None:
        """Note that it could not be read by who began to."""
        self._page(database).claimed_until = _NEVER
        self.epochs[0] += 1

    def put_path(self, reader: Reader, path: tuple[str, ...], now: float) -> None:
        """Keep the path that a session of the reader began with."""
        while len(self._paths) >= _MAX_READERS:
            del self._paths[next(iter(self._paths))]
        self._paths[reader] = (path, now, self._page(reader.database).changes)

    def changes(self, database: str) -> int:
        """Return how many changes to a database's relations and functions passed through here."""
        return self._page(database).changes

    def changed(self, database: str) -> None:
        """Note that one passed: the catalog of the database has to be read again."""
        self._page(database).changes += 1
        self.epochs[0] += 1

    def tainted(self, database: str) -> frozenset[Relation]:
        """Return the relations into which subjects' data was copied, that no catalog shows yet."""
        return frozenset(self._page(database).tainted)

    def kept(self, database: str) -> frozenset[KeptRelation]:
        """Return what was known before a restart, for the first catalog."""
        page = self._page(database)
        return self._restored.get(database, frozenset()) if page.catalog is None else frozenset()

    def taint(self, database: str, relations: Iterable[Relation]) -> None:
        """Note that subjects' data was copied into these, in a transaction that is not over."""
        self._page(database).tainted.update(dict.fromkeys(relations, _NOT_OVER))
        self.epochs[0] += 1
        self._version += 1
        self._copied = self._version

    def settle(self, database: str, relations: Iterable[Relation]) -> None:
        """Note that the transaction which copied into these is over.

        The catalog has to be read again: it tells their OIDs.
        """
        self.changed(database)
        page = self._page(database)
        page.tainted.update((one, page.changes) for one in relations if one in page.tainted)

    # what outlives the process

    @property
    def is_kept(self) -> bool:
        """Whether every copy that was made is kept, and its maker may hear of it."""
        return self._saved >= self._copied

    def restore(self, kept: KeptTaint) -> None:
        """Take over what was kept by the process before."""
        self._restored = dict(kept.relations)
        for database, relation in kept.named:
            page = self._page(database)
            page.tainted[relation] = page.changes

    def take_unsaved(self) -> KeptTaint | None:
        """Return what is to be kept: all names, and the relations of databases that changed."""
        if self._version == self._saved:
            return None
        self._taken = self._version
        taken, self._unsaved = self._unsaved, set()
        return KeptTaint(
            {database: self._page(database).kept for database in taken},
            frozenset((name, one) for name, page in self._pages.items() for one in page.tainted),
        )

    def saved(self) -> None:
        """Note that what was taken is kept."""
        self._saved = self._taken

    def not_saved(self, taken: KeptTaint) -> None:
        """Note that it is not: it is taken again."""
        self._unsaved |= taken.relations.keys()

    def _page(self, database: str) -> _Page:
        page = self._pages.get(database)
        if page is None:
            page = self._pages[database] = _Page()
        return page


def _made_anew(page: _Page, before: SchemaMap, after: SchemaMap) -> Catalog | None:
    if page.catalog is None or not page.results:
        return None
    by_name = build_catalog(page.results, before).sticky
    held = {key: one for key, one in page.catalog.sticky.items() if key not in by_name}
    return build_catalog(page.results, after, replace(page.catalog, sticky=held, digest=b""))
