"""``vigie explain``: the verdict on SQL, and everything it follows from."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from tests.cli.conftest import SITE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Done

WHOLE = "select * from lab.patient"


class Case(NamedTuple):
    """A statement, and what is found in it. ``marked``: the places, as they are written."""

    role: str
    sql: str
    verdict: str
    rules: list[str]
    marked: list[str]


TABLE: Final = [
    Case("app", "select 1", "allow", [], []),
    Case("app", "", "allow", [], []),
    Case("app", "select last_name from lab.patient where id = 42", "allow", [], ["lab.patient"]),
    Case(
        "app",
        "select analyse_code, count(*) from lab.resultat group by 1",
        "allow",
        [],
        ["lab.resultat"],
    ),
    Case("app", WHOLE, "block", ["EX101"], ["lab.patient"]),
    Case("app", "SELECT * FROM lab . patient p", "block", ["EX101"], ["lab . patient"]),
    Case("app", 'table "lab"."patient"', "block", ["EX101"], ['"lab"."patient"']),
    Case("app", "select json_agg(p) from lab.patient p", "block", ["EX104"], ["lab.patient"]),
    Case(
        "app",
        "select nir from lab.patient limit 5000",
        "block",
        ["EX103", "EX105"],
        ["lab.patient", "5000"],
    ),
    Case("app", "copy lab.patient to '/tmp/x'", "block", ["EX120"], ["lab.patient"]),
    Case("app", "select lo_export(1, 'x')", "block", ["EX120", "EX122", "EX902"], ["lo_export"]),
    Case("app", "do $$ begin execute 'a' || 1; end $$", "block", ["EX901"], []),
    Case("app", "select from where", "block", ["EX901"], ["where"]),
    Case("app", "select 'lab.patient'", "allow", [], []),
    Case("backup", "copy lab.patient (id, nir) to stdout", "flag", ["EX107"], ["lab.patient"]),
    Case("app", "select lab.export_patients()", "block", ["EX501"], []),
    Case("export_job", "select lab.export_patients()", "allow", [], []),
    Case("export_job", "select id, nir from lab.patient", "flag", ["EX108"], ["lab.patient"]),
]


@pytest.mark.parametrize("case", TABLE, ids=[f"{one.role}: {one.sql}" for one in TABLE])
def test_statements(case: Case, vigie: Callable[..., Done]) -> None:
    """The verdict, the rules that held, and the places in the text; status 3 for a refusal."""
    done = vigie("explain", case.sql, "--site", SITE, "--role", case.role, "--json")

    (found,) = json.loads(done.out)["statements"]
    assert found["verdict"] == case.verdict
    assert [one["rule"] for one in found["findings"]] == case.rules
    assert done.status == (3 if case.verdict == "block" else 0)
    assert done.err == ""
    places = [found["text"][mark["start"] : mark["end"]] for mark in found["marks"]]
    assert places == case.marked


def test_for_people(vigie: Callable[..., Done]) -> None:
    """The place is marked under the SQL, the sum adds up, and each rule says why."""
    done = vigie("explain", "select nir\nfrom lab.patient limit 5000", "--site", SITE)

    assert done.out.startswith(
        "  1 | select nir\n"
        "  2 | from lab.patient limit 5000\n"
        "    |      ^^^^^^^^^^^ subject relation\n"
        "    |                        ^^^^ row bound\n"
        "\n"
        "verdict   block: score 80 reaches 60, where statements are refused\n"
        "score     60 (EX103) + 20 (EX105) = 80\n"
        "rules     EX103 LIMIT over 1000 and no predicate that selects few (high, weight 60)\n"
        "            asks for 5000 rows with identities of lab.patient\n"
    )
    assert (
        "            why: A LIMIT larger than any screen is there to look harmless.\n" in done.out
    )
    assert "\ncharge    each distinct subject once, by nir\n" in done.out
    assert "\nfor       role app on database app\n" in done.out
    assert "\nbudgets   EX201 at most 100 distinct subjects in 1 h\n" in done.out


def test_every_fact_is_shown(vigie: Callable[..., Done]) -> None:
    """Those that say something with their value, the others by name; JSON has them all."""
    done = vigie("explain", WHOLE, "--site", SITE)

    facts = json.loads(vigie("explain", WHOLE, "--site", SITE, "--json").out)["statements"][0][
        "facts"
    ]
    shown = done.out.split("\nfacts")[1].split("\ncharge")[0]
    assert [name for name in facts if name not in shown.replace(",", " ").split()] == []
    assert "subject_relations    lab.patient" in shown


def test_each_statement_has_its_section(vigie: Callable[..., Done]) -> None:
    """The first refusal decides the status, wherever it stands."""
    done = vigie("explain", f"{WHOLE}; select 1", "--site", SITE)

    assert done.status == 3
    assert [line for line in done.out.splitlines() if line.startswith(("stat", "verd"))] == [
        "statement 1 of 2",
        "verdict   block: EX101 asks for it",
        "statement 2 of 2",
        "verdict   allow: no rule asks for more, and score 0 is below 20",
    ]


def test_role_and_database(vigie: Callable[..., Done]) -> None:
    """Budgets are the role's own; the database is named as the role unless it is given."""
    command = ("explain", "select 1", "--site", SITE, "--role", "dba")

    found = json.loads(vigie(*command, "--json").out)
    done = vigie(*command, "--database", "lab")

    assert (found["role"], found["database"], found["mode"]) == ("dba", "dba", "enforce")
    assert found["budgets"][0] == {"id": "EX215", "allows": "at most 250 distinct subjects in 1 h"}
    assert "for       role dba on database lab\n" in done.out


@pytest.mark.parametrize(
    ("given", "reason", "row"),
    [
        (
            b"select * from lab.patient\n",
            "EX101 asks for it",
            "    |               ^^^^^^^^^^^ subject",
        ),
        (b"select \xff\n", "EX901 asks for it", "    |        ^ encoding"),
        (b"select 1\0; x", "EX901 asks for it", "    |         ^ nul"),
    ],
)
def test_standard_input(given: bytes, reason: str, row: str, vigie: Callable[..., Done]) -> None:
    """``-`` reads it, whatever bytes they are."""
    done = vigie("explain", "-", "--site", SITE, given=given)

    assert done.status == 3
    assert f"verdict   block: {reason}\n" in done.out
    assert row in done.out


def test_a_large_text_is_read_whole(vigie: Callable[..., Done]) -> None:
    """By a worker, and shown only where it is marked."""
    keys = ", ".join(str(number) for number in range(9000))
    sql = f"select nir from lab.patient where id in ({keys}) limit 5"

    done = vigie("explain", "-", "--site", SITE, given=sql.encode())

    assert done.status == 3
    assert "EX114" in done.out
    assert "subject_filter       key\n" in done.out
    assert max(map(len, done.out.splitlines())) < 200


def test_a_text_that_would_end_the_session(vigie: Callable[..., Done], tmp_path: Path) -> None:
    """Is not judged: the proxy never gets that far."""
    settings = tmp_path / "v.yaml"
    settings.write_text(f"site: {SITE}\nlimits: {{max_statement_bytes: 1024}}\n")

    done = vigie("explain", "-", "--config", str(settings), given=b" " * 1025)

    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("SQL: longer than 1024 bytes, which ends a session")


def test_an_exception_is_shown_and_observing_is_said(
    vigie: Callable[..., Done], tmp_path: Path
) -> None:
    """Who answers for a lifted rule, until when; and that nothing is refused in this mode."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "a.yaml").write_text(
        "format: 1\n"
        "schema_map: {subject: p, relations: {lab.patient: {columns: {last_name: identity}}}}\n"
        "exceptions:\n"
        "- {rule: EX101, owner: officer, expires: '9999-01-01', why: w,"
        " unless: {role: {is: app}}}\n"
    )
    (tmp_path / "v.yaml").write_text(f"mode: observe\nsite: {site}\n")
    command = ("explain", WHOLE, "--config", str(tmp_path / "v.yaml"))

    done = vigie(*command)
    found: dict[str, Any] = json.loads(vigie(*command, "--json").out)

    assert done.status == 0
    assert "lifted by an exception of officer until 9999-01-01\n" in done.out
    assert "mode      observe: verdicts are recorded, and nothing is refused or cut\n" in done.out
    (held,) = found["statements"][0]["findings"]
    assert held["exception"] == {"owner": "officer", "expires": "9999-01-01"}
    assert found["mode"] == "observe"


def test_wrong_rules_explain_nothing(vigie: Callable[..., Done], tmp_path: Path) -> None:
    """The problems of the policy, as ``vigie check`` tells them; status 1."""
    done = vigie("explain", "select 1", "--site", str(tmp_path))

    assert (done.status, done.out) == (1, "")
    assert done.err == f"{tmp_path}: no rule files, expected a folder with *.yaml\n"


MASK = """\
format: 1
rules:
  - id: EX510
    title: Pseudonyms
    severity: info
    when: {role: {is: app}}
    mask: [{classes: [identity], how: hash}, {classes: [quasi], how: whole}]
    explain: shows pseudonyms
    why: Who it is, is not their question.
"""


def test_masks_are_shown_by_column(vigie: Callable[..., Done], tmp_path: Path) -> None:
    """How each is masked, what is charged then, and why a statement cannot be masked."""
    site = tmp_path / "site"
    shutil.copytree(SITE, site)
    (site / "masks.yaml").write_text(MASK)

    def explained(sql: str) -> dict[str, Any]:
        done = vigie("explain", "--site", str(site), "--role", "app", "--json", sql)
        return dict(json.loads(done.out)["statements"][0])

    given = explained("select id, last_name, sex from lab.patient where id = 1")
    used = explained("select id from lab.patient where last_name = 'X'")

    assert [one["carries"].partition("; ")[2] for one in given["columns"]] == [
        "",
        "masked: hash",
        "masked: whole",
    ]
    assert given["verdict"] == "allow"
    assert given["charge"] == "rows only, no subject is disclosed"
    assert used["verdict"] == "block"
    assert "uses masked columns (identity)" in used["findings"][0]["explanation"]
