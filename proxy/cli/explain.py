"""``vigie explain``: what Vigie would make of a text of SQL, and why."""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.text import Text

from proxy.cli.acting import acting
from proxy.cli.loading import load
from proxy.cli.marks import rows, text_and_marks
from proxy.cli.reading import read_statements
from proxy.cli.witnesses import disagrees, word_bound, word_columns, word_witnesses
from proxy.cli.wording import word_budget, word_charge
from proxy.errors import ConfigurationError
from proxy.policy import explain
from proxy.policy.masking import masking_of
from proxy.terms.finding import Action, Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.cli.live import Planned
    from proxy.cli.loading import Loaded
    from proxy.cli.marks import Mark
    from proxy.cli.options import Options
    from proxy.policy import Explanation
    from proxy.policy.explain import Held
    from proxy.terms.facts import StatementFacts
    from proxy.terms.mask import Masking
    from proxy.terms.principal import Principal
    from proxy.terms.schema_map import SchemaMap

REFUSED: Final = 3
STANDARD_INPUT: Final = "-"
NO_DATABASE: Final = "names are read without the database: by the schema map alone"
_NOTHING: Final = ("no", "none", "absent")
_WIDTH: Final = 100
_INDENT: Final = " " * 10
_COLOURS: Final = {
    Action.ALLOW: "bold green",
    Action.FLAG: "bold yellow",
    Action.BLOCK: "bold red",
    Action.TERMINATE: "bold red",
}


@dataclass(frozen=True, slots=True)
class _Told:
    """All that is told of one statement."""

    facts: StatementFacts
    explanation: Explanation
    text: str
    marks: tuple[Mark, ...]
    charge: str
    planned: Planned | None
    asked: bool  # names were resolved by a database
    masking: Masking | None

    @property
    def verdict(self) -> Action:
        return self.explanation.judgement.verdict


def explain_sql(
    sql: str,
    options: Options,
    *,
    role: str,
    database: str | None,
    as_json: bool,
    against: str | None = None,
    end_user: str | None = None,
) -> int:
    """Write the explanation of each statement; return 3 if one would be refused, else 0.

    Args:
        sql: the text; ``-`` for that of standard input.
        options: where settings and rules are.
        role: of the principal.
        database: of the principal; None: named as the role, as PostgreSQL does.
        as_json: write one JSON document.
        against: URL of a database whose catalog and planner are asked.
        end_user: for whom the principal acts; None: as the comment of the text says.

    Errors: ConfigurationError, also for a text that would end the session by its length.
    """
    loaded = load(options)
    raw = _read_sql(sql, loaded.settings.limits.max_statement_bytes)
    principal = acting(loaded.policy, role, database or role, raw, end_user)
    map_ = loaded.policy.schema_map
    facts_of_all, plans = _read(raw, map_, against)
    told = []
    for facts, planned in zip(facts_of_all, plans, strict=True):
        found = explain(loaded.policy, principal, facts)
        masking = masking_of(loaded.policy, principal, facts)
        hows = () if masking is None or masking.obstacle is not None else masking.columns
        charge = word_charge(facts, map_.bytes_per_subject, hows)
        marked = text_and_marks(raw, facts)
        told.append(
            _Told(
                facts,
                found,
                *marked,
                charge,
                planned,
                asked=against is not None,
                masking=masking,
            )
        )
    if as_json:
        document = _as_json(loaded, principal, told)
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    else:
        _show(loaded, principal, told)
    return REFUSED if any(one.verdict >= Action.BLOCK for one in told) else 0


def _read(
    raw: bytes, map_: SchemaMap, against: str | None
) -> tuple[tuple[StatementFacts, ...], Sequence[Planned | None]]:
    if against is None:
        found = read_statements(raw, map_)
        return found, [None] * len(found)
    from proxy.cli.live import plan_statements, read_catalog  # noqa: PLC0415 - brings a driver

    found = read_statements(raw, map_, read_catalog(against, map_))
    return found, plan_statements(against, found)


def _read_sql(sql: str, max_bytes: int) -> bytes:
    if sql == STANDARD_INPUT:
        raw = sys.stdin.buffer.read(max_bytes + 1)
    else:
        raw = sql.encode("utf-8", "surrogateescape")
    if len(raw) > max_bytes:
        raise ConfigurationError(
            [f"SQL: longer than {max_bytes} bytes, which ends a session (max_statement_bytes)"]
        )
    return raw


def _show(loaded: Loaded, principal: Principal, told: list[_Told]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    budgets = loaded.policy.budgets_for(principal.role)
    for number, one in enumerate(told, 1):
        if len(told) > 1:
            console.print(Text(f"statement {number} of {len(told)}", "bold"))
        for line in _source(one):
            console.print(line)
        console.print()
        for line in _verdict(one):
            console.print(line)
        for line in _facts(one):
            console.print(line)
        for name, value in _testimony(one):
            _pair(console, name, value)
        console.print()
    for_whom = f", for {principal.behalf.end_user}" if principal.behalf.end_user else ""
    _pair(console, "for", f"role {principal.role} on database {principal.database}{for_whom}")
    for name, budget in zip(["budgets", *[""] * len(budgets)], budgets, strict=False):
        _pair(console, name, f"{budget.id} {word_budget(budget)}")
    by = "names are read with the database's catalog" if told[0].asked else NO_DATABASE
    _pair(console, "policy", f"{loaded.policy.version}; {by}")
    if loaded.settings.mode is Mode.OBSERVE:
        _pair(console, "mode", "observe: verdicts are recorded, and nothing is refused or cut")


def _pair(console: Console, name: str, value: str) -> None:
    console.print(Text.assemble((f"{name:<10}", "bold"), value))


def _source(one: _Told) -> Iterator[Text]:
    """Yield the lines of the SQL with its marks under them."""
    shown = list(rows(one.text, one.marks))
    width = len(str(max((row.number or 0 for row in shown), default=0)))
    for row in shown:
        gutter = f"  {row.number or '':>{width}} | "
        if not row.what:
            yield Text.assemble((gutter, "dim"), row.text)
            continue
        carets = (f"{' ' * row.lead}{row.text} {row.what}", "yellow")
        yield Text.assemble((gutter, "dim"), carets)


def _verdict(one: _Told) -> Iterator[Text]:
    found = one.explanation
    verdict = one.verdict.name.lower()
    yield Text.assemble(
        (f"{'verdict':<10}", "bold"), (verdict, _COLOURS[one.verdict]), f": {found.because}"
    )
    score = found.judgement.score
    sum_ = found.sum if found.sum != str(score) else f"{score}, no rule that held has a weight"
    yield Text.assemble((f"{'score':<10}", "bold"), sum_)
    if not found.held:
        yield Text.assemble((f"{'rules':<10}", "bold"), "none held")
    for number, held in enumerate(found.held):
        yield from _rule(held, "" if number else "rules")


def _rule(held: Held, name: str) -> Iterator[Text]:
    finding = held.finding
    asks = [f"weight {finding.weight}"] if finding.weight else []
    asks += [f"asks for {finding.action.name.lower()}"] if finding.action else []
    head = ", ".join([str(finding.severity), *asks])
    yield Text.assemble(
        (f"{name:<10}", "bold"), (f"{finding.rule} {finding.title}", "bold"), f" ({head})"
    )
    yield Text(f"{_INDENT}  {finding.explanation}")
    yield Text(f"{_INDENT}  held as {', '.join(f'{n} is {v}' for n, v in finding.evidence)}")
    for line in textwrap.wrap(f"why: {held.why}", _WIDTH - len(_INDENT) - 2):
        yield Text(f"{_INDENT}  {line}", "dim")
    if held.exemption is not None:
        one = held.exemption
        yield Text(f"{_INDENT}  lifted by an exception of {one.owner} until {one.expires}", "green")


def _facts(one: _Told) -> Iterator[Text]:
    """Yield the facts that say something, then the names of the others."""
    facts = one.explanation.facts
    telling = [(name, value) for name, value in facts if value not in _NOTHING]
    width = max(len(name) for name, _ in telling) + 2
    for number, (name, value) in enumerate(telling):
        yield Text.assemble(("" if number else "facts").ljust(10), f"{name:<{width}}", value)
    for what in _NOTHING:
        names = ", ".join(name for name, value in facts if value == what)
        lines = textwrap.wrap(names, _WIDTH - len(_INDENT) - width)
        for number, line in enumerate(lines):
            yield Text(f"{_INDENT}{'' if number else what:<{width}}{line}", "dim")


def _testimony(one: _Told) -> Iterator[tuple[str, str]]:
    """Yield what the witnesses say, what each column carries, the bound and the charge."""
    words = word_witnesses(one.facts, asked=one.asked, planned=one.planned)
    for number, (name, said) in enumerate(words):
        yield "" if number else "witnesses", f"{name:<9}{said}"
    if one.facts.returns_rows and one.facts.opaque is None:
        columns = word_columns(one.facts, one.masking)
        width = max((len(name) for name, _ in columns), default=0) + 2
        for number, (name, carries) in enumerate(columns):
            yield "" if number else "columns", f"{name:<{width}}{carries}"
        yield "bound", word_bound(one.facts)
    yield "charge", one.charge


def _as_json(loaded: Loaded, principal: Principal, told: list[_Told]) -> dict[str, Any]:
    budgets = loaded.policy.budgets_for(principal.role)
    return {
        "policy": loaded.policy.version,
        "mode": loaded.settings.mode.value,
        "role": principal.role,
        "database": principal.database,
        "end_user": principal.behalf.end_user or None,
        "verdict": max(one.verdict for one in told).name.lower(),
        "statements": [_statement_as_json(one) for one in told],
        "budgets": [{"id": one.id, "allows": word_budget(one)} for one in budgets],
    }


def _statement_as_json(one: _Told) -> dict[str, Any]:
    found = one.explanation
    return {
        "text": one.text,
        "template": one.facts.template,
        "fingerprint": one.facts.fingerprint,
        "verdict": one.verdict.name.lower(),
        "because": found.because,
        "score": found.judgement.score,
        "sum": found.sum,
        "findings": [_held_as_json(held) for held in found.held],
        "facts": dict(found.facts),
        "marks": [{"start": m.start, "end": m.end, "what": m.what} for m in one.marks],
        "charge": one.charge,
        "bound": word_bound(one.facts),
        "columns": [{"name": n, "carries": c} for n, c in word_columns(one.facts, one.masking)],
        "witnesses": dict(word_witnesses(one.facts, asked=one.asked, planned=one.planned)),
        "disagreement": bool(one.facts.disagreements) or disagrees(one.facts, one.planned),
    }


def _held_as_json(held: Held) -> dict[str, Any]:
    finding, lifted = held.finding, held.exemption
    return {
        "rule": finding.rule,
        "title": finding.title,
        "severity": finding.severity.value,
        "action": finding.action.name.lower(),
        "weight": finding.weight,
        "explanation": finding.explanation,
        "evidence": dict(finding.evidence),
        "why": held.why,
        "exception": lifted and {"owner": lifted.owner, "expires": lifted.expires.isoformat()},
    }
