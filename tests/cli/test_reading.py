"""SQL to facts on the command line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proxy.cli import reading
from proxy.cli.reading import parse_elsewhere, read_statements
from proxy.terms.facts import Kind, SubjectFilter
from tests.data.lab_catalog import LAB_MAP

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    import pytest


def test_each_statement_has_its_facts() -> None:
    """In the order of the text."""
    found = read_statements(b"select 1; delete from lab.patient", LAB_MAP)

    assert [facts.kind for facts in found] == [Kind.SELECT, Kind.DELETE]


def test_a_large_text_is_read_in_another_process() -> None:
    """As the proxy does it, so that the answer is the same."""
    keys = ",".join(str(number) for number in range(5000))

    (facts,) = read_statements(f"select nir from patient where id in ({keys})".encode(), LAB_MAP)

    assert facts.opaque is None
    assert facts.subject_filter is SubjectFilter.KEY
    assert sum(len(key.values) for key in facts.key_filters) == 5000


def _end(_text: str, _answer: Connection) -> None:
    os._exit(9)


def test_a_worker_that_ends_or_is_slow_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """The statement is opaque then; the command goes on."""
    slow = parse_elsewhere("select 1", seconds=0.0)
    monkeypatch.setattr(reading, "_parse", _end)
    ended = parse_elsewhere("select 1")

    assert (slow.tree, slow.reason) == (None, "worker failed")
    assert (ended.tree, ended.reason) == (None, "worker failed")
