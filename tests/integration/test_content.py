"""Budgets of what identifies people, counted in the bytes that leave, whatever the schema says."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import psycopg
import pytest

from proxy.demo.nir import nir_key
from proxy.demo.vigie_process import SITE
from tests.fix_vigie import samples, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

ROLE = "biologist"
BUDGETS = f"""\
format: 1
patterns: ['dossier-[0-9]{{4}}']
budgets:
  - id: EX591
    title: NIRs
    severity: critical
    measure: nir
    roles: [{ROLE}]
    window_seconds: 3600
    limit: 5
    why: counted where no schema map says that there are any
  - id: EX592
    title: Dossiers
    severity: high
    measure: pattern
    roles: [secretary]
    window_seconds: 3600
    limit: 1
    why: the site's own numbers
"""
BODY = "2850578006084"
NIR = BODY + nir_key(BODY)
NAME = "select full_name from lab.app_user where id = 3"


@pytest.fixture
def named(lab: Lab) -> Iterator[psycopg.Connection]:
    """A column that no map names, which somebody has put other things into."""
    with lab.connect("postgres") as superuser:
        text = b"select full_name from lab.app_user where id = 3"
        (before,) = superuser.execute(text).fetchone() or ("",)
        yield superuser
        superuser.execute("update lab.app_user set full_name = %s where id = 3", [before])


@pytest.fixture
def counting(vigie: StartVigie, tmp_path: Path) -> VigieProcess:
    """A Vigie whose site has these budgets."""
    site = tmp_path / "site"
    shutil.copytree(SITE, site)
    (site / "content.yaml").write_text(BUDGETS)
    return vigie(site=site)


@pytest.mark.parametrize(
    "form", ["{}", "encode('{}'::bytea, 'hex')", "encode('{}'::bytea, 'base64')"]
)
def test_nirs_are_counted_where_nobody_expects_them(
    form: str, lab: Lab, named: psycopg.Connection, counting: VigieProcess
) -> None:
    """Statements that are free, and known to be, are looked at as well."""
    value = NIR
    if "(" in form:
        (value,) = named.execute(f"select {form.format(NIR)}".encode()).fetchone() or ("",)
    named.execute("update lab.app_user set full_name = %s where id = 3", [value])

    with lab.connect(ROLE, counting.port) as connection:
        for _ in range(5):
            assert connection.execute(NAME.encode()).fetchone() == (value,)
        with pytest.raises(psycopg.Error) as cut:
            connection.execute(NAME.encode())

    assert "Budget EX591" in str(cut.value.diag.message_detail)


def test_the_sites_patterns_are_counted(lab: Lab, counting: VigieProcess) -> None:
    """Also in the text of an error."""
    text = "select cast('dossier-' || '1234' as int)"

    with lab.connect("secretary", counting.port) as connection:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute(text.encode())
        with pytest.raises(psycopg.Error) as cut:
            connection.execute(text.encode())

    assert "Budget EX592" in str(cut.value.diag.message_detail)


def test_a_pattern_that_is_none_does_not_load(vigie: StartVigie, tmp_path: Path) -> None:
    """It is named with its line."""
    site = tmp_path / "site"
    shutil.copytree(SITE, site)
    (site / "content.yaml").write_text("format: 1\npatterns: ['(?=x)']\n")

    with pytest.raises(Exception, match=r"content.yaml:2:\d+: pattern '\(\?=x\)'"):
        vigie(site=site)


def test_a_budget_that_comes_with_sighup_counts(
    lab: Lab, vigie: StartVigie, named: psycopg.Connection, tmp_path: Path
) -> None:
    """In sessions that are open, and what the lane has learnt before."""
    site = tmp_path / "site"
    shutil.copytree(SITE, site)
    process = vigie(site=site)
    named.execute("update lab.app_user set full_name = %s where id = 3", [NIR])
    with lab.connect(ROLE, process.port) as connection:
        for _ in range(7):
            assert connection.execute(NAME.encode()).fetchone() == (NIR,)
        (site / "content.yaml").write_text(BUDGETS)
        os.kill(process.process_number, signal.SIGHUP)
        reloaded = 'vigie_reloads_total{outcome="loaded",what="policy"}'
        until(lambda: samples(process).get(reloaded, 0) == 1, "the policy to be read again")
        for _ in range(5):
            assert connection.execute(NAME.encode()).fetchone() == (NIR,)
        with pytest.raises(psycopg.Error) as cut:
            connection.execute(NAME.encode())

    assert "Budget EX591" in str(cut.value.diag.message_detail)
