"""``vigie schema draft``: four databases against what somebody who knows them would write."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import psycopg
import pytest

from proxy.cli.live_schema import drift_from
from proxy.cli.schema_draft import draft_of
from proxy.demo.postgres import HOST, SUPERUSER
from proxy.policy import load_policy
from proxy.policy.draft.views import map_of
from proxy.policy.draft.write import write_draft
from proxy.settings import shipped_rules
from proxy.terms.column_class import ColumnClass
from tests.cli.conftest import SITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proxy.demo.lab import Lab
    from proxy.terms.schema_map import SchemaMap
    from tests.cli.conftest import Done
    from tests.fix_postgres import Address

FOLDER: Final = Path(__file__).resolve().parents[1] / "data" / "drafts"
TODAY: Final = datetime.now(tz=UTC).date()


class Database(NamedTuple):
    """One to draft, and the map that somebody wrote who knows it."""

    url: str
    by_hand: SchemaMap


@pytest.fixture(scope="session")
def databases(postgres_address: Address, lab: Lab) -> dict[str, Database]:
    """The laboratory of the demonstration, and three that are named in other ways."""
    site = Path(SITE) / "schema.yaml"
    found = {"lab": Database(url_of(postgres_address, lab.database), map_in(site.read_text()))}
    for name in ("legacy", "hospital", "parted"):
        with superuser(postgres_address, "postgres") as connection:
            connection.execute(f"create database draft_{name}".encode())
        with superuser(postgres_address, f"draft_{name}") as connection:
            connection.execute((FOLDER / f"{name}.sql").read_bytes())
        by_hand = map_in((FOLDER / f"{name}.yaml").read_text())
        found[name] = Database(url_of(postgres_address, f"draft_{name}"), by_hand)
    return found


@contextmanager
def superuser(address: Address, database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        host=HOST, port=address.port, user=SUPERUSER, password=address.password,
        dbname=database, autocommit=True,
    ) as connection:  # fmt: skip
        yield connection


def url_of(address: Address, database: str) -> str:
    return f"postgresql://{SUPERUSER}:{address.password}@{HOST}:{address.port}/{database}"


def map_in(text: str) -> SchemaMap:
    """Load a schema map as a site's, beside the shipped rules."""
    base = {str(one): one.read_text() for one in (shipped_rules() / "base").glob("*.yaml")}
    return load_policy({**base, "schema.yaml": text}, today=date(2026, 1, 1)).schema_map


def by_class(schema_map: SchemaMap) -> dict[ColumnClass, set[tuple[str, str | None]]]:
    """Return the columns of each class with their key spaces."""
    found: dict[ColumnClass, set[tuple[str, str | None]]] = {one: set() for one in ColumnClass}
    for column, column_class in schema_map.classes.items():
        found[column_class].add((str(column), schema_map.keys.get(column)))
    return found


# What a draft misses of those written by hand.
MISSED: Final = {
    ("hospital", ColumnClass.QUASI): {("clinical.insurance_link.payer_code", None)},
    ("parted", ColumnClass.QUASI): {("public.person_address.state_province", None)},
    ("parted", ColumnClass.HEALTH): {
        ("public.obs.concept_id", None),
        ("public.person.cause_of_death", None),
    },
}


@pytest.mark.parametrize("name", ["lab", "legacy", "hospital", "parted"])
def test_a_draft_is_what_one_would_write(databases: dict[str, Database], name: str) -> None:
    """Class by class, nothing is missing but what is listed, and nothing is there in vain."""
    database = databases[name]
    draft, _ = draft_of(database.url, TODAY)
    drafted, by_hand = by_class(map_of(draft)), by_class(database.by_hand)

    for column_class in ColumnClass:
        missed = by_hand[column_class] - drafted[column_class]
        assert missed == MISSED.get((name, column_class), set())
        assert drafted[column_class] - by_hand[column_class] == set()


@pytest.mark.parametrize("name", ["lab", "legacy", "hospital", "parted"])
def test_a_draft_is_a_rule_file(databases: dict[str, Database], name: str) -> None:
    """What is written loads as it stands, says what the draft says, and fits the database."""
    draft, schema = draft_of(databases[name].url, TODAY)
    text = write_draft(draft, schema)

    assert by_class(map_in(text)) == by_class(map_of(draft))
    assert drift_from(databases[name].url, map_in(text)) == ()


@pytest.mark.parametrize("name", ["lab", "legacy", "hospital"])
def test_no_value_is_written(
    vigie: Callable[..., Done], databases: dict[str, Database], name: str
) -> None:
    """Nothing of a patient's row is in a draft, as YAML or JSON."""
    tables = {"lab": "lab.patient", "legacy": '"LABO"."T_PAT"', "hospital": "clinical.person"}
    with psycopg.connect(databases[name].url) as connection:
        rows = connection.execute(f"select * from {tables[name]} limit 300".encode()).fetchall()
    values = {str(one) for row in rows for one in row if isinstance(one, str) and len(one) > 6}
    texts = [
        vigie("schema", "draft", "--against", databases[name].url, *options).out
        for options in ((), ("--json",))
    ]

    assert len(values) > 300
    assert [value for value in values for text in texts if value in text] == []


def test_without_samples_names_and_keys_are_left(databases: dict[str, Database]) -> None:
    """What only its values tell is missing then; the rest is the same."""
    draft, _ = draft_of(databases["legacy"].url, TODAY, samples=False)
    drafted, by_hand = by_class(map_of(draft)), by_class(databases["legacy"].by_hand)

    missed = by_hand[ColumnClass.IDENTITY] - drafted[ColumnClass.IDENTITY]
    assert {name.rsplit(".", 1)[0] for name, _ in missed} == {"LABO.COPIE_2019"}
    assert drafted[ColumnClass.KEY] == by_hand[ColumnClass.KEY]


def test_a_role_that_may_read_little_still_drafts(vigie: Callable[..., Done], lab: Lab) -> None:
    """What it may not sample is drafted by name, and said to be so."""
    url = f"postgresql://dashboard:{lab.passwords['dashboard']}@{lab.host}:{lab.port}/lab"
    done = vigie("schema", "draft", "--against", url, "--json")
    found = json.loads(done.out)

    assert done.status == 0
    assert found["relations"]["lab.patient"]["nir"]["class"] == "identity"
    assert found["unsampled"]["lab.patient"] == "the role may not read it"


def test_a_file_that_is_there_is_not_written_over(
    vigie: Callable[..., Done], databases: dict[str, Database], tmp_path: Path
) -> None:
    """A reviewed map is not lost to a second draft."""
    path = tmp_path / "schema.yaml"
    options = ("schema", "draft", "--against", databases["lab"].url, "--output", str(path))
    first, before, second = vigie(*options), path.read_text(), vigie(*options)

    assert (first.status, second.status) == (0, 1)
    assert "expected a file that is not there yet" in second.err
    assert path.read_text() == before


def test_check_compares_the_map_with_the_database(
    vigie: Callable[..., Done], databases: dict[str, Database]
) -> None:
    """It fits until a table comes with NIRs in it, whatever the column is called."""
    url = databases["lab"].url
    options = ("check", "--site", SITE, "--json", "--against", url)
    before = vigie(*options)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table staging.tri (c1 text)")
        connection.execute("insert into staging.tri select nir from lab.patient limit 50")
        try:
            after = vigie(*options)
            told = vigie(*(one for one in options if one != "--json"))
        finally:
            connection.execute("drop table staging.tri")

    place = "staging.tri.c1"
    expected = {"kind": "identity_unmapped", "place": place}
    assert (before.status, json.loads(before.out)["drift"]) == (0, [])
    assert (after.status, told.status) == (3, 3)
    assert [{**one, "what": ""} for one in json.loads(after.out)["drift"]] == [
        {**expected, "what": ""}
    ]
    assert told.err == f"drift: {place}: holds NIRs, and is not in the map\n"
