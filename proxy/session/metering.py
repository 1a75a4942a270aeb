"""Charging what leaves: rows, COPY data, and the texts beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.content.detectors import LONGEST_BYTES
from proxy.errors import WireError
from proxy.meter.ledger import Charge
from proxy.meter.plan import BY_BYTES, FREE
from proxy.meter.side_text import disclosed_bytes
from proxy.session.bound_keys import named_keys
from proxy.session.masks import Masks, masked
from proxy.session.pending import (
    DescribePending,
    ExecutePending,
    FunctionPending,
    QueryPending,
)
from proxy.session.refusal import Refusal, by_error
from proxy.session.results import Result, copied_columns, plan_result
from proxy.terms.facts import Kind, StatementFacts
from proxy.terms.finding import Action
from proxy.wire.backend import decode_row_description
from proxy.wire.frames import Frame, Piece, Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.meter.plan import ChargePlan
    from proxy.session.cutting import Cutting
    from proxy.session.names import Names
    from proxy.session.pending import Pending
    from proxy.session.state import State
    from proxy.session.statements import Portal
    from proxy.terms.budget import Budget
    from proxy.wire.backend import ResultColumn

_NOBODY = StatementFacts(Kind.OTHER)


class Metering:
    """Charges each carrier before it is released."""

    def __init__(self, state: State, names: Names, cutting: Cutting) -> None:
        self._state = state
        self._names = names
        self._cutting = cutting
        self.masks = Masks(state)
        self._tail = b""  # of a row in pieces

    # what a result will cost

    def described(self, frame: Frame, head: Pending) -> None:
        """A RowDescription: choose how its rows are charged, and pass it on."""
        state = self._state
        columns = decode_row_description(frame.body)
        match head:
            case QueryPending():
                facts = self._running(head)
                if head.described:  # a result that the statement does not have by itself
                    head.result = self._undescribed(facts)
                else:
                    head.result = self._planned(facts, columns, None)
                head.described = True
                if self._names_are_too_much(head.result, columns, facts, frame.body):
                    return
            case DescribePending(kind="P", name=name):
                portal = state.registry.portals.get(name)
                if portal is not None:
                    facts = portal.planned_for = self._facts_of(portal)
                    portal.result = self._planned(facts, columns, portal)
                state.pop()
            case DescribePending():
                state.pop()
            case _:
                raise WireError(f"RowDescription does not answer {type(head).__name__}")
        if not (isinstance(head, DescribePending) and head.own):
            state.to_frontend(frame.raw)

    def copying(self, head: Pending) -> None:
        """COPY to the frontend begins."""
        state = self._state
        facts = self._running(head)
        if not isinstance(head, QueryPending | ExecutePending):
            raise WireError(f"CopyOutResponse does not answer {type(head).__name__}")
        if facts.kind is not Kind.COPY_OUT:
            head.result = self._undescribed(facts)
            return
        columns = copied_columns(facts, state.catalog)
        mask = self.masks.plan(facts, columns, copies=True)
        masked = () if mask is None else mask.hows
        plan = plan_result(facts, columns, state.catalog, named_keys(facts), masked)
        head.result = Result(
            state.context,
            state.account_for(facts, columns),
            plan,
            copy_format=facts.copy_format,
            columns=len(columns),
            mask=mask,
        )

    def result_of(self, head: Pending) -> Result:
        """Return the running result of a pending message; without a description, the worst."""
        match head:
            case QueryPending(result=result) if result is not None:
                return result
            case ExecutePending(result=result) if result is not None:
                return result
            case ExecutePending(name=name):
                head.result = self._portal_result(head, self._state.registry.portals.get(name))
                return head.result
            case FunctionPending():
                head.result = head.result or self._undescribed(self._running(head))
                return head.result
            case QueryPending():
                head.result = self._undescribed(self._running(head))
                return head.result
            case _:
                raise WireError(f"a row does not answer {type(head).__name__}")

    def _portal_result(self, head: ExecutePending, portal: Portal | None) -> Result:
        facts = self._running(head)
        if portal is not None and portal.result is not None:
            # what EXECUTE or FETCH runs may be another since the portal was described
            is_named = portal.facts.kind in {Kind.EXECUTE, Kind.FETCH}
            is_same = not is_named or portal.planned_for == facts
            if is_same and self.masks.still_holds(portal.result.mask, facts):
                return portal.result
        elif portal is not None and not facts.reads_subjects:
            return self._result(FREE)
        return self._undescribed(facts)

    def _planned(
        self, facts: StatementFacts, columns: Sequence[ResultColumn], portal: Portal | None
    ) -> Result:
        parameters = portal.parameters if portal is not None else ()
        formats = portal.parameter_formats if portal is not None else ()
        fixed = named_keys(facts, parameters, formats)
        state = self._state
        mask = self.masks.plan(facts, columns)
        masked = () if mask is None else mask.hows
        plan = plan_result(facts, columns, state.catalog, fixed, masked)
        return Result(state.context, state.account_for(facts, columns), plan, mask=mask)

    def _undescribed(self, facts: StatementFacts) -> Result:
        """Return the result of what nobody described: it may give anything."""
        state = self._state
        mask = self.masks.undescribed(facts)
        plan = FREE if facts.nobody_in_reach else BY_BYTES
        return Result(state.context, state.account, plan, mask=mask)

    def _result(self, plan: ChargePlan) -> Result:
        return Result(self._state.context, self._state.account, plan)

    def _names_are_too_much(
        self,
        result: Result,
        columns: Sequence[ResultColumn],
        facts: StatementFacts,
        octets: bytes,
    ) -> bool:
        """Charge the names of columns where they may be data; whether the result was cut.

        ``octets``: the description as it came.
        """
        budget = self._charge_content(octets)
        if budget is None and result.plan.everything:
            size = sum(len(column.name) for column in columns)
            budget = result.admit_text(size, self._state.now)
        return budget is not None and self._spent(budget, facts, result)

    # what leaves

    def rows(self, shape: Frame | Run | Piece, head: Pending) -> None:
        """Rows, COPY data or the result of a function: release what fits, cut at the rest."""
        state = self._state
        result = self.result_of(head)
        leaving = self._leaving(shape, head, result)
        if isinstance(leaving, Refusal):
            self._cutting.begin(leaving)
            return
        try:
            budget = self._content_of(shape, leaving)
            end = 0
            if budget is None:
                end, budget = self._admit(shape, result)
        except WireError:
            raise  # the backend's fault, and nothing after it can be trusted
        except Exception as error:  # noqa: BLE001 - fail closed
            refusal = state.decisions.failed("meter", error, self._running(head), state.out)
            if refusal is None:
                state.to_frontend(leaving)
            else:
                self._cutting.begin(refusal)
            return
        if end == len(shape.raw):
            state.to_frontend(leaving)
        elif end:
            state.to_frontend(masked(result, shape.raw[:end], shape.tag))
        if budget is None:
            self._tell_overruns(head, result)
        elif not self._spent(budget, self._running(head), result):
            result.stop_charging()
            state.to_frontend(masked(result, shape.raw[end:], shape.tag))

    def _leaving(
        self, shape: Frame | Run | Piece, head: Pending, result: Result
    ) -> bytes | Refusal:
        """Return what leaves if the budgets allow it, masked where a rule says so."""
        if result.mask is None:
            return shape.raw
        state, facts = self._state, self._running(head)
        try:
            return self.masks.leaving(shape, result, facts)
        except WireError:
            raise
        except Exception as error:  # noqa: BLE001 - no value leaves that should be masked
            refusal = state.decisions.failed("meter", error, facts, state.out)
            return refusal or by_error(state.context.new_id())

    def _content_of(self, shape: Frame | Run | Piece, octets: bytes) -> Budget | None:
        """Look into all of this before any of it leaves; return the budget that forbids it."""
        if not self._state.context.inspects:
            return None
        if isinstance(shape, Piece):  # something may stand where two pieces meet
            octets = octets if shape.first else self._tail + octets
            canaries = self._state.context.canaries
            longest = 0 if canaries is None else canaries.longest
            self._tail = octets[-max(LONGEST_BYTES, longest) :]
        return self._charge_content(octets)

    def _charge_content(self, octets: bytes) -> Budget | None:
        context = self._state.context
        canary = None if context.canaries is None else context.canaries.find(octets)
        content = () if context.content is None else context.content.count(octets)
        if canary is None and not content:
            return None
        charge = Charge(canaries=int(canary is not None), content=content)
        return self._state.account.admit(charge, self._state.now)

    def _admit(self, shape: Frame | Run | Piece, result: Result) -> tuple[int, Budget | None]:
        now = self._state.now
        match shape:
            case Run():
                return result.admit_run(shape, now)
            case Piece(first=False):
                return len(shape.raw), None  # the whole was charged by its header
            case _:
                size = shape.size if isinstance(shape, Piece) else len(shape.raw)
                budget = result.admit_whole(size, now)
                return (len(shape.raw), None) if budget is None else (0, budget)

    def _tell_overruns(self, head: Pending, result: Result) -> None:
        state = self._state
        if state.context.enforces:
            state.delay_seconds = max(state.delay_seconds, result.delay_seconds())
        for budget in state.account.overruns():
            state.decisions.cut(budget, self._running(head), result, state.out)

    def _spent(self, budget: Budget, facts: StatementFacts, result: Result) -> bool:
        """Tell that a budget is spent and cut; False in observe mode, where nothing is cut."""
        state = self._state
        refusal = state.decisions.cut(budget, facts, result, state.out)
        if not state.context.enforces:
            return False
        self._cutting.begin(refusal, terminates=budget.action is Action.TERMINATE)
        return True

    # texts beside the rows

    def charge_error(self, fields: Mapping[str, bytes]) -> Refusal | None:
        """Charge an ErrorResponse; return what to say in its place if there is no budget for it."""
        return self._charge_text(fields)

    def admits_notice(self, fields: Mapping[str, bytes]) -> bool:
        """Charge a NoticeResponse; whether it may leave."""
        return self.masks.admits_notice(fields) and self._charge_text(fields) is None

    def admits_notification(self, octets: bytes) -> bool:
        """Look at a NotificationResponse; whether it may leave."""
        return self._charge_text({}, octets) is None

    def admits_setting(self, value: str) -> bool:
        """Charge a ParameterStatus that comes while subjects are read; whether it may leave."""
        state = self._state
        head = state.pending[0] if state.pending else None
        # it is reported when all is done: what was done counts, not what follows
        done = isinstance(head, QueryPending) and head.index >= len(head.statements)
        facts = _NOBODY if head is None or done else self._running(head)
        reads = facts.reads_subjects and facts.kind is not Kind.SET
        octets = value.encode()
        size = len(octets) if reads or state.read_subjects else 0
        return self._charge(size, facts, octets) is None

    def _charge_text(self, fields: Mapping[str, bytes], octets: bytes = b"") -> Refusal | None:
        state = self._state
        octets = octets or b"\0".join(fields.values())
        if not state.pending:
            return self._charge(0, _NOBODY, octets)
        head = state.pending[0]
        facts = self._running(head)
        size = disclosed_bytes(fields, facts, self._sent(head)) if fields else 0
        return self._charge(size, facts, octets)

    def _charge(self, size_bytes: int, facts: StatementFacts, octets: bytes) -> Refusal | None:
        """Charge a text by its size, and by what is in it."""
        state = self._state
        if not size_bytes and not state.context.inspects:
            return None
        result = self._result(BY_BYTES)
        try:
            budget = self._charge_content(octets)
            if budget is None and size_bytes:
                budget = state.account.admit(Charge(telling_errors=1), state.now)
            if budget is None:
                budget = result.admit_text(size_bytes, state.now)
        except Exception as error:  # noqa: BLE001 - fail closed
            return state.decisions.failed("meter", error, facts, state.out)
        if budget is None:
            return None
        refusal = state.decisions.cut(budget, facts, result, state.out)
        return refusal if state.context.enforces else None

    def _sent(self, head: Pending) -> list[bytes]:
        match head:
            case QueryPending(text=text):
                return [text]
            case ExecutePending(name=name):
                portal = self._state.registry.portals.get(name)
                if portal is None:
                    return []
                return [portal.text, *(one for one in portal.parameters if one is not None)]
            case _:
                return []

    # what runs

    def _running(self, head: Pending) -> StatementFacts:
        """Return the facts of what the backend carries out now."""
        match head:
            case QueryPending(statements=statements, index=index) if index < len(statements):
                return self._names.resolve_now(statements[index])
            case ExecutePending(name=name):
                portal = self._state.registry.portals.get(name)
                return self._unknown() if portal is None else self._facts_of(portal)
            case FunctionPending(refusal=None):
                return self._unknown()
            case QueryPending(refusal=None, text=text) if text:
                return self._unknown()
            case _:
                return _NOBODY

    def _facts_of(self, portal: Portal) -> StatementFacts:
        return self._names.resolve_now(portal.facts)

    def _unknown(self) -> StatementFacts:
        catalog = self._state.catalog
        nobody = catalog is not None and catalog.holds_nobody
        return StatementFacts(Kind.OPAQUE, opaque="what runs is not known", nobody_in_reach=nobody)
