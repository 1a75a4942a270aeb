"""What the tests of the meter share: facts as the analysis gives them, in the laboratory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.sql import Analyser
from tests.data.lab_catalog import LAB, LAB_MAP

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.sql.catalog import Catalog
    from proxy.terms.facts import StatementFacts


@pytest.fixture(scope="session")
def facts() -> Callable[..., StatementFacts]:
    """Return a function from the text of one statement to its facts."""
    analyser = Analyser(LAB_MAP)

    def analyse(text: str, catalog: Catalog | None = LAB) -> StatementFacts:
        (found,) = analyser.analyse(text.encode(), encoding="UTF8", catalog=catalog)
        return found

    return analyse
