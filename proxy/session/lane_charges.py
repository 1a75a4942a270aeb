"""What the lane lets pass and is charged: the same charges as in the session, with less ado.

As soon as any budget might not do, or anything else than the everyday is to be done, nothing is
charged here and the session takes the query, or its answer, as if there were no lane.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from proxy.accel.lane_state import Release
from proxy.meter.keys import hash_key
from proxy.meter.ledger import Charge
from proxy.meter.walk import NOWHERE
from proxy.session.asking import ANY_CLASS
from proxy.session.commands import InternalFault
from proxy.session.following import walks_of, with_walked
from proxy.session.noticing import note_received, notice
from proxy.terms.finding import Action

if TYPE_CHECKING:
    from proxy.accel.lane_state import Known
    from proxy.meter.ledger import Account, Groups
    from proxy.meter.walk import Constant
    from proxy.session.state import State
    from proxy.session.tariff import Tariff
    from proxy.terms.facts import StatementFacts

MOST_TARIFFS: Final = 256  # whose accounts a session keeps at hand
LONGEST_BYTES: Final = 8192  # of a query; a longer one is read once, and then as ever
_Accounts = tuple["Account | None", "Account"]  # of the question, if it costs any; of its rows


class LaneCharges:
    """Charges what the lane of one session lets pass."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._accounts: dict[Tariff, _Accounts | None] = {}
        self._fixed: Groups = ()
        self.faults: list[InternalFault] = []  # of ours, to be told of with the next event

    def forget(self) -> None:
        """Budgets or what is known may be others."""
        self._accounts.clear()

    def asks(self, known: Known, query: bytes, now: float) -> bool:
        """Charge a query as such; False: nothing was charged, and it does not pass."""
        tariff: Tariff = known.tariff  # type: ignore[assignment]
        state = self._state
        if now >= tariff.valid_until or len(query) > LONGEST_BYTES or self._has_tried(query):
            return False
        state.now = now
        try:
            accounts = self._accounts_of(tariff)
            read = None if accounts is None else tariff.read(query)
            if accounts is None or read is None:
                return False
            constants, keys = read
            if not self._may_go_on(tariff, query, constants):
                return False
            secret = state.context.secret
            self._fixed = tuple((hash_key(secret, space, value),) for space, value in keys)
            return accounts[0] is None or accounts[0].admit_run(tariff.asking, now)
        except Exception as error:  # noqa: BLE001 - the session does it, fails closed and says so
            self._failed(error)
            return False

    def releases(self, known: Known, rows: bytes, count: int, now: float) -> Release:
        """Charge the rows of an answer, before any of it leaves."""
        tariff: Tariff = known.tariff  # type: ignore[assignment]
        state, ledger = self._state, self._state.context.ledger
        state.tried, state.now = None, now
        try:
            accounts = self._accounts_of(tariff)
            if accounts is None:
                return Release.NOT_CHARGED
            if count and tariff.runs is not None and not accounts[1].is_free:
                charge = self._charge_of(tariff, rows, count, keeps=accounts[1].keeps_subjects)
                if charge is None or not accounts[1].admit_run(charge, now):
                    return Release.NOT_CHARGED
        except Exception as error:  # noqa: BLE001 - the session does it, fails closed and says so
            self._failed(error)
            return Release.NOT_CHARGED
        if count and not tariff.plan.is_free:
            note_received(state, count)
        return Release.WAITS if ledger.wants_saving else Release.PASSES

    def _charge_of(self, tariff: Tariff, rows: bytes, count: int, *, keeps: bool) -> Charge | None:
        if tariff.plan.counts_rows:
            return Charge(rows=count, size_bytes=len(rows))
        assert tariff.runs is not None
        found = tariff.runs.charge_run(rows, keeps=keeps)
        if found is None:
            return None
        groups, repeated, anonymous, number, size = found
        if tariff.plan.fixed:
            groups, repeated = self._fixed, (number - 1) * len(self._fixed)
        return Charge(groups, repeated, anonymous, number, size)

    def _accounts_of(self, tariff: Tariff) -> _Accounts | None:
        """Return what a query and its answer are charged to; None: only the session can tell."""
        state = self._state
        if (
            state.trust is not None
            or state.decisions.principal.role in state.context.orders.by_role
        ):
            return None
        try:
            return self._accounts[tariff]
        except KeyError:
            if len(self._accounts) >= MOST_TARIFFS:
                self._accounts.clear()
            account, plan = state.account, tariff.plan
            found: _Accounts | None = None
            if not account.begins_anew:
                asked = account.for_result(ANY_CLASS, tariff.facts.subject_relations)
                rows = account.for_result(plan.classes, plan.relations)
                if not rows.slows:
                    found = (asked if asked.counts(tariff.asking) else None, rows)
            self._accounts[tariff] = found
            return found

    def _has_tried(self, query: bytes) -> bool:
        """Whether it was just found that this one does not pass."""
        return self._state.tried is not None and self._state.tried[0] is query

    def _may_go_on(self, tariff: Tariff, query: bytes, constants: list[Constant]) -> bool:
        """Find what the query is together with those before it; whether it is allowed as such.

        That is found once: the session goes on with it, should the query not pass here.
        """
        state, facts = self._state, tariff.facts
        if not facts.reads_subjects:
            return True
        walked = NOWHERE
        if tariff.is_followed:
            walked = walks_of(state).take(facts.fingerprint, constants, tariff.subjects)
        going = notice(state, with_walked(facts, walked), 0)
        state.tried = (query, walked, going.behaviour)
        return going is facts or is_plain(state, going)

    def _failed(self, error: Exception) -> None:
        shown = "".join(traceback.format_tb(error.__traceback__))
        self.faults = [InternalFault("session", type(error).__name__, shown)]


def is_plain(state: State, facts: StatementFacts) -> bool:
    """Whether a statement is allowed, with nothing to be told of it and nothing to be masked."""
    judgement = state.decisions.judgement_of(facts)
    is_allowed = judgement.verdict is Action.ALLOW and not judgement.findings
    return is_allowed and state.decisions.masking_of(facts) is None
