"""CatalogBook: what was read is believed for a while, and not beyond a change."""

from __future__ import annotations

from proxy.session.catalog_book import CatalogBook, Need, Reader
from proxy.terms.relation import Relation
from tests.data.lab_catalog import LAB

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
