"""For whom a statement is, as ``vigie explain`` and ``vigie check`` tell it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.cli.conftest import SITE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Done

BLOCK: Final = """format: 1
end_users:
  - {roles: [lims_app], addresses: [10.0.3.0/24], end_user: {comment: user}, why: w}
  - roles: [billing]
    end_user: {setting: vigie.user}
    application: {comment: app}
    why: w
budgets:
  - {id: EX541, title: t, severity: high, measure: distinct_subjects, per: [end_user], bound: true,
     roles: [lims_app], limits: {1 h: 60}, why: w}
"""
READ: Final = "select nir from lab.patient where id = 3"


@pytest.fixture
def site(tmp_path: Path) -> str:
    """A site that believes two roles."""
    shutil.copytree(SITE, tmp_path / "site")
    (tmp_path / "site" / "end_users.yaml").write_text(BLOCK, "utf-8")
    return str(tmp_path / "site")


@pytest.mark.parametrize(
    ("role", "comment", "option", "expected"),
    [
        ("lims_app", " /*user='alice'*/", [], ("alice", "absent", "yes")),
        ("lims_app", "", [], ("absent", "absent", "no")),
        ("lims_app", " /*user='alice'*/", ["--end-user", "bob"], ("bob", "absent", "yes")),
        ("billing", " /*user='alice',app='x'*/", [], ("absent", "x", "no")),
        ("billing", "", ["--end-user", "bob"], ("bob", "absent", "yes")),
        ("secretary", " /*user='alice'*/", ["--end-user", "bob"], ("absent", "absent", "no")),
    ],
)
def test_for_whom_it_is_explained(
    vigie: Callable[..., Done],
    site: str,
    *,
    role: str,
    comment: str,
    option: list[str],
    expected: tuple[str, str, str],
) -> None:
    """By the comment or the option, and only of a role that is believed."""
    done = vigie("explain", READ + comment, "--role", role, "--site", site, "--json", *option)

    found: dict[str, Any] = json.loads(done.out)
    facts = found["statements"][0]["facts"]
    assert (facts["end_user"], facts["application"], facts["bound"]) == expected


def test_who_is_believed_is_told(vigie: Callable[..., Done], site: str) -> None:
    """With the places, and where the name is said."""
    lines = vigie("check", "--site", site).out.splitlines()

    assert "believed  lims_app from 10.0.3.0/24 on end_user by comment user" in lines
    assert (
        "          billing on end_user by setting vigie.user and application by comment app"
        in lines
    )
    allows = "at most 60 distinct subjects for end users who were named in 1 h, each end user"
    assert f"          EX541 lims_app: {allows}" in lines
    told = json.loads(vigie("check", "--site", site, "--json").out)["policy"]["believed"]
    assert told[0] == {
        "roles": ["lims_app"],
        "addresses": ["10.0.3.0/24"],
        "end_user": {"comment": "user"},
    }
