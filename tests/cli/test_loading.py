"""Settings and policy together, or all that is wrong with both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.cli.loading import load
from proxy.cli.options import Options
from proxy.errors import ConfigurationError
from tests.cli.conftest import SITE

if TYPE_CHECKING:
    from collections.abc import Mapping


def problems(options: Options) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(options)
    return caught.value.problems


def test_no_file_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options can say all that is needed."""
    monkeypatch.chdir(tmp_path)

    loaded = load(Options(None, {"site": SITE, "listen": ("127.0.0.1:1",)}))

    assert loaded.source is None
    assert [str(one) for one in loaded.settings.listen] == ["127.0.0.1:1"]
    assert loaded.policy.budgets_for("lims_app")[0].limit == 600


@pytest.mark.usefixtures("in_project")
def test_the_file_of_the_folder_is_used() -> None:
    """./vigie.yaml counts where no other is named."""
    assert load(Options()).source == Path("vigie.yaml")


def test_without_a_site_it_says_what_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only what is missing: the option, the key and an example."""
    monkeypatch.chdir(tmp_path)

    (found,) = problems(Options())

    assert found.startswith("site: no folder is named, expected --site FOLDER or 'site'")
    assert found.endswith("lab-demo is an example")


@pytest.mark.parametrize(
    "overrides", [{"site": "site"}, {}], ids=["site by option", "site by file"]
)
def test_settings_and_rules_are_told_together(
    overrides: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look shows everything, whichever file it is in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vigie.yaml").write_text("mod: observe\nhttp: 5\nlisten: [a]\nsite: site\n")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.yaml").write_text("format: 1\nrulez: []\n")

    assert problems(Options(None, overrides)) == [
        "vigie.yaml:2:7: 'http' is 5, expected text",
        "vigie.yaml:1:1: unknown key 'mod', did you mean 'mode'?",
        "vigie.yaml:3:10: 'a' is no address, expected host:port or unix:/path",
        "site/a.yaml:2:1: unknown key 'rulez', did you mean 'rules'?",
    ]


def test_settings_that_cannot_be_read_stand_alone(tmp_path: Path) -> None:
    """Where the site is cannot be known, so nothing is said of it."""
    missing, broken = tmp_path / "nope.yaml", tmp_path / "broken.yaml"
    broken.write_text("site: [\n")

    assert problems(Options(missing)) == [f"{missing}: cannot be read: No such file or directory"]
    assert len(problems(Options(broken))) == 1
