"""Copies and renamed relations in the state file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.session.catalog_book import KeptTaint
from proxy.sql.kept import kept_of
from proxy.stores.moments import Moment
from proxy.stores.sqlite import SqliteStore
from proxy.terms.relation import Relation
from tests.data.lab_catalog import LAB

if TYPE_CHECKING:
    from pathlib import Path


def test_it_comes_back_and_is_replaced_by_database(tmp_path: Path) -> None:
    """With every column's class; names that no catalog has shown yet are all of them."""
    path, at = tmp_path / "state.sqlite", Moment(1.0, 2.0, "boot")
    first = KeptTaint(
        {"lab": kept_of(LAB), "other": kept_of(LAB)}, frozenset({("lab", Relation("x", "y"))})
    )
    store = SqliteStore(path, b"secret")
    store.keep(None, at, first)
    store.close()
    store = SqliteStore(path, b"secret")

    assert store.load_taint() == first
    store.keep(None, at, KeptTaint({"lab": frozenset()}))
    assert store.load_taint() == KeptTaint({"other": kept_of(LAB)})
    store.close()
