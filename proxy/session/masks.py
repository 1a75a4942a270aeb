"""Masks of a session: what becomes of its results, and of the texts beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.mask.plan import MaskPlan, plan_mask
from proxy.mask.rows import MaskError
from proxy.mask.texts import is_harmless, without_values
from proxy.sql.text import codec_of
from proxy.wire.backend import Tag
from proxy.wire.frames import Piece

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.session.refusal import Refusal
    from proxy.session.results import Result
    from proxy.session.state import State
    from proxy.terms.facts import StatementFacts
    from proxy.wire.backend import ResultColumn
    from proxy.wire.frames import Frame, Run


class Masks:
    """Says how each result is masked, and masks it."""

    def __init__(self, state: State) -> None:
        self._state = state

    def plan(
        self,
        facts: StatementFacts,
        columns: Sequence[ResultColumn],
        *,
        copies: bool = False,
    ) -> MaskPlan | None:
        """Return how a result of these columns is masked; None: it is not. ``copies``: by COPY."""
        state = self._state
        masking = state.decisions.masking_of(facts)
        if masking is None:
            return None
        return plan_mask(
            masking,
            facts,
            columns,
            state.catalog,
            codec=codec_of(state.encoding),
            secret=state.context.secret,
            copies=copies,
        )

    def undescribed(self, facts: StatementFacts) -> MaskPlan | None:
        """Return the plan for a result that nobody described; None: it need not be masked."""
        masking = self._state.decisions.masking_of(facts)
        if masking is None:
            return None
        return MaskPlan(masking, obstacle=masking.obstacle or "gives what was not described")

    def still_holds(self, mask: MaskPlan | None, facts: StatementFacts) -> bool:
        """Whether the rules ask for what a result was planned with: for whom it is may change."""
        return self._state.decisions.masking_of(facts) == (None if mask is None else mask.masking)

    def leaving(
        self, shape: Frame | Run | Piece, result: Result, facts: StatementFacts
    ) -> bytes | Refusal:
        """Return rows as they leave, or what to say in their place.

        Raises:
            WireError: the backend sent a damaged message.
        """
        mask = result.mask
        if mask is None:
            return shape.raw
        obstacle = mask.obstacle
        if obstacle is None and mask.masker is None:
            return shape.raw
        if obstacle is None and isinstance(shape, Piece):
            obstacle = "gives a row that is too large to be masked"
        if obstacle is None:
            try:
                return masked(result, shape.raw, shape.tag)
            except MaskError as error:
                obstacle = f"gives rows that cannot be masked: {error}"
        state = self._state
        return state.decisions.unmaskable(mask.masking.rule, obstacle, facts, state.out)

    def text(self, tag: int, raw: bytes, fields: Mapping[str, bytes]) -> bytes:
        """Return an ErrorResponse as it may leave."""
        return without_values(tag, fields) if self._state.decisions.hides else raw

    def admits_notice(self, fields: Mapping[str, bytes]) -> bool:
        """Whether a NoticeResponse may leave."""
        return not self._state.decisions.hides or is_harmless(fields)


def masked(result: Result, raw: bytes, tag: int) -> bytes:
    """Return frames of a result, masked if it is.

    Raises:
        MaskError: they cannot be.
        WireError: a frame is damaged.
    """
    masker = None if result.mask is None else result.mask.masker
    return raw if masker is None else masker.mask(raw, copies=tag != Tag.DATA_ROW)
