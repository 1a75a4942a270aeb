"""Suites of Python drivers, run by pytest; a part is one test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final

from tests.suites.fetched import packages, sources
from tests.suites.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.suites.outcome import Outcomes
    from tests.suites.place import Place

_SECONDS: Final = 1800
_PYTEST: Final = (
    *(sys.executable, "-m", "pytest", "-q", "--continue-on-collection-errors", "--timeout=180"),
    *(
        "-p",
        "no:asyncio",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "no:hypothesispytest",
    ),
)
_DIALECTS: Final = ("psycopg", "asyncpg", "pg8000")
_SETUP: Final = """\
[sqla_testing]
profile_file=profiles.txt
requirement_cls=sqlalchemy.testing.requirements:SuiteRequirements
[db]
"""


def asyncpg(place: Place) -> Outcomes:
    """The suite of asyncpg, at a running cluster."""
    folder = place.folder / "asyncpg"
    # without the package beside them, which is not compiled
    shutil.copytree(sources("asyncpg") / "tests", folder / "tests")
    return _pytest(place, folder, ["tests", "--ignore=tests/test__sourcecode.py"])


def pg8000(place: Place) -> Outcomes:
    """The suite of pg8000; its tests of authentication want a pg_hba.conf of their own."""
    folder = sources("pg8000")
    ignored = [f"--ignore={path.relative_to(folder)}" for path in folder.glob("test/*/auth")]
    # it has no configuration, and pytest would take this project's, further up
    options = ["--benchmark-disable", f"--config-file={os.devnull}", f"--rootdir={folder}"]
    return _pytest(place, folder, ["test", *options, *ignored], path=[folder / "src"])


def sqlalchemy(place: Place) -> Outcomes:
    """SQLAlchemy's suite for dialects, by three drivers."""
    found: dict[str, Outcome] = {}
    for driver in _DIALECTS:
        database = f"dialect_{driver}"
        _psql(place, f"create database {database}")
        _psql(place, "create schema test_schema", database)
        where = place.folder / database
        where.mkdir()
        (where / "test_suite.py").write_text("from sqlalchemy.testing.suite import *\n")
        (where / "setup.cfg").write_text(_SETUP)
        at = f"{place.environment['PGHOST']}:{place.port}/{database}"
        address = f"postgresql+{driver}://postgres:{place.password}@{at}"
        plugin = ("-p", "sqlalchemy.testing.plugin.pytestplugin")
        ran = _pytest(place, where, [*plugin, "test_suite.py", f"--dburi={address}"])
        found |= {f"{driver}/{name}": outcome for name, outcome in ran.items()}
    return found


def _psql(place: Place, text: str, database: str = "postgres") -> None:
    subprocess.run(
        [place.binaries.path("psql"), "-qXc", text],
        check=True,
        env={**place.environment, "PGDATABASE": database},
    )


def _pytest(
    place: Place, folder: Path, arguments: Sequence[str], *, path: Sequence[Path] = ()
) -> Outcomes:
    report = place.folder / f"{folder.name}.xml"
    environment = {
        **place.environment,
        "PYTHONPATH": os.pathsep.join(map(str, (*path, packages()))),
    }
    try:
        done = subprocess.run(
            [*_PYTEST, *arguments, f"--junit-xml={report}"],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
            env=environment,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        return {"(all)": Outcome(passed=False, output=f"no end after {_SECONDS} s: {error}")}
    if not report.is_file():
        shown = done.stdout[-3000:] + done.stderr[-3000:]
        return {"(all)": Outcome(passed=False, output=shown)}
    return dict(_cases(report))


def _cases(report: Path) -> Mapping[str, Outcome]:
    found = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest has just written it
        name = f"{case.get('classname')}::{case.get('name')}"
        wrong = [*case.iter("failure"), *case.iter("error")]
        skipped = [*case.iter("skipped")]
        output = "\n".join(one.text or one.get("message") or "" for one in (*wrong, *skipped))
        # a test that is skipped proves nothing: one that is skipped through Vigie alone failed
        found[name] = Outcome(passed=not wrong and not skipped, output=output)
    return found
