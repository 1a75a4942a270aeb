"""Runs a case direct and through a Vigie of its own, and says what came of it."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import re
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from prometheus_client.parser import text_string_to_metric_families

from proxy.demo.vigie_process import SITE, VigieProcess
from proxy.policy import load_policy
from proxy.settings import read_policy_files, read_settings
from proxy.terms.budget import Measure
from tests.score.attacker import SILENT, Target, attack
from tests.score.frontend import ClosedError, Frontend, Received, fields
from tests.score.leak import patients_received
from tests.score.model import AttackResult, BenignResult, Judged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from proxy.policy import Policy
    from tests.score.cases import Attack, Benign
    from tests.score.laboratory import Laboratory

_SAID: Final = re.compile(r"(?:Rule|Budget) (\w+), finding (\w+)")
_STATISTICS_DRIFT: Final = 0.25  # of the patients that an attack found when it was written
_FEW_ROWS: Final = 3  # of statistics views: what other sessions are doing
_ROWS_DRIFT: Final = 0.02


@contextmanager
def running_vigie(laboratory: Laboratory, site: Path = SITE) -> Iterator[VigieProcess]:
    """Start a Vigie that enforces, with all its budgets unspent."""
    with tempfile.TemporaryDirectory(prefix="vigie-score-") as folder:
        process = VigieProcess(laboratory.port, Path(folder), site=site)
        process.start()
        try:
            yield process
        finally:
            process.stop()


class Vigies:
    """Gives each attack a Vigie with unspent budgets: the last one, if nothing was charged to it.

    A context manager.
    """

    def __init__(self, laboratory: Laboratory, site: Path = SITE) -> None:
        self._laboratory = laboratory
        self._site = site
        self._stack = contextlib.ExitStack()
        self._last: VigieProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def fresh(self) -> VigieProcess:
        """Return a running Vigie of whose budgets nothing is used."""
        if self._last is None or not self._last.is_running or _is_used(self._last):
            self._stack.close()
            self._last = self._stack.enter_context(running_vigie(self._laboratory, self._site))
        return self._last


def judged_by(vigie: VigieProcess) -> Judged:
    """Return how many statements it has judged so far."""
    counts = dict.fromkeys(("vigie_statements", "vigie_opaque_statements"), 0.0)
    for family in text_string_to_metric_families(vigie.metrics()):
        if family.name in counts:
            counts[family.name] += sum(
                sample.value for sample in family.samples if sample.name.endswith("_total")
            )
    return Judged(*map(int, counts.values()))


def _is_used(vigie: VigieProcess) -> bool:
    families = text_string_to_metric_families(vigie.metrics())
    return any(
        sample.value > 0
        for family in families
        if family.name == "vigie_budget_usage_ratio"
        for sample in family.samples
    )


def load_site(site: Path = SITE) -> Policy:
    """Return the policy that ``running_vigie`` enforces."""
    settings = read_settings(None, {}, {"site": site})
    return load_policy(read_policy_files(settings), today=datetime.now(tz=UTC).date())


def budget_of(policy: Policy, roles: Iterable[str]) -> int | None:
    """Return how many patients these roles may receive together; None: any number."""
    total = 0
    for role in roles:
        limits = [b.limit for b in policy.budgets_for(role) if b.measure is Measure.SUBJECTS]
        known = [limit for limit in limits if limit is not None]
        if not known:
            return None
        total += min(known)
    return total


def judge_attack(
    case: Attack, laboratory: Laboratory, policy: Policy, file: Path, vigie: VigieProcess
) -> AttackResult:
    """Carry an attack out twice; ``file``: one that the database may write."""
    began = time.monotonic()
    known = len(audit_records(vigie))
    direct, _, before = _attempt(case, laboratory, laboratory.port, file)
    found, received, ended = _attempt(case, laboratory, vigie.port, file)
    rule, finding, message = _first_refusal(received)
    budget = budget_of(policy, case.roles)
    fault = _ill(vigie) or (SILENT if SILENT in {before, ended} else "")
    if abs(direct - case.patients_leaked) > _STATISTICS_DRIFT * case.patients_leaked:
        fault = f"finds {direct} patients directly, {case.patients_leaked} expected"
    elif budget is not None and found > budget:
        fault = f"{found} patients left, budget {budget}"
    return AttackResult(
        id=case.id,
        technique=case.technique,
        title=case.title,
        role=case.role,
        direct=direct,
        leaked=found,
        budget=budget,
        stopped_by=rule,
        finding=finding,
        message=message or ended,
        findings=findings_of(audit_records(vigie)[known:]),
        seconds=round(time.monotonic() - began, 2),
        fault=fault,
    )


def _attempt(
    case: Attack, laboratory: Laboratory, port: int, file: Path
) -> tuple[int, Received, str]:
    file.unlink(missing_ok=True)
    laboratory.execute(case.setup)
    try:
        received, ended = attack(case, Target(laboratory, port, file))
        return patients_received(case, received, laboratory, file), received, ended
    finally:
        laboratory.clean_up(case.cleanup)


def _first_refusal(received: Received) -> tuple[str, str, str]:
    """Return rule, finding and message of the first error that is Vigie's, else of the first."""
    errors = [fields(body) for body in received.errors]
    for error in errors:
        if said := _SAID.search(error.get("D", "")):
            return said[1], said[2], error.get("M", "")
    return "", "", errors[0].get("M", "")[:120] if errors else ""


def audit_records(vigie: VigieProcess) -> list[dict[str, object]]:
    """Return what the audit log holds so far."""
    if not vigie.audit.exists():
        return []
    return [json.loads(line) for line in vigie.audit.read_text("ascii").splitlines()]


def findings_of(records: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Return the ids of rules and budgets that records name, each once."""
    found: list[str] = []
    for record in records:
        each = record["findings"]
        assert isinstance(each, list)
        found += [finding["rule"] for finding in each]
    return tuple(dict.fromkeys(found))


def _ill(vigie: VigieProcess) -> str:
    if not vigie.is_running:
        return "vigie ended"
    return "vigie logged a traceback" if "Traceback" in vigie.log else ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a piece of work gave: SQLSTATEs, number of rows, and their content in any order."""

    errors: tuple[str, ...]
    rows: int
    content: str

    def resembles(self, other: Outcome) -> bool:
        """Whether they differ no more than two looks at running statistics do."""
        few = max(_FEW_ROWS, int(self.rows * _ROWS_DRIFT))
        return self.errors == other.errors and abs(self.rows - other.rows) <= few


def judge_benign(case: Benign, laboratory: Laboratory, vigie: VigieProcess) -> BenignResult:
    """Do the work directly, through Vigie and directly again."""
    before = _work(case, laboratory, laboratory.port)
    known = len(audit_records(vigie))
    through = _work(case, laboratory, vigie.port)
    records = audit_records(vigie)[known:]
    after = _work(case, laboratory, laboratory.port)
    findings = findings_of(record for record in records if record["verdict"] != "allow")
    touched, detail = "", ""
    if through.errors not in {before.errors, after.errors}:
        touched, detail = "blocked", f"{', '.join(through.errors)}; direct {before.errors}"
    elif not _same(before, through, after):
        touched, detail = "changed", f"{through.rows} rows, direct {before.rows}"
    elif findings:
        touched = "flagged"
    if ill := _ill(vigie):
        touched, detail = "blocked", ill
    return BenignResult(
        id=case.id,
        category=case.category,
        title=case.title,
        role=case.role,
        expected=case.expected,
        touched=touched,
        findings=findings,
        detail=detail,
    )


def _same(before: Outcome, through: Outcome, after: Outcome) -> bool:
    """Whether the middle one is as the others; what changes by itself need only resemble them."""
    if through in {before, after}:
        return True
    return before != after and (through.resembles(before) or through.resembles(after))


def _work(case: Benign, laboratory: Laboratory, port: int) -> Outcome:
    received = Received()
    errors: list[str] = []
    content: collections.Counter[bytes] = collections.Counter()
    try:
        with Frontend(port, case.role, laboratory.database, received, case.startup) as frontend:
            for step in case.statements:
                if isinstance(step, str):
                    send = frontend.extended if case.protocol == "extended" else frontend.query
                    send(step)
                elif "external" in step:
                    _dump(step, laboratory, port, received)
                else:
                    frontend.extended(step["sql"], step.get("params", ()))
    except (ClosedError, ConnectionError) as error:
        errors.append(type(error).__name__)
    errors += [fields(body).get("C", "") for body in received.errors]
    content.update(received.rows + received.copied + received.tags)
    digest = hashlib.sha256(repr(sorted(content.items())).encode()).hexdigest()
    return Outcome(tuple(errors), len(received.rows) + len(received.copied), digest)


def _dump(step: Mapping[str, str], laboratory: Laboratory, port: int, received: Received) -> None:
    data = "patient" in step["external"]
    options = ["-t", "lab.patient", "--data-only"] if data else ["--schema-only"]
    done = laboratory.pg_dump(port, step["user"], *options)
    received.copied += done.stdout.split(b"\n")
    if done.returncode:
        received.errors.append(b"C" + b"pg_dump: " + done.stderr[-200:] + b"\0")
