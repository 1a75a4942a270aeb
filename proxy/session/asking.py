"""Statements as questions: each may tell a bit about somebody, whatever its result looks like.

A count with a predicate, an EXISTS, a number of changed rows, an error or the time it took: the
answer names nobody, but enough of them spell a NIR. So each is charged before it is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.meter.ledger import Charge
from proxy.session.commands import Attributed
from proxy.session.decisions import PASSES, Decision
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Kind, StatementFacts
from proxy.terms.finding import Action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.session.state import State

ANY_CLASS: Final[frozenset[ColumnClass]] = frozenset()
_DISCLOSING: Final = frozenset({ColumnClass.IDENTITY, ColumnClass.QUASI, ColumnClass.UNKNOWN})
# These run nothing: what they prepare or open is charged when it is run.
_LATER: Final = frozenset({Kind.PREPARE, Kind.DEALLOCATE, Kind.CLOSE, Kind.DECLARE})


class Asking:
    """Charges the statements of a message before it goes to the backend."""

    def __init__(self, state: State) -> None:
        self._state = state

    def decide(self, statements: Sequence[StatementFacts]) -> Decision:
        """Judge what is going to run, and charge it if it may; return what becomes of it."""
        state = self._state
        judged = state.decisions.decide(statements, state.out)
        if judged.refusal is not None:
            return judged
        for facts in () if state.has_asked else statements:
            if facts.kind not in _LATER and facts.reads_subjects:
                if state.naming:
                    state.out.append(Attributed(state.naming))
                decision = self._charge(facts)
                if decision is not PASSES:
                    return decision
        return PASSES

    def _charge(self, facts: StatementFacts) -> Decision:
        state = self._state
        try:
            account = state.account.for_result(ANY_CLASS, facts.subject_relations)
            budget = account.admit(asked_charge(facts), state.now)
            for one in account.overruns():
                state.decisions.spend(one, facts, state.out)
        except Exception as error:  # noqa: BLE001 - fail closed
            refusal = state.decisions.failed("meter", error, facts, state.out)
            return PASSES if refusal is None else Decision(refusal)
        if budget is None:
            return PASSES
        refusal = state.decisions.spend(budget, facts, state.out)
        if not state.context.enforces:
            return PASSES
        return Decision(refusal, terminates=budget.action is Action.TERMINATE)


def asked_charge(facts: StatementFacts) -> Charge:
    """Return what it costs to ask, whatever the answer is."""
    return Charge(statements=1, questions=int(names_nobody(facts)))


def names_nobody(facts: StatementFacts) -> bool:
    """Whether the result of a statement about subjects discloses none, so that it costs none."""
    classes = facts.classes
    if facts.opaque is not None or not _DISCLOSING.isdisjoint(classes):
        return False
    names_keys = ColumnClass.KEY in classes or bool(facts.key_filters)
    return not (ColumnClass.HEALTH in classes and names_keys)
