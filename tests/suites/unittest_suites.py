"""Suites run by unittest, psycopg2's and Django's; a part is one test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.suites.fetched import packages, sources
from tests.suites.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.suites.outcome import Outcomes
    from tests.suites.place import Place

_SECONDS: Final = 3600
_RECORDING: Final = """\
import json, os, unittest
class Recording(unittest.TextTestResult):
    ran = []
    def startTest(self, test):
        super().startTest(test)
        self.ran.append(test.id())
    def stopTestRun(self):
        super().stopTestRun()
        found = dict.fromkeys(self.ran, "")
        for test, _ in self.skipped:
            found.pop(test.id(), None)
        for test, said in [*self.errors, *self.failures]:
            found[getattr(test, "test_case", test).id()] = said
        with open(os.environ["RECORD"], "w") as file:
            json.dump(found, file)
"""
_PSYCOPG2: Final = """\
import unittest, recording, tests
unittest.TextTestRunner(resultclass=recording.Recording, verbosity=0).run(tests.test_suite())
"""
_DJANGO: Final = """\
import os
from django.test.runner import DiscoverRunner
from recording import Recording
class Runner(DiscoverRunner):
    def get_resultclass(self):
        return Recording
def database(name):
    return {"ENGINE": "django.db.backends.postgresql", "NAME": name,
            "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"],
            "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"]}
DATABASES = {name: database(name) for name in ("default", "other")}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SECRET_KEY = "none"
TEST_RUNNER = "settings.Runner"
USE_TZ = False
"""
# what says SQL of its own kind; the rest of Django's suite says the same again
_APPLICATIONS: Final = (
    *("aggregation", "annotations", "backends", "basic", "bulk_create", "constraints"),
    *("db_functions", "delete", "expressions", "get_or_create", "inspectdb", "introspection"),
    *("lookup", "migrations", "postgres_tests", "prefetch_related", "queries", "schema"),
    *("select_for_update", "transactions", "update"),
)


def psycopg2(place: Place) -> Outcomes:
    """The suite of psycopg2, which puts values into the text itself."""
    name = "psycopg2_test"
    made = {"postgres": f"create database {name}", name: "create extension hstore"}
    for database, text in made.items():
        subprocess.run(
            [place.binaries.path("psql"), "-qXc", text],
            check=True,
            env={**place.environment, "PGDATABASE": database},
        )
    where = {"": name, "_HOST": "PGHOST", "_PORT": "PGPORT", "_USER": "PGUSER"}
    asked = {
        f"PSYCOPG2_TESTDB{key}": place.environment.get(value, value) for key, value in where.items()
    }
    asked["PSYCOPG2_TESTDB_PASSWORD"] = place.password
    return _recorded(place, sources("psycopg2"), ["-c", _PSYCOPG2], asked)


def django(place: Place) -> Outcomes:
    """Those applications of Django's suite that are about databases."""
    (_home(place) / "settings.py").write_text(_DJANGO)
    options = ("--settings=settings", "--parallel=1", "--noinput", "-v0")
    return _recorded(
        place, sources("django") / "tests", ["runtests.py", *options, *_APPLICATIONS], {}
    )


def _recorded(
    place: Place, folder: Path, command: list[str], environment: Mapping[str, str]
) -> Outcomes:
    home = _home(place)
    (home / "recording.py").write_text(_RECORDING)
    record = home / "record.json"
    done = subprocess.run(
        [sys.executable, *command],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=_SECONDS,
        env={
            **place.environment,
            **environment,
            "RECORD": str(record),
            "PYTHONPATH": os.pathsep.join(map(str, (home, packages()))),
        },
    )
    if not record.is_file():
        return {"(all)": Outcome(passed=False, output=done.stdout[-3000:] + done.stderr[-3000:])}
    found = json.loads(record.read_text())
    return {name: Outcome(passed=not said, output=said) for name, said in found.items()}


def _home(place: Place) -> Path:
    home = place.folder / "unittest"
    home.mkdir(exist_ok=True)
    return home
