"""``vigie check``: what is in force, or everything that is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import SITE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Done

MAP = "schema_map: {subject: patient, relations: {lab.patient: {columns: {last_name: identity}}}}"


@pytest.mark.usefixtures("in_project")
def test_what_is_in_force(vigie: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, policy and budgets, on one screen."""
    monkeypatch.setenv("VIGIE_STATE", "memory")
    done = vigie("check")

    lines = done.out.splitlines()
    assert (done.status, done.err) == (0, "")
    assert lines[0] == "settings  vigie.yaml, mode enforce, state memory"
    assert lines[1] == "listens   127.0.0.1:6432, before 127.0.0.1:5432; metrics on 127.0.0.1:9187"
    assert "subjects  in 17 relations" in lines
    assert "          EX211 lims_app: at most 600 distinct subjects in 1 h" in lines
    assert "          EX218 backup: distinct subjects in 1 h are counted, never cut" in lines
    assert len(lines) <= 24


@pytest.mark.usefixtures("in_project")
def test_the_same_as_json(vigie: Callable[..., Done]) -> None:
    """For scripts: the version of the policy, numbers, and each budget."""
    done = vigie("check", "--json")

    found = json.loads(done.out)
    assert (done.status, found["ok"], found["settings"]["file"]) == (0, True, "vigie.yaml")
    assert found["policy"]["subject_relations"] == 17
    assert found["policy"]["version"] in vigie("check").out
    assert {
        "id": "EX217",
        "measure": "distinct_subjects",
        "per": ["role"],
        "bound": None,
        "classes": [],
        "relations": [],
        "roles": ["export_job"],
        "window_seconds": 86400,
        "limit": 3000,
        "action": "block",
    } in found["policy"]["budgets"]


def test_a_missing_file_is_one_line(vigie: Callable[..., Done]) -> None:
    """Named, and nothing else is said."""
    done = vigie("check", "--config", "nope.yaml", "--site", SITE)

    assert (done.status, done.out) == (1, "")
    assert done.err == "nope.yaml: cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        ({}, ["site: no rule files, expected a folder with *.yaml"]),
        (
            {"a.yaml": "format: 1\nrules:\n- id: EX500\n\tx"},
            ["site/a.yaml:4:1: found a tab character that violates indentation"],
        ),
        (
            {"a.yaml": "format: 1\nrulez: []", "b.yaml": "format: 2", "c.yaml": ""},
            [
                "site/a.yaml:2:1: unknown key 'rulez', did you mean 'rules'?",
                "site/b.yaml:1:9: 'format' is 2, expected one of 1",
                "site/c.yaml:1:1: is empty, expected format: 1",
            ],
        ),
        (
            {"a.yaml": f"format: 1\n{MAP}\noverrides:\n  EX10: {{weight: 5, why: w}}"},
            ["site/a.yaml:4:3: name 'EX10', expected the form ^EX[0-9]{3}$"],
        ),
        (
            {"a.yaml": f"format: 1\n{MAP}\noverrides:\n  EX999: {{weight: 5, why: w}}"},
            ["site/a.yaml:4:3: override of unknown id 'EX999', did you mean 'EX913'?"],
        ),
    ],
    ids=["empty site", "no YAML", "several files", "bad id", "unknown id"],
)
def test_every_problem_has_its_place(
    files: dict[str, str],
    lines: list[str],
    vigie: Callable[..., Done],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """File, line, column, what, and what was expected: one line each, on standard error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    for name, text in files.items():
        (tmp_path / "site" / name).write_text(text)

    done = vigie("check", "--site", "site")

    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines() == lines


def test_problems_as_json(
    vigie: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place is taken apart for editors; what has none is told as it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v.yaml").write_text("mode: enforce\nlisen: []\n")

    done = vigie("check", "--config", "v.yaml", "--site", "nowhere", "--json")

    assert (done.status, done.err) == (1, "")
    assert json.loads(done.out) == {
        "ok": False,
        "problems": [
            {
                "file": "v.yaml",
                "line": 2,
                "column": 1,
                "what": "unknown key 'lisen', did you mean 'listen'?",
            },
            {"what": "nowhere: no rule files, expected a folder with *.yaml"},
        ],
    }


def test_upstreams_are_shown(
    vigie: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which sessions go where, in words and as JSON."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v.yaml").write_text(
        "upstreams:\n"
        "- {address: 'a:1', databases: [old, archive]}\n"
        "- {address: 'b:2', listen: ['127.0.0.1:6432']}\n"
    )

    done = vigie("check", "--config", "v.yaml", "--site", SITE)
    as_json = json.loads(vigie("check", "--config", "v.yaml", "--site", SITE, "--json").out)

    lines = done.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("upstreams"))
    assert [line.split(maxsplit=1)[-1] for line in (lines[at][9:], lines[at + 1])] == [
        "for archive, old",
        "by 127.0.0.1:6432",
    ]
    assert as_json["settings"]["upstreams"] == [
        {"address": "a:1", "databases": ["archive", "old"], "listen": None},
        {"address": "b:2", "databases": None, "listen": ["127.0.0.1:6432"]},
    ]


def test_masks_are_told(vigie: Callable[..., Done], tmp_path: Path) -> None:
    """Which classes, and how."""
    (tmp_path / "x.yaml").write_text(
        f"format: 1\n{MAP}\nrules:\n"
        "- {id: EX510, title: Pseudonyms, severity: info, when: {role: {is: app}}, explain: e,"
        " why: w, mask: [{classes: [quasi], how: whole}, {classes: [identity], how: hash}]}\n"
    )

    told = vigie("check", "--site", str(tmp_path)).out
    found = json.loads(vigie("check", "--site", str(tmp_path), "--json").out)

    assert "masks     EX510 Pseudonyms: identity by hash, quasi by whole\n" in told
    assert found["policy"]["masks"] == [
        {
            "id": "EX510",
            "title": "Pseudonyms",
            "mode": "enforce",
            "classes": {"quasi": "whole", "identity": "hash"},
        }
    ]
