"""Facts over time: what a principal's statements are together, whatever each is alone.

Kept by principal, not by session: forty sessions of fifty statements are one walk.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy import accel
from proxy.meter.walk import MAX_CONSTANTS, NOWHERE, WALKS_BYTES, Walks
from proxy.session.bound_keys import bound_text
from proxy.session.noticing import notice, with_behaviour
from proxy.sql import reads_definitions
from proxy.sql.steps import Use, steps_of
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Parameter, StatementFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.meter.walk import Constant, Walked
    from proxy.session.state import State

_DISCLOSING: Final = frozenset({ColumnClass.IDENTITY, ColumnClass.UNKNOWN})
FEWEST_STEPS: Final = 8  # fewer are no walk to anybody, and would only make facts differ


class Following:
    """Follows the statements of a session's principal."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(
        self,
        text: bytes,
        statements: Sequence[StatementFacts],
        parameters: Sequence[bytes | None] = (),
        formats: Sequence[int] = (),
    ) -> list[StatementFacts]:
        """Return the facts with how far the walk has come that the statement is part of.

        Args:
            text: as sent; only of one statement it is known which constants are whose.
            statements: its facts.
            parameters: as bound.
            formats: of the parameters.
        """
        state = self._state
        if state.has_asked:
            return list(statements)
        tried, state.tried = state.tried, None
        if tried is not None and len(statements) == 1:
            _, walked, behaviour = tried
            return [with_behaviour(with_walked(statements[0], walked), behaviour)]
        walked = catalog = NOWHERE
        if len(statements) == 1:
            facts, bound = statements[0], (parameters, formats)
            if is_worth_following(facts):
                walked = self._walk(walks_of(state), text, facts, bound)
            elif reads_definitions(facts):
                catalog = self._walk(walks_of(state, "catalog "), text, facts, bound)
        steps = catalog.steps if catalog.steps >= FEWEST_STEPS else 0
        return [notice(state, with_walked(facts, walked), steps) for facts in statements]

    def _walk(
        self,
        walks: Walks,
        text: bytes,
        facts: StatementFacts,
        bound: tuple[Sequence[bytes | None], Sequence[int]],
    ) -> Walked:
        """Return how far a walk has come that this statement is part of."""
        decoded = decode_constants(text)
        template = accel.cut_literals(decoded)
        if template is None:
            return NOWHERE
        constants: list[Constant] = []
        for step in steps_of(decoded, template, MAX_CONSTANTS):
            value = step.value
            if isinstance(value, Parameter):
                value = bound_text(value, *bound)
            constants.append((value, step.use is Use.BEYOND))
        return walks.take(facts.fingerprint, constants, most_subjects(facts))


def decode_constants(text: bytes) -> str:
    """Return a text in which constants are looked for. Errors: none."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def walks_of(state: State, what: str = "") -> Walks:
    """Return the walks of a session's principal, through ``what``."""
    walks = state.context.walks
    key = what + state.decisions.principal.key
    found = walks.get(key)
    if found is None:
        found = Walks()
        walks.put(key, found, WALKS_BYTES)
    return found


def is_worth_following(facts: StatementFacts) -> bool:
    """Whether the result names subjects: a walk through anything else takes nobody along."""
    return facts.returns_rows and facts.reads_subjects and not _DISCLOSING.isdisjoint(facts.classes)


def most_subjects(facts: StatementFacts) -> int:
    """Return how many subjects the result can hold, as far as keys, LIMIT or the planner tell."""
    bounds = [facts.row_bound, facts.estimated_rows, facts.keys_named or None]
    known = [bound for bound in bounds if isinstance(bound, int)]
    return max(min(known, default=1), 1)


def with_walked(facts: StatementFacts, walked: Walked) -> StatementFacts:
    """Return the facts with how far the walk has come, if it is one."""
    if walked.steps < FEWEST_STEPS:
        return facts
    shape = None if facts.shape is None else (facts.shape, walked)
    return replace(facts, walk_steps=walked.steps, walked_subjects=walked.subjects, shape=shape)
