"""``vigie explain --against``: a real database's catalog and planner as witnesses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from proxy.cli.live import plan_statements, read_catalog
from proxy.sql import Analyser
from tests.cli.conftest import SITE
from tests.data.lab_catalog import LAB_MAP

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.demo.lab import Lab
    from tests.cli.conftest import Done


class Case(NamedTuple):
    """A statement, what the planner reads for it, and whether it disagrees."""

    sql: str
    reads: str


TABLE = [
    Case("select nir from lab.patient where id = 4", "reads lab.patient"),
    Case("select * from lab.v_worklist", "lab.patient"),
    Case("select nir from lab.patient where id = $1", "reads lab.patient"),
    Case("select 1", "reads nothing"),
    Case("select lab.nobody_knows()", "not asked"),
    Case("copy lab.patient to stdout", "not asked"),
    Case("copy (select nir from lab.patient where id = 4) to stdout", "reads lab.patient"),
]


def url_of(lab: Lab) -> str:
    """Return where an application's role connects."""
    password = lab.passwords["lims_app"]
    return f"postgresql://lims_app:{password}@{lab.host}:{lab.port}/{lab.database}"


def told(vigie: Callable[..., Done], url: str, sql: str) -> dict[str, Any]:
    """Return what is told of one statement."""
    done = vigie("explain", "--json", "--site", SITE, "--against", url, sql)
    (statement,) = json.loads(done.out)["statements"]
    found: dict[str, Any] = statement
    return found


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.sql)
def test_the_planner_is_shown_beside_the_parsers(
    vigie: Callable[..., Done], lab: Lab, case: Case
) -> None:
    """Its relations stand beside those of the grammar, and nothing unknown is planned."""
    found = told(vigie, url_of(lab), case.sql)

    assert case.reads in found["witnesses"]["planner"]
    assert not found["disagreement"]


def test_names_are_those_of_the_database(vigie: Callable[..., Done], lab: Lab) -> None:
    """With a catalog a column that a star stands for is known; without one it is not."""
    columns = told(vigie, url_of(lab), "select * from patient where id = 7")["columns"]

    assert tuple(column["name"] for column in columns[:2]) == ("id", "nir")


def test_a_database_that_does_not_answer_is_said(vigie: Callable[..., Done]) -> None:
    """The message says which option, what happened and what was expected."""
    done = vigie("explain", "--against", "postgresql://nobody@127.0.0.1:1/lab", "select 1")

    assert done.status == 1
    assert "--against" in done.err
    assert "expected postgresql://" in done.err


def test_what_is_asked_changes_nothing(lab: Lab) -> None:
    """A statement that writes is planned, and not run."""
    url = url_of(lab)
    catalog = read_catalog(url, LAB_MAP)
    text = b"delete from lab.patient where id = 1"
    facts = Analyser(LAB_MAP).analyse(text, encoding="UTF8", catalog=catalog)
    (planned,) = plan_statements(url, facts)
    (again,) = plan_statements(url, Analyser(LAB_MAP).analyse(
        b"select id from lab.patient where id = 1", encoding="UTF8", catalog=catalog
    ))  # fmt: skip

    assert planned.plan is None or planned.plan.relations
    assert again.plan is not None
    assert again.plan.rows == 1
