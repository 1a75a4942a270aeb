"""How far a statement is from what its principal usually does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.sql import reads_definitions
from proxy.terms.behaviour import USUAL, Behaviour

if TYPE_CHECKING:
    from proxy.meter.habits import Habits
    from proxy.session.state import State
    from proxy.terms.facts import StatementFacts

# What an application says of names it knows is right: relation, column, function, syntax, schema.
_WRONG: Final = frozenset({b"42P01", b"42703", b"42883", b"42601", b"3F000"})
_SYNTAX: Final = "syntax"
FEWEST_TEMPLATES: Final = 3
FEWEST_WRONG: Final = 5
FEWEST_NAMES: Final = 10
SMALLEST_BURST: Final = 5
_MOST: Final = 640


def notice(state: State, facts: StatementFacts, catalog_steps: int) -> StatementFacts:
    """Take a statement that is about to be judged; return its facts with those over time.

    Args:
        state: of its session.
        facts: of the statement.
        catalog_steps: of a walk through definitions that it goes on with.
    """
    if (facts.opaque or "").startswith(_SYNTAX):
        note_wrong(state)
    reads, asks = facts.reads_subjects, reads_definitions(facts)
    if not reads and not asks:
        return facts
    habits, now = _habits(state), state.now
    templates = wrong = burst = new_names = 0
    is_new = is_off_hours = False
    if asks:
        habits.catalog.add(facts.fingerprint, now)
        templates = habits.catalog.count(now)
    if asks or facts.unknown_relations:
        wrong = habits.wrong.count(now)
    if reads:
        is_new = habits.templates.is_new(facts.fingerprint, now)
        burst, new_names = habits.asked(now), habits.new_names.count(now)
        is_off_hours = _is_off_hours(state)
    found = (
        catalog_steps,
        templates if templates >= FEWEST_TEMPLATES else 0,
        _coarse(wrong, FEWEST_WRONG),
        is_new,
        _coarse(burst, SMALLEST_BURST),
        is_off_hours,
        _coarse(new_names, FEWEST_NAMES),
    )
    return with_behaviour(facts, Behaviour(*found)) if any(found) else facts


def with_behaviour(facts: StatementFacts, found: Behaviour) -> StatementFacts:
    """Return the facts with how far the statement is from what is usual."""
    if found == USUAL:
        return facts
    shape = None if facts.shape is None else (facts.shape, found)
    return replace(facts, behaviour=found, shape=shape)


def note_error(state: State, sqlstate: bytes | None) -> None:
    """Take an error of the backend's own."""
    if sqlstate in _WRONG:
        note_wrong(state)


def note_wrong(state: State) -> None:
    """Note a statement with bad syntax, or with a name that does not exist."""
    _habits(state).wrong.add(state.now)


def note_received(state: State, rows: int) -> None:
    """Note rows about subjects that were released."""
    _habits(state).received(rows, state.now)


def note_new_name(state: State) -> None:
    """Note an end user who was never named before."""
    _habits(state).named(state.now)


def _habits(state: State) -> Habits:
    return state.context.habits_of(state.decisions.principal.key, state.now)


def _is_off_hours(state: State) -> bool:
    context = state.context
    if not context.policy.working_hours or context.wall is None:
        return False
    return context.policy.is_off_hours(state.decisions.principal.role, context.wall())


def _coarse(number: int, fewest: int) -> int:
    """Return a number in steps that double, so that few judgements differ by it; small ones 0."""
    if number < fewest:
        return 0
    step = fewest
    while step * 2 <= min(number, _MOST):
        step *= 2
    return step
