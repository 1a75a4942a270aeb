"""From a text to facts and a judgement; an error of ours on the way is a refusal."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from proxy.audit.record import AuditRecord, Charged, RecordKind
from proxy.policy import judge
from proxy.policy.drift import DISCLOSING
from proxy.policy.masking import HINT, masking_of
from proxy.session.commands import Analysed, Emit, InternalFault, Judged, WasCut
from proxy.session.refusal import Refusal, by_budget, by_error, by_finding, by_spent
from proxy.terms.budget import Method
from proxy.terms.facts import Kind, StatementFacts
from proxy.terms.finding import Action, Finding, Judgement, Severity
from proxy.terms.order import ORDER_RULE, order_title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from proxy.policy.drift import Drift
    from proxy.session.commands import Command
    from proxy.session.context import Context
    from proxy.session.results import Result
    from proxy.sql import Catalog
    from proxy.terms.behalf import Behalf
    from proxy.terms.budget import Budget
    from proxy.terms.mask import Masking
    from proxy.terms.order import WorkOrder
    from proxy.terms.principal import Principal

_INTERNAL: Final = "internal"
_MOST_DRIFT: Final = 32  # findings in one record
_JUDGEMENT_BYTES: Final = 512  # what one takes in the cache, about
ERROR_FINDING: Final = Finding(
    "EX000", "Error of Vigie", Severity.CRITICAL, Action.BLOCK, 100, "Vigie failed on it"
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one message. ``refusal`` None: it passes."""

    refusal: Refusal | None = None
    terminates: bool = False


PASSES: Final = Decision()


class Decisions:
    """Judges the statements of one principal and tells of it by commands."""

    def __init__(
        self,
        context: Context,
        session_id: str,
        principal: Principal,
        order_of: Callable[[StatementFacts], WorkOrder | None] = lambda _facts: None,
    ) -> None:
        self.principal = principal
        self._order_of = order_of
        self._context = context
        self._session_id = session_id
        self._acting = principal  # with for whom
        self.hides = False  # a mask was in force for some statement: texts may tell what it hides

    def act_for(self, behalf: Behalf) -> None:
        """From now on judge and record what is done as done for these."""
        self._acting = replace(self.principal, behalf=behalf)

    def masking_of(self, facts: StatementFacts) -> Masking | None:
        """Return what is to be masked of a statement's result; None: nothing of any."""
        context = self._context
        if not context.policy.masks or not context.enforces or self._order_of(facts) is not None:
            return None
        masking = masking_of(context.policy, self._acting, facts)
        self.hides |= masking is not None and masking.reaches
        return masking

    def unmaskable(
        self, rule: str, obstacle: str, facts: StatementFacts, out: list[Command]
    ) -> Refusal:
        """Tell that a result cannot be masked, and return what to say in its place."""
        finding = Finding(
            rule, "Mask that does not fit", Severity.MEDIUM, Action.BLOCK, 0, obstacle, hint=HINT
        )
        record = self._cut_record(finding, facts, None)
        out.append(Emit(record))
        return by_finding(record.finding_id, finding, 0)

    def facts_of(
        self,
        text: bytes,
        encoding: str,
        catalog: Catalog | None,
        *,
        conforming: bool,
        out: list[Command],
    ) -> tuple[StatementFacts, ...]:
        """Return the facts of each statement of a text. Errors: none."""
        context = self._context
        began = context.stopwatch()
        try:
            found = context.analyser.analyse(
                text,
                encoding=encoding,
                catalog=catalog,
                standard_conforming_strings=conforming,
            )
        except Exception as error:  # noqa: BLE001 - fail closed
            out.append(_fault("analysis", error))
            return (StatementFacts(Kind.OPAQUE, opaque=f"{_INTERNAL} {type(error).__name__}"),)
        out.append(Analysed(context.analyser.found_by, context.stopwatch() - began))
        if (found[0].opaque or "").startswith(_INTERNAL):
            out.append(InternalFault("analysis", found[0].opaque or ""))
        return found

    def decide(self, statements: Sequence[StatementFacts], out: list[Command]) -> Decision:
        """Judge the statements of one message; the strongest verdict is that of all of them."""
        worst = PASSES
        for facts in statements:
            self.masking_of(facts)
            judgement, failed = self._judge(facts, out)
            out.append(Judged(facts, judgement))
            blocks = judgement.verdict >= Action.BLOCK
            if not judgement.findings and not blocks:
                continue
            finding_id = self._context.new_id()
            carried_out = self._context.enforces and blocks
            out.append(Emit(self._record(finding_id, facts, judgement, carried_out=carried_out)))
            if carried_out and worst.refusal is None:
                refusal = by_finding(finding_id, judgement.decisive, judgement.score)
                worst = Decision(
                    by_error(finding_id) if failed else refusal,
                    terminates=judgement.verdict is Action.TERMINATE,
                )
        return worst

    def cut(
        self, budget: Budget, facts: StatementFacts, result: Result, out: list[Command]
    ) -> Refusal:
        """Tell that a budget is spent, and return what to say to the frontend."""
        charge = Charged(result.plan.method, budget.id, budget.measure, result.rows)
        record = self._cut_record(_of_budget(budget), facts, charge)
        out.append(Emit(record))
        if budget.action >= Action.BLOCK:
            out.append(WasCut(budget.id))
        return by_budget(record.finding_id, budget)

    def spend(self, budget: Budget, facts: StatementFacts, out: list[Command]) -> Refusal:
        """Tell that a budget of statements is spent, and return what to say to the frontend."""
        charge = Charged(Method.FREE, budget.id, budget.measure, 1)
        record = self._cut_record(_of_budget(budget), facts, charge)
        out.append(Emit(record))
        if budget.action >= Action.BLOCK:
            out.append(WasCut(budget.id))
        return by_spent(record.finding_id, budget)

    def overruns(
        self, budgets: Iterable[Budget], facts: StatementFacts, result: Result
    ) -> list[Command]:
        """Tell of budgets that only flag."""
        out: list[Command] = []
        for budget in budgets:
            self.cut(budget, facts, result, out)
        return out

    def drifted(self, found: Sequence[Drift], out: list[Command]) -> None:
        """Tell where the database does not fit the schema map, as this session read it."""
        context = self._context
        findings = tuple(_of_drift(one) for one in found[:_MOST_DRIFT])
        more = len(found) - len(findings)
        record = AuditRecord(
            at=0.0,
            finding_id=context.new_id(),
            session_id=self._session_id,
            principal=self.principal,
            kind=RecordKind.SCHEMA_DRIFT,
            verdict=Action.FLAG,
            mode=context.mode,
            policy=context.policy.version,
            carried_out=False,
            findings=findings,
            detail=f"and {more} more; vigie check --against shows all" if more else "",
        )
        out.append(Emit(record))

    def failed(
        self, where: str, error: Exception, facts: StatementFacts, out: list[Command]
    ) -> Refusal | None:
        """Tell of an error of ours in the middle of a result; return what to say if it ends it."""
        context = self._context
        passes = not context.enforces or context.on_internal_error is Action.ALLOW
        action = Action.FLAG if passes else ERROR_FINDING.action
        record = self._cut_record(replace(ERROR_FINDING, action=action), facts, None)
        out += (_fault(where, error), Emit(record))
        return None if passes else by_error(record.finding_id)

    def _judge(self, facts: StatementFacts, out: list[Command]) -> tuple[Judgement, bool]:
        failed = (facts.opaque or "").startswith(_INTERNAL)
        if failed and self._context.on_internal_error is Action.ALLOW:
            return Judgement(Action.FLAG, 0, (replace(ERROR_FINDING, action=Action.FLAG),)), True
        try:
            order = self._order_of(facts)
        except Exception as error:  # noqa: BLE001 - no order then, and the rules decide
            out.append(_fault("policy", error))
            order = None
        if order is not None:
            return Judgement(Action.ALLOW, 0, (_of_order(order),)), False
        try:
            judgement = self.judgement_of(facts)
        except Exception as error:  # noqa: BLE001 - fail closed
            out.append(_fault("policy", error))
            action = self._context.on_internal_error
            action = Action.FLAG if action is Action.ALLOW else action
            return Judgement(action, 100, (replace(ERROR_FINDING, action=action),)), True
        return judgement, failed

    def judgement_of(self, facts: StatementFacts) -> Judgement:
        """Return what the rules say of a statement that no work order allows. Errors: any."""
        known = self._context.judgements
        # rules that do not ask for whom it is hold for all alike
        principal = self._acting if self._context.policy.asks_for_whom else self.principal
        key = (principal, (facts.shape, facts.keys_named), facts.row_bound)
        judgement = None if facts.shape is None else known.get(key)
        if judgement is None:
            judgement = judge(self._context.policy, principal, facts)
            if facts.shape is not None:
                known.put(key, judgement, _JUDGEMENT_BYTES)
        return judgement

    def _cut_record(
        self, finding: Finding, facts: StatementFacts, charge: Charged | None
    ) -> AuditRecord:
        context = self._context
        carried_out = context.enforces and finding.action >= Action.BLOCK
        record = self._about(facts, RecordKind.CUT, finding.action, (finding,), context.new_id())
        return replace(record, carried_out=carried_out, charge=charge)

    def _record(
        self, finding_id: str, facts: StatementFacts, judgement: Judgement, *, carried_out: bool
    ) -> AuditRecord:
        starts = facts.kind is Kind.REPLICATION and not facts.text
        kind = RecordKind.CONNECTION if starts else RecordKind.STATEMENT
        record = self._about(facts, kind, judgement.verdict, judgement.findings, finding_id)
        return replace(record, carried_out=carried_out)

    def _about(
        self,
        facts: StatementFacts,
        kind: RecordKind,
        verdict: Action,
        findings: tuple[Finding, ...],
        finding_id: str,
    ) -> AuditRecord:
        context = self._context
        return AuditRecord(
            at=0.0,
            finding_id=finding_id,
            session_id=self._session_id,
            principal=self._acting,
            kind=kind,
            verdict=verdict,
            mode=context.mode,
            policy=context.policy.version,
            carried_out=False,
            findings=findings,
            fingerprint=facts.fingerprint,
            template=facts.template,
            relations=tuple(sorted(facts.relations)),
        )


def _of_budget(budget: Budget) -> Finding:
    return Finding(budget.id, budget.title, budget.severity, budget.action, 0, budget.explanation)


def _of_drift(drift: Drift) -> Finding:
    severity = Severity.HIGH if drift.kind in DISCLOSING else Severity.MEDIUM
    evidence = (("kind", drift.kind.value), ("place", drift.place))
    return Finding(
        "EX001", "Schema map does not fit", severity, Action.FLAG, 0, str(drift), evidence
    )


def _of_order(order: WorkOrder) -> Finding:
    return Finding(
        ORDER_RULE,
        order_title(order.id),
        Severity.INFO,
        Action.ALLOW,
        0,
        "is inside a work order",
        (("order", order.id), ("by", order.by)),
    )


def _fault(where: str, error: Exception) -> InternalFault:
    # a traceback holds lines of our source and no values
    shown = "".join(traceback.format_tb(error.__traceback__))
    return InternalFault(where, type(error).__name__, shown)
