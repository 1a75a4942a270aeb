"""What the tests of the SQL analysis share: the laboratory's catalog and a short way to facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.sql import Analyser
from tests.data.lab_catalog import LAB, LAB_MAP

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.terms.facts import StatementFacts


@pytest.fixture(scope="session")
def analyser() -> Analyser:
    """Return one analyser for all tests: its cache must not change any answer."""
    return Analyser(LAB_MAP)


@pytest.fixture
def facts(analyser: Analyser) -> Callable[[str], StatementFacts]:
    """Return a function from the text of one statement to its facts, in the laboratory."""

    def analyse(text: str) -> StatementFacts:
        found = analyser.analyse(text.encode(), encoding="UTF8", catalog=LAB)
        assert len(found) == 1
        return found[0]

    return analyse
