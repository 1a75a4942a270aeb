"""CatalogBook: what was read is believed for a while, and not beyond a change."""

from __future__ import annotations

from proxy.session.catalog_book import CatalogBook, Need, Reader
from proxy.sql import build_catalog
from proxy.terms.relation import Relation
from proxy.terms.schema_map import SchemaMap
from tests.data.lab_catalog import LAB, LAB_MAP, LAB_RESULTS

READER = Reader("app", "lab", ())
PATH = ("lab",)


def read_book() -> CatalogBook:
    book = CatalogBook()
    book.put("lab", LAB, 0, 0.0)
    book.put_path(READER, PATH, 0.0)
    return book


def test_a_session_asks_for_what_is_not_known() -> None:
    """Everything, the path alone, or nothing."""
    book = read_book()

    assert book.need(READER, 1.0, 30.0) is Need.NOTHING
    assert book.need(Reader("other", "lab", ()), 1.0, 30.0) is Need.PATH
    assert book.need(READER._replace(database="other"), 1.0, 30.0) is Need.ALL
    assert book.need(READER, 31.0, 30.0) is Need.ALL
    assert (book.catalog("lab"), book.path(READER)) == (LAB, PATH)


def test_a_change_makes_it_stale_at_once() -> None:
    """And what was asked before the change is no answer to it."""
    book = read_book()
    change = book.changes("lab")
    book.changed("lab")
    book.put("lab", LAB, change, 1.0)

    assert not book.is_fresh("lab", 1.0, 30.0)
    book.put("lab", LAB, book.changes("lab"), 2.0)
    assert book.is_fresh("lab", 2.0, 30.0)
    assert book.need(READER, 2.0, 30.0) is Need.PATH


def test_whoever_begins_to_read_spares_the_others() -> None:
    """For some seconds, if there is an old one to go on with; or until it gives up."""
    book = read_book()
    book.claim("lab", 31.0)

    assert book.is_fresh("lab", 32.0, 30.0)
    book.release("lab")
    assert not book.is_fresh("lab", 32.0, 30.0)


def test_copies_of_subjects_are_remembered() -> None:
    """For the database they are in."""
    book = read_book()
    book.taint("lab", [Relation("lab", "copy")])
    book.taint("lab", [Relation("lab", "other")])

    assert book.tainted("lab") == {Relation("lab", "copy"), Relation("lab", "other")}
    assert book.tainted("another") == frozenset()


def test_another_schema_map_makes_every_catalog_anew() -> None:
    """What is mapped no longer is free of subjects, unless it bears another name than it did."""
    mapped = build_catalog(LAB_RESULTS, LAB_MAP)
    results = [list(map(list, rows)) for rows in LAB_RESULTS]
    for row in results[1]:
        row[:] = ["moved" if cell == "patient" else cell for cell in row]
    renamed = build_catalog(results, LAB_MAP, mapped)
    book = CatalogBook()
    book.put("lab", mapped, 0, 0.0, LAB_RESULTS)
    book.put("other", renamed, 0, 0.0, results)
    book.adopt(LAB_MAP, SchemaMap())

    found = {name: book.catalog(name) for name in ("lab", "other")}
    patient, moved = Relation("lab", "patient"), Relation("lab", "moved")
    assert found["lab"] is not None
    assert found["other"] is not None
    assert patient in mapped.subjects
    assert patient not in found["lab"].subjects
    assert moved in found["other"].subjects
    assert book.is_fresh("lab", 1.0, 30.0)


def test_a_catalog_that_cannot_be_made_anew_is_read_again() -> None:
    """Nothing is known until then."""
    book = read_book()
    book.adopt(LAB_MAP, SchemaMap())

    assert book.catalog("lab") is None
    assert not book.is_fresh("lab", 1.0, 30.0)


def test_copies_are_kept_by_oid_once_a_catalog_shows_them() -> None:
    """Not before their transaction is over: what bears the name until then may be another one."""
    book, copy = read_book(), Relation("lab", "medecin")
    book.taint("lab", [copy])

    assert not book.is_kept
    book.put("lab", LAB, book.changes("lab"), 1.0)
    assert book.tainted("lab") == {copy}
    book.settle("lab", [copy])
    seen = build_catalog(LAB_RESULTS, LAB_MAP, tainted=book.tainted("lab"))
    book.put("lab", seen, book.changes("lab"), 2.0)
    assert book.tainted("lab") == frozenset()
    taken = book.take_unsaved()
    assert taken is not None
    assert {one.relation for one in taken.relations["lab"]} > {copy}
    assert taken.named == frozenset()
    book.saved()
    assert book.take_unsaved() is None


def test_what_could_not_be_kept_is_taken_again() -> None:
    """And whoever made a copy meanwhile goes on waiting."""
    book, copy = read_book(), Relation("lab", "copy")
    book.taint("lab", [copy])
    first = book.take_unsaved()
    assert first is not None
    book.not_saved(first)
    again = book.take_unsaved()
    assert again == first
    book.taint("lab", [Relation("lab", "other")])
    book.saved()

    assert not book.is_kept


def test_the_next_process_goes_on_with_it() -> None:
    """By name until the first catalog, which knows OIDs."""
    book = read_book()
    book.taint("lab", [Relation("lab", "copy")])
    taken = book.take_unsaved()
    assert taken is not None
    other = CatalogBook()
    other.restore(taken)

    assert other.tainted("lab") == {Relation("lab", "copy")}
    assert other.kept("lab") == taken.relations["lab"]
    other.put("lab", LAB, 0, 0.0)
    assert not other.kept("lab")
    assert not other.tainted("lab")
