"""Where settings and rules are read from."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.errors import ConfigurationError
from proxy.policy import load_policy
from proxy.settings import (
    find_settings_file,
    load_settings,
    read_folders,
    read_policy_files,
    read_settings,
    shipped_rules,
)
from proxy.terms.budget import Measure
from proxy.terms.finding import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

TODAY = date(2026, 11, 24)
NOTHING_SAID = load_settings(None, "vigie.yaml", {})


def test_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named file, else VIGIE_CONFIG, else ./vigie.yaml, else none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.yaml").write_text("mode: observe")

    assert read_settings(None, {}).mode is Mode.ENFORCE
    assert read_settings(None, {"VIGIE_CONFIG": "other.yaml"}).mode is Mode.OBSERVE
    (tmp_path / "vigie.yaml").write_text("mode: observe")
    assert read_settings(None, {}).mode is Mode.OBSERVE
    (tmp_path / "third.yaml").write_text("mode: enforce")
    assert read_settings(tmp_path / "third.yaml", {}).mode is Mode.ENFORCE


def test_the_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is named is the one, there or not; ./vigie.yaml only if it is there."""
    monkeypatch.chdir(tmp_path)

    assert find_settings_file(None, {}) is None
    assert find_settings_file(None, {"VIGIE_CONFIG": "x"}) == Path("x")
    assert find_settings_file(Path("y"), {"VIGIE_CONFIG": "x"}) == Path("y")
    (tmp_path / "vigie.yaml").write_text("")
    assert find_settings_file(None, {}) == Path("vigie.yaml")


@pytest.mark.parametrize(
    ("text", "environ", "overrides", "folders"),
    [
        ("mod: x\nsite: a\nrules: r", {}, {}, ("a", "r")),
        ("mod: x\nsite: a", {"VIGIE_SITE": "b", "VIGIE_X": "1"}, {"site": None}, ("b", None)),
        ("mod: x\nsite: a", {"VIGIE_SITE": "b"}, {"site": "c", "listen": ("d",)}, ("c", None)),
        ("site: a\nrules: [r]", {}, {}, ("a", None)),
        ("site: [a]", {}, {}, None),
        ("- site", {}, {}, None),
        ("site: [", {"VIGIE_SITE": "b"}, {}, None),
        ("mod: x", {}, {}, None),
    ],
)
def test_folders_of_settings_with_problems(
    text: str,
    environ: Mapping[str, str],
    overrides: Mapping[str, object],
    folders: tuple[str, str | None] | None,
    tmp_path: Path,
) -> None:
    """Where rules are can be known although other settings are wrong; or it is not guessed."""
    file = tmp_path / "v.yaml"
    file.write_text(text)

    found = read_folders(file, environ, overrides)

    if folders is None:
        assert found is None
    else:
        assert found is not None
        assert (str(found.site), found.rules and str(found.rules)) == folders


def test_a_named_file_has_to_be_there(tmp_path: Path) -> None:
    """Going on without a file that was named would be a surprise."""
    missing, latin = tmp_path / "x.yaml", tmp_path / "y.yaml"
    latin.write_bytes(b"mode: \xe9")

    with pytest.raises(ConfigurationError, match=r"x\.yaml: cannot be read: No such file"):
        read_settings(missing, {})
    with pytest.raises(ConfigurationError, match=r"y\.yaml: is not UTF-8 at byte 6"):
        read_settings(latin, {})


def test_the_demonstration_site_loads() -> None:
    """The shipped rules and the demonstration's site are a policy, with its budgets."""
    site = shipped_rules() / "sites" / "lab-demo"

    policy = load_policy(read_policy_files(replace(NOTHING_SAID, site=site)), today=TODAY)

    limits = {
        role: [one.limit for one in policy.budgets_for(role) if one.measure is Measure.SUBJECTS]
        for role in ("lims_app", "secretary", "biologist", "billing", "dba", "dashboard", "x")
    }
    assert limits == {
        "lims_app": [600],
        "secretary": [300],
        "biologist": [1000],
        "billing": [700],
        "dba": [250],
        "dashboard": [0],
        "x": [100],
    }
    subjects = [one for one in policy.budgets_for("export_job") if one.measure is Measure.SUBJECTS]
    assert [(one.limit, one.window_seconds) for one in subjects] == [(3000, 86400)]
    assert [one.limit for one in policy.budgets_for("backup")] == [None, None, 2000, 20, None]
    rows = [one.limit for one in policy.budgets_for("dashboard") if one.measure is Measure.ROWS]
    assert rows == [20000]
    assert len(policy.schema_map.subject_relations) == 17


def test_without_a_site_nothing_loads() -> None:
    """Nobody would know which columns are about subjects."""
    with pytest.raises(ConfigurationError, match="no schema_map"):
        load_policy(read_policy_files(NOTHING_SAID), today=TODAY)


def test_a_folder_without_rules_is_refused(tmp_path: Path) -> None:
    """A mistyped folder is not an empty policy."""
    with pytest.raises(ConfigurationError, match="no rule files, expected a folder with"):
        read_policy_files(replace(NOTHING_SAID, rules=tmp_path))
    with pytest.raises(ConfigurationError, match="no rule files, expected a folder with"):
        read_policy_files(replace(NOTHING_SAID, site=tmp_path / "nowhere"))


def test_all_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A folder without rules does not hide the file beside it that is no text."""
    (tmp_path / "a.yaml").write_bytes(b"\xff")
    (tmp_path / "b.yaml").write_bytes(b"a\xff")

    with pytest.raises(ConfigurationError) as caught:
        read_policy_files(replace(NOTHING_SAID, rules=tmp_path / "nowhere", site=tmp_path))

    assert [problem.split(": ", 1)[1] for problem in caught.value.problems] == [
        "no rule files, expected a folder with *.yaml",
        "is not UTF-8 at byte 0",
        "is not UTF-8 at byte 1",
    ]


def test_rules_may_lie_flat(tmp_path: Path) -> None:
    """A folder of rules needs no base/ in it."""
    (tmp_path / "r.yaml").write_text("format: 1")

    assert list(read_policy_files(replace(NOTHING_SAID, rules=tmp_path)).values()) == ["format: 1"]
