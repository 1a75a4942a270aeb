"""The ledger: what each principal has received, against its budgets.

``admit`` is the one place where the promise is kept: it charges *before* the caller releases, and
what would exceed a budget is not charged and must not be released.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy.meter.window import SubjectWindow, SumWindow
from proxy.terms.budget import Budget, Measure
from proxy.terms.finding import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    Groups = Collection[tuple[bytes, ...]]  # the hashed keys of each subject

NO_SUBJECTS: Final[Groups] = ()


@dataclass(frozen=True, slots=True)
class Charge:
    """What releasing something costs. ``groups``: the keys of each subject, hashed.

    ``repeated``: how many of them were left out, for they are in it already.
    """

    groups: Groups = NO_SUBJECTS
    repeated: int = 0
    anonymous: int = 0
    rows: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a budget is used. ``limit`` None: unlimited."""

    budget: str
    role: str
    used: int
    limit: int | None


class Account:
    """One principal's windows, one for each of its budgets.

    A budget of distinct subjects keeps the subjects; one without a limit only their number, or it
    would grow without bound.
    """

    def __init__(
        self,
        role: str,
        budgets: Sequence[Budget],
        new_window: Callable[[float], SubjectWindow] = SubjectWindow,
    ) -> None:
        self.role = role
        self.charged = {budget.id: 0 for budget in budgets}  # units, since the account was opened
        self._subjects = [
            (budget, budget.limit, new_window(budget.window_seconds))
            for budget in budgets
            if budget.measure is Measure.SUBJECTS and budget.limit is not None
        ]
        self._sums = [
            (budget, SumWindow(budget.window_seconds))
            for budget in budgets
            if budget.measure is not Measure.SUBJECTS or budget.limit is None
        ]
        self._overrun: dict[str, float] = {}  # budgets that only flag -> when they were exceeded

    def admit(self, charge: Charge, now: float) -> Budget | None:
        """Charge every budget and return None; or charge none and return the one exceeded.

        A budget that only flags never stands in the way; see ``overruns``.
        """
        costs: list[int] = []
        for budget, limit, window in self._subjects:
            used = window.usage(now)
            cost = window.cost(charge.groups, charge.anonymous)
            if cost and used + cost > limit:
                if budget.action is not Action.FLAG:
                    return budget
                self._overrun.setdefault(budget.id, now)
                cost = -1  # not kept: bounded memory is worth more than an exact excess
            costs.append(cost)
        for budget, total in self._sums:
            amount = _amount(budget.measure, charge)
            if budget.limit is not None and amount and total.usage(now) + amount > budget.limit:
                if budget.action is not Action.FLAG:
                    return budget
                self._overrun.setdefault(budget.id, now)
        self._charge(charge, costs, now)
        return None

    @property
    def is_free(self) -> bool:
        """Whether it has no budget, so that nothing need be charged."""
        return not self.charged

    @property
    def keeps_subjects(self) -> bool:
        """Whether it wants to know who was received, and not only how many."""
        return bool(self._subjects)

    def admit_run(self, charge: Charge, now: float) -> bool:
        """Charge every budget for many rows at once; False: one might be exceeded, none is charged.

        What was admitted would have been, and to the same effect, row by row. False is always
        right: then each row is given to ``admit``, which finds the one that does not fit.
        """
        for _, limit, window in self._subjects:
            used = window.usage(now)
            most = len(charge.groups) + charge.anonymous  # the cost takes longer to find
            if used + most > limit and used + window.cost(charge.groups, charge.anonymous) > limit:
                return False
        for budget, total in self._sums:
            amount = _amount(budget.measure, charge)
            if budget.limit is not None and total.usage(now) + amount > budget.limit:
                return False
        costs: list[int] = []
        for _, _, window in self._subjects:
            used = window.usage(now)
            window.charge(charge.groups, charge.anonymous, now)
            costs.append(window.usage(now) - used)
        self._charge_sums(charge, costs, now)
        return True

    def overruns(self, now: float) -> Iterator[Budget]:
        """Yield budgets that only flag and were exceeded, each once within its window."""
        if not self._overrun:
            return
        for budget in [*(budget for budget, _, _ in self._subjects), *(b for b, _ in self._sums)]:
            at = self._overrun.get(budget.id)
            if at is None:
                continue
            if at >= 0:
                self._overrun[budget.id] = -now - 1.0  # told
                yield budget
            elif now + at + 1.0 >= budget.window_seconds:
                del self._overrun[budget.id]

    def usage(self, now: float) -> list[Usage]:
        """Return the usage of every budget."""
        used = [(budget, window.usage(now)) for budget, _, window in self._subjects]
        used += [(budget, total.usage(now)) for budget, total in self._sums]
        return [Usage(budget.id, self.role, amount, budget.limit) for budget, amount in used]

    def _charge(self, charge: Charge, costs: list[int], now: float) -> None:
        for (_, _, window), cost in zip(self._subjects, costs, strict=True):
            if cost >= 0:
                window.charge(charge.groups, charge.anonymous, now)
        self._charge_sums(charge, costs, now)

    def _charge_sums(self, charge: Charge, costs: list[int], now: float) -> None:
        for (budget, _, _), cost in zip(self._subjects, costs, strict=True):
            self.charged[budget.id] += max(cost, 0)
        for budget, total in self._sums:
            amount = _amount(budget.measure, charge)
            if amount:
                total.charge(amount, now)
                self.charged[budget.id] += amount


class Ledger:
    """All accounts, in memory. Accounts are never evicted: eviction would forgive.

    ``new_window``: makes the windows of subjects; the compiled kernel has faster ones.
    """

    def __init__(self, new_window: Callable[[float], SubjectWindow] = SubjectWindow) -> None:
        self._new_window = new_window
        self._accounts: dict[str, Account] = {}

    def account(self, principal: str, role: str, budgets: Sequence[Budget]) -> Account:
        """Return the account of a principal, opened with these budgets at first sight.

        Args:
            principal: its key.
            role: under which its usage is shown.
            budgets: of the role.
        """
        account = self._accounts.get(principal)
        if account is None:
            account = self._accounts[principal] = Account(role, budgets, self._new_window)
        return account

    def accounts(self) -> tuple[Account, ...]:
        """Return every account."""
        return tuple(self._accounts.values())

    def usage(self, now: float) -> list[Usage]:
        """Return the usage of every budget of every principal seen."""
        return [usage for account in self._accounts.values() for usage in account.usage(now)]


def _amount(measure: Measure, charge: Charge) -> int:
    match measure:
        case Measure.SUBJECTS:
            return len(charge.groups) + charge.repeated + charge.anonymous
        case Measure.ROWS:
            return charge.rows
        case Measure.BYTES:
            return charge.size_bytes
