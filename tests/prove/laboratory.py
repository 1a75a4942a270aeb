"""A small laboratory whose patients carry marks, its roles, and a Vigie with small budgets."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.demo.vigie_process import SITE, VigieProcess
from tests.prove import oracle
from tests.score.laboratory import Laboratory, opened_laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENTS: Final = 40
BUDGET: Final = 6
# Rules on the shape of statements only say what they see: what is proved is the counting. Those
# on side doors, staging and code stay: without them data would leave from elsewhere.
_SHAPES: Final = ("EX101", "EX102", "EX103", "EX104", "EX105", "EX106", "EX109", "EX903")
_SITE: Final = """\
format: 1
overrides:
  EX201: {limit: %d, why: small enough to be exceeded by a few statements}
%s"""
_SHAPE: Final = "  %s: {mode: observe, why: the budget alone shall hold}\n"
# Every rule only says what it sees, and budgets are out of reach: the masks alone hold.
_MASKED_SITE: Final = """\
format: 1
rules:
  - id: EX599
    title: Nothing of anybody
    severity: info
    when: {role: {matches: "prove_*"}}
    mask: [{classes: [quasi], how: whole}, {classes: [identity, health], how: %s}]
    explain: shows nobody
    why: The masks alone shall hold.
overrides:
  EX201: {limit: 1000000, why: the masks alone shall hold}
  EX202: {limit: 1000000000, why: the masks alone shall hold}
  EX203: {limit: 1000000, why: the masks alone shall hold}
  EX204: {limit: 1000000, why: the masks alone shall hold}
"""
_OBSERVED: Final = "  %s: {mode: observe, why: the masks alone shall hold}\n"
_RULE_ID: Final = re.compile(r"^  - id: (EX[0-9]+)$", re.MULTILINE)
_IDENTITIES: Final = """
delete from lab.audit where id > 120;
delete from lab.resultat_urgent where id > 100000120;
delete from only lab.resultat where id % 3 <> 0;
update lab.patient p set nir = m.nir, last_name = 'L' || m.mark, first_name = 'F' || m.mark,
  address = '1 rue A' || m.mark, city = 'C' || m.mark, mutuelle = 'M' || m.mark,
  phone = m.phone, email = m.mark || '@example.test', birth_date = m.birth_date::date, sex = 'F',
  postcode = '35000'
from planted.marks m where m.id = p.id;
update lab.audit a set detail = jsonb_build_object('nom', 'L' || m.mark, 'nir', m.nir)
from planted.marks m where m.id = a.patient_id;
update lab.commentaire_pathologie r set texte = 'T' || m.health from planted.marks m
where m.id = r.patient_id;
update lab.resultat r set value_text = 'R' || m.health from planted.marks m
where m.id = r.patient_id;
update lab.prescription r set renseignements = 'P' || m.health from planted.marks m
where m.id = r.patient_id;
update lab.facture r set acte_codes = array['A' || m.health] from planted.marks m
where m.id = r.patient_id;
refresh materialized view lab.mv_patient;
"""


class PlantedLaboratory:
    """The database and who is in it.

    Roles are made one for each sequence, each with the rights of the application and, having no
    budget of its own, with that of whoever has none.
    """

    def __init__(self, laboratory: Laboratory) -> None:
        self.laboratory = laboratory
        self.oracle = oracle.Oracle(PATIENTS)
        self._numbers = itertools.count(1)
        self._run = laboratory.superuser.execute
        self._tables = self._plant()

    def new_role(self) -> str:
        """Make a role that has received nothing yet."""
        role = f"prove_{next(self._numbers)}"
        self._run(f"create role {role} login in role lims_app".encode())
        self._run(f"alter role {role} set statement_timeout = '5s'".encode())
        return role

    def restore(self) -> None:
        """Put back what statements have changed, and drop what they have made."""
        self._run(b"drop schema if exists staging cascade; create schema staging")
        self._run(b"grant usage, create on schema staging to lims_app")
        self._run(f"truncate {', '.join(f'lab.{t}' for t in self._tables)} cascade".encode())
        for table in self._tables:
            self._run(f"insert into lab.{table} select * from planted.{table}".encode())
        self._run(b"refresh materialized view lab.mv_patient")

    def _plant(self) -> list[str]:
        """Give every row of every patient its mark; returns the tables that hold some."""
        self._run(b"set session_replication_role = replica")  # keys change everywhere at once
        self._run(b"create schema planted")
        self._run(
            b"create table planted.marks (id bigint, nir text, mark text, health text, phone text,"
            b" birth_date text)"
        )
        rows = [
            (number, oracle.nir(n), oracle.mark(n), oracle.health_mark(n), oracle.phone(n),
             oracle.birth_date(n))
            for number, n in self.oracle.ids.items()
        ]  # fmt: skip
        with self.laboratory.superuser.cursor() as cursor:
            cursor.executemany(b"insert into planted.marks values (%s, %s, %s, %s, %s, %s)", rows)
        found = self._run(
            b"select c.relname from pg_attribute a join pg_class c on c.oid = a.attrelid"
            b" where a.attname = 'patient_id' and c.relkind = 'r'"
            b" and c.relnamespace = 'lab'::regnamespace"
        ).fetchall()
        tables = sorted(str(table) for (table,) in found)
        shift = f"{oracle.FIRST_ID} + {oracle.ID_STEP} * ("
        self._run(f"update lab.patient set id = {shift}id - 1)".encode())
        for table in tables:
            self._run(f"update only lab.{table} set patient_id = {shift}patient_id - 1)".encode())
        self._run(_IDENTITIES.encode())
        tables = [*tables, "patient"]
        for table in tables:
            only = f"create table planted.{table} as select * from only lab.{table}"
            self._run(only.encode())
        return tables


@contextmanager
def opened() -> Iterator[PlantedLaboratory]:
    """Start the PostgreSQL and plant the patients."""
    with opened_laboratory(PATIENTS) as (laboratory, _):
        yield PlantedLaboratory(laboratory)


class KeptVigie(VigieProcess):
    """A Vigie whose usage outlives it, in a state file beside its logs."""

    def __init__(self, upstream: int, folder: Path, *, site: Path) -> None:
        # the later of two options wins
        super().__init__(upstream, folder, options=["--state", str(folder / "state")], site=site)

    def restart(self, *, kill: bool) -> None:
        """End it as an orchestrator does, or by SIGKILL at whatever it is doing; start it anew."""
        if kill:
            os.kill(self.process_number, signal.SIGKILL)
        self.stop()
        self.start()


@contextmanager
def running_vigie(
    laboratory: Laboratory, *, shapes: bool = False, masks: str | None = None
) -> Iterator[KeptVigie]:
    """Start a Vigie.

    ``shapes``: the rules on the shape of statements refuse as shipped. ``masks``: all that is of a
    patient is masked so, and no rule and no budget stands in the way of anybody.
    """
    with tempfile.TemporaryDirectory(prefix="vigie-prove-") as name:
        folder = Path(name)
        site = folder / "site"
        shutil.copytree(SITE, site)
        if masks:
            text = _MASKED_SITE % masks + "".join(_OBSERVED % rule for rule in _shipped_rules())
        else:
            observed = "" if shapes else "".join(_SHAPE % rule for rule in _SHAPES)
            text = _SITE % (BUDGET, observed)
        (site / "prove.yaml").write_text(text)
        process = KeptVigie(laboratory.port, folder, site=site)
        process.start()
        try:
            yield process
        finally:
            process.stop()


def _shipped_rules() -> list[str]:
    """Return the ids of all rules that are shipped."""
    texts = [path.read_text("utf-8") for path in (SITE.parents[1] / "base").glob("*.yaml")]
    rules = [text[text.index("rules:") :].partition("budgets:")[0] for text in texts
             if "rules:" in text]  # fmt: skip
    return [found for text in rules for found in _RULE_ID.findall(text)]


def examine(vigie: VigieProcess) -> None:
    """See that a Vigie is well. Errors: AssertionError with the end of its log."""
    assert vigie.is_running, f"vigie ended:\n{vigie.log[-4000:]}"
    assert "Traceback" not in vigie.log, vigie.log[-4000:]
    assert "internal error" not in vigie.log, vigie.log[-4000:]
