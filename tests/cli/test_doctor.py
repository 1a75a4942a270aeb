"""``vigie doctor``: what of a deployment is not as it should be, and what to do about it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from proxy.demo.postgres import SUPERUSER
from tests.cli.conftest import ROOT, SITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proxy.demo.lab import Lab
    from tests.cli.conftest import Done

PASSWORD: Final = "doctor"


@pytest.fixture(scope="module")
def doctor(lab: Lab) -> Iterator[str]:
    """The role as it is documented, word for word; its URL."""
    text = (ROOT / "docs" / "doctor.md").read_text()
    (grants,) = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    with lab.connect(SUPERUSER) as connection:
        connection.execute(grants.encode())
        connection.execute(f"alter role vigie_doctor password '{PASSWORD}'".encode())
        yield f"postgresql://vigie_doctor:{PASSWORD}@{lab.host}:{lab.port}/{lab.database}"
        connection.execute(b"drop owned by vigie_doctor; drop role vigie_doctor")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder for the state, whose settings are as they should be."""
    tmp_path.chmod(0o700)
    settings = tmp_path / "vigie.yaml"
    settings.write_text(f"state: {tmp_path / 'state.sqlite'}\nsite: {SITE}\n")
    settings.chmod(0o600)
    return tmp_path


def told(done: Done, about: str) -> list[tuple[str, str, str]]:
    """Return (level, what, next) of the lines about something."""
    found: list[dict[str, Any]] = json.loads(done.out)["checks"]
    return [(one["level"], one["what"], one["next"]) for one in found if one["about"] == about]


def ask(vigie: Callable[..., Done], home: Path, *options: str) -> Done:
    return vigie("doctor", "--json", "--config", str(home / "vigie.yaml"), *options)


def set_up(home: Path, more: str) -> None:
    with (home / "vigie.yaml").open("a") as file:
        file.write(more)


@pytest.mark.integration
def test_the_documented_rights_are_those_it_needs(
    vigie: Callable[..., Done], home: Path, lab: Lab, doctor: str
) -> None:
    """With them nothing is missing and nothing too much; with a superuser it says so."""
    done = ask(vigie, home, "--against", doctor)

    assert told(done, "rights") == [("ok", "vigie_doctor only reads", "")]
    assert told(done, "schema map") == [("ok", "fits the database", "")]
    assert ("ok", "server_encoding is UTF8", "") in told(done, "database")
    assert [level for level, _, _ in told(done, "clock")] == ["ok"]
    other = f"postgresql://{SUPERUSER}:{lab.passwords[SUPERUSER]}@{lab.host}:{lab.port}/lab"
    (found,) = told(ask(vigie, home, "--against", other), "rights")
    assert found[0] == "warn"
    assert "superuser" in found[1]


@pytest.mark.integration
def test_a_role_that_sees_less_is_told_what_to_grant(
    vigie: Callable[..., Done], home: Path, lab: Lab
) -> None:
    """An application's role writes, and cannot see who may come around."""
    url = f"postgresql://lims_app:{lab.passwords['lims_app']}@{lab.host}:{lab.port}/lab"
    found = told(ask(vigie, home, "--against", url), "rights")

    assert [level for level, _, _ in found] == ["warn"] * 3
    assert "may write" in found[0][1]
    assert found[1][2] == "grant pg_monitor to lims_app"
    assert "grant execute on function pg_hba_file_rules() to lims_app" in found[2][2]


@pytest.mark.integration
def test_what_does_not_fit_the_database(
    vigie: Callable[..., Done], home: Path, lab: Lab, doctor: str
) -> None:
    """A rule and a budget for what is not there, a table that the map does not have."""
    site = home / "site"
    site.mkdir(mode=0o700)
    for path in Path(SITE).glob("*.yaml"):
        text = path.read_text().replace("lab.export_patients]", "lab.export_all]")
        (site / path.name).write_text(text.replace("[biologist]", "[biologists]"))
    with lab.connect(SUPERUSER) as connection:
        connection.execute("create table staging.extrait (num_secu char(15))")
        done = ask(vigie, home, "--site", str(site), "--against", doctor)
        connection.execute("drop table staging.extrait")

    absent = "EX501 can never hold by functions: no lab.export_all is there"
    roles = "budgets name roles that cannot log in here: biologists"
    assert absent in [what for _, what, _ in told(done, "rules")]
    assert roles in [what for _, what, _ in told(done, "roles")]
    ((level, what, _),) = told(done, "schema map")
    assert (level, what.partition(":")[0]) == ("warn", "staging.extrait.num_secu")


@pytest.mark.integration
def test_who_can_come_around(vigie: Callable[..., Done], home: Path, doctor: str) -> None:
    """Extensions that lead out are named; the loopback address alone is no way around."""
    found = told(ask(vigie, home, "--against", doctor), "around")

    assert any(what.startswith("extension dblink") for _, what, _ in found)
    assert not any("may come from" in what for _, what, _ in found)


def test_a_sound_home(vigie: Callable[..., Done], home: Path) -> None:
    """No failure; warnings do not fail but with --strict, and each says what to do."""
    done, strict = ask(vigie, home), ask(vigie, home, "--strict")
    found = json.loads(done.out)["checks"]

    assert (done.status, strict.status) == (0, 1)
    assert {one["about"] for one in found if one["level"] == "warn"} <= {
        "canaries",
        "database",
        "state",
        "rules",
    }
    assert all(one["next"] for one in found if one["level"] != "ok")


RIGHTS: Final = {
    "state": ("state.sqlite", ""),
    "secrets": ("state.sqlite.secret", ""),
}


@pytest.mark.parametrize("about", ["state", "secrets"])
def test_files_that_others_can_read(vigie: Callable[..., Done], home: Path, about: str) -> None:
    """The hashes of patients' keys and their secret are for Vigie alone."""
    path = home / RIGHTS[about][0]
    path.touch(mode=0o644)
    path.chmod(0o644)
    done = ask(vigie, home)

    assert done.status == 1
    wanted = ("fail", f"{path} has mode 0644: others can get at it", f"chmod 600 {path}")
    assert wanted in told(done, about)


@pytest.mark.parametrize(
    ("settings", "about", "expected"),
    [
        ("listen: ['0.0.0.0:6432']\n", "TLS", ("fail", "0.0.0.0:6432 takes sessions without TLS")),
        ("upstream: db.example.test:5432\n", "TLS", ("warn", "the database at db.example.test:54")),
        ("mode: observe\n", "mode", ("warn", "observe: nothing is refused")),
        ("http: 0.0.0.0:9187\n", "http", ("warn", "metrics and health on 0.0.0.0:9187")),
        ("audit: {path: /nowhere/audit.jsonl}\n", "audit", ("fail", "/nowhere cannot be written")),
        ("limits: {connections: none}\n", "settings", ("fail", "")),
    ],
)
def test_settings_that_leave_something_open(
    vigie: Callable[..., Done],
    home: Path,
    settings: str,
    about: str,
    expected: tuple[str, str],
) -> None:
    """Each in a line of its own, whose end says what to do."""
    set_up(home, settings)
    found = told(ask(vigie, home), about)

    assert expected[0] in [level for level, _, _ in found]
    assert any(
        level == expected[0] and what.startswith(expected[1]) and todo
        for level, what, todo in found
    )


def test_lines_for_people(vigie: Callable[..., Done], home: Path) -> None:
    """A level, what it is about, what it is; what to do next below it; a sum at the end."""
    set_up(home, "mode: observe\n")
    done = vigie("doctor", "--config", str(home / "vigie.yaml"))
    lines = done.out.splitlines()

    at = lines.index("warn  mode          observe: nothing is refused, cut or masked")
    assert lines[at + 1].strip() == "next: when observing is over: mode: enforce"
    assert re.fullmatch(r"\d+ ok, \d+ warn, 0 fail", lines[-1])
