"""The text of a message to facts, as the session would read it now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.session.commands import AskWorker

if TYPE_CHECKING:
    from proxy.session.state import State
    from proxy.terms.facts import StatementFacts


def read_text(state: State, text: bytes) -> tuple[StatementFacts, ...] | None:
    """Return the facts of a text as it would be read now; None: a worker has to read it first."""
    if state.awaited != text and not state.adopting:  # what has passed is read by its template
        task = state.context.analyser.parse_task(text, state.encoding)
        if task is not None:
            state.awaited, state.waits_for_worker = text, True
            state.out.append(AskWorker(text, task))
            return None
    state.awaited = None
    found = state.decisions.facts_of(
        text, state.encoding, state.catalog, conforming=state.conforming, out=state.out
    )
    found = state.context.orders.with_own_text(found, text, state.encoding)
    creates = {relation for facts in found for relation in facts.creates}
    sets = any(facts.changes_session for facts in found)
    catalog = state.catalog
    if len(found) > 1 and (creates or sets) and catalog is not None:
        # what the first changes, the next is read with
        changed = catalog.with_tainted(creates)
        found = state.decisions.facts_of(
            text,
            state.encoding,
            changed.with_search_path(None) if sets else changed,
            conforming=state.conforming,
            out=state.out,
        )
    return found
