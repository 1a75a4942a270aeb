"""The ledger: what each principal has received, against its budgets.

``admit`` is the one place where the promise is kept: it charges *before* the caller releases, and
what would exceed a budget is not charged and must not be released. What is charged has to be kept
before it leaves, too (``is_covered``), where the ledger outlives the process.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy.meter.book import Book
from proxy.meter.lines import STATEMENT_SECONDS, Line, Usage, make_line, usage_of
from proxy.meter.tally import SubjectTally, SumTally, reservation_of
from proxy.terms.budget import Budget, Grouping, Measure
from proxy.terms.column_class import ColumnClass
from proxy.terms.finding import Action

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from proxy.meter.book import AnyTally
    from proxy.meter.saved import Batch
    from proxy.meter.subjects import Group
    from proxy.terms.principal import Principal
    from proxy.terms.relation import Relation

    Groups = Collection[Group]

NO_SUBJECTS: Final[Groups] = ()
_Scope = tuple["frozenset[ColumnClass]", "frozenset[Relation]"]
_EVERYTHING: Final[_Scope] = (frozenset(), frozenset())
_UNKNOWN_RELATION: Final = "?"
NOT_KEPT: Final = Budget(
    "EX200",
    "Usage cannot be kept",
    Measure.SUBJECTS,
    frozenset(),
    0,
    0,
    explanation="what is received cannot be recorded now",
)


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
    statements: int = 0
    questions: int = 0
    telling_errors: int = 0
    canaries: int = 0
    content: tuple[tuple[Measure, int], ...] = ()  # what identifies people, how many of each


class Account:
    """One principal against its budgets, as far as they apply to what is charged.

    Cheap, and of one session: what was received is in the tallies, which sessions share.
    """

    def __init__(
        self,
        ledger: Ledger,
        budgets: Sequence[Budget],
        groups: Mapping[Grouping, str],
        role: str,
        scope: _Scope = _EVERYTHING,
    ) -> None:
        self.role = role
        self._ledger = ledger
        self._budgets = budgets
        self._groups = groups
        self._scope = scope
        self._lines = self._find_lines()
        self._begins_anew = any(budget.is_per_statement for budget in budgets)
        self._narrowed: dict[_Scope, Account] = {}

    def for_result(
        self, classes: frozenset[ColumnClass], relations: frozenset[Relation]
    ) -> Account:
        """Return the account that a result is charged to.

        Args:
            classes: of its columns; empty: not known.
            relations: with subjects' data that it may come from; empty: not known.
        """
        scope = (classes, relations)
        found = self._narrowed.get(scope)
        if found is None or self._begins_anew:
            found = type(self)(self._ledger, self._budgets, self._groups, self.role, scope)
            self._narrowed[scope] = found
        return found

    @property
    def is_covered(self) -> bool:
        """Whether all that was charged is kept, and may leave."""
        return self._ledger.is_covered

    def admit(self, charge: Charge, now: float) -> Budget | None:
        """Charge every budget and return None; or charge none and return the one exceeded.

        A budget that only flags never stands in the way; see ``overruns``.
        """
        return self._admit(charge, now, at_once=False)

    def _admit(self, charge: Charge, now: float, *, at_once: bool) -> Budget | None:
        ledger = self._ledger
        now = ledger.time(now)
        for line in self._lines:
            if line.tally.is_ended:
                self._lines = self._find_lines()
                break
        is_failing = ledger.book.is_failing
        work: list[tuple[Line, Groups, int]] = []
        exceeded: list[tuple[Line, Budget]] = []
        for line in self._lines:
            tally, groups = line.tally, NO_SUBJECTS
            tally.advance(now)
            if isinstance(tally, SubjectTally):
                if charge.groups:
                    ledger.book.bring(tally)
                    groups = tally.unseen(charge.groups, now)
                if not groups and not charge.anonymous:
                    continue
                amount = tally.most(groups, charge.anonymous)
                costs = None
                if is_failing or _may_exceed(line, amount):
                    costs = tally.costs(groups, charge.anonymous)
                    amount = costs[-1]
            else:
                amount = line.amount(charge)
                if not amount:
                    continue
                costs = None
            for window, limit, budget in line.checks:
                cost = amount if costs is None else costs[window.index]
                if limit is not None and cost and window.total + cost > limit:
                    if at_once or budget.action is not Action.FLAG:
                        return budget
                    exceeded.append((line, budget))
            if is_failing and not ledger.may_use(line, amount + len(groups)):
                return NOT_KEPT
            work.append((line, groups, amount))
        for line, groups, amount in work:
            if isinstance(line.tally, SubjectTally):
                amount = line.tally.charge(groups, charge.anonymous, now)  # noqa: PLW2901
            else:
                line.tally.charge(amount, now)
            for budget_id in line.ids:
                ledger.charged[budget_id] += amount
            ledger.book.touched(line.tally)
        for line, budget in exceeded:
            ledger.exceeded(line, budget, now)
        return None

    def admit_run(self, charge: Charge, now: float) -> bool:
        """Charge every budget for many rows at once; False: one might be exceeded, none is charged.

        What was admitted would have been, and to the same effect, row by row. False is always
        right: then each row is given to ``admit``, which finds the one that does not fit.
        """
        return self._admit(charge, now, at_once=True) is None

    @property
    def is_free(self) -> bool:
        """Whether it has no budget, so that nothing need be charged."""
        return not self._lines

    @property
    def begins_anew(self) -> bool:
        """Whether each statement has a budget of its own."""
        return self._begins_anew

    def counts(self, charge: Charge) -> bool:
        """Whether a charge that names nobody adds to some budget."""
        return any(line.amount(charge) for line in self._lines)

    @property
    def slows(self) -> bool:
        """Whether a result may have to be held back for a while."""
        return any(line.slows for line in self._lines)

    @property
    def keeps_subjects(self) -> bool:
        """Whether it wants to know who was received, and not only how many."""
        return any(line.tally.counts_subjects for line in self._lines)

    def delay_seconds(self) -> float:
        """Return how long to hold a result back: the longer, the nearer a limit is."""
        return max((line.delay_seconds for line in self._lines if line.slows), default=0.0)

    def overruns(self) -> Iterator[Budget]:
        """Yield budgets that only flag and were exceeded, each once within its window."""
        return self._ledger.overruns(self._lines)

    def usage(self, now: float) -> list[Usage]:
        """Return the usage of every budget."""
        now = self._ledger.time(now)
        return [one for line in self._lines for one in usage_of(line, now)]

    def _find_lines(self) -> tuple[Line, ...]:
        classes, relations = self._scope
        is_vague = not classes or ColumnClass.UNKNOWN in classes
        same: dict[tuple[object, ...], list[Budget]] = {}
        for budget in self._budgets:
            if budget.classes and not is_vague and budget.classes.isdisjoint(classes):
                continue
            if budget.relations and relations and budget.relations.isdisjoint(relations):
                continue
            same.setdefault((budget.kind, budget.limit is None), []).append(budget)
        return tuple(
            self._ledger.line(budgets, groups, self.role)
            for budgets in same.values()
            for groups in self._groups_of(budgets[0], relations)
        )

    def _groups_of(
        self, budget: Budget, relations: frozenset[Relation]
    ) -> Iterator[dict[Grouping, str]]:
        groups = {name: self._groups[name] for name in budget.per if name in self._groups}
        if Grouping.RELATION not in budget.per:
            yield groups
            return
        within = relations & budget.relations if budget.relations else relations
        for relation in sorted(map(str, within)) or [_UNKNOWN_RELATION]:
            yield {**groups, Grouping.RELATION: relation}


class Ledger:
    """What everybody has received.

    Args:
        book: the tallies.
        offset_seconds: what is added to the caller's clock; the ledger's own goes on over restarts.
        share_percent: how much of a limit may be used while nothing can be kept; 0: nothing.
    """

    def __init__(
        self, book: Book | None = None, *, offset_seconds: float = 0.0, share_percent: int = 0
    ) -> None:
        self.book = Book() if book is None else book
        self.charged: Counter[str] = Counter()  # budget -> units, never falls
        self._offset = offset_seconds
        self._share_percent = share_percent
        self._now = 0.0
        self._lines: dict[tuple[str, tuple[Budget, ...]], Line] = {}
        self._overruns: dict[tuple[str, Budget], tuple[float, bool]] = {}  # since when, told

    def time(self, now: float) -> float:
        """Return the ledger's own time; it never goes backward."""
        self._now = max(self._now, now + self._offset)
        return self._now

    def account(
        self,
        principal: Principal,
        budgets: Sequence[Budget],
        *,
        end_user: str = "",
        application: str = "",
    ) -> Account:
        """Return the account of a principal.

        Args:
            principal: who acts.
            budgets: of its role.
            end_user: for whom it acts, as it says and is believed; empty: for nobody it named.
            application: through which, as it says and is believed.
        """
        groups = {
            Grouping.ROLE: principal.key,
            Grouping.ADDRESS: principal.address,
            Grouping.CERTIFICATE: principal.certificate.subject if principal.certificate else "",
            Grouping.END_USER: end_user,
            Grouping.APPLICATION: application,
        }
        is_bound = bool(end_user)
        fitting = [one for one in budgets if one.bound is None or one.bound is is_bound]
        return Account(self, fitting, groups, principal.role)

    def order_account(self, order_id: str, role: str, budget: Budget) -> Account:
        """Return the account of a work order, which all who act under it share."""
        return Account(self, [budget], {Grouping.ORDER: order_id}, role)

    def line(self, budgets: Sequence[Budget], groups: Mapping[Grouping, str], role: str) -> Line:
        """Return the tally of budgets of one kind for a group, with what they ask of it."""
        one = budgets[0]
        group = tuple((name.value, value) for name, value in groups.items())
        limits = [
            budget.limit
            for budget in budgets
            if budget.limit is not None and budget.action is not Action.FLAG
        ]
        counts_subjects = one.measure is Measure.SUBJECTS and one.limit is not None
        seconds = [budget.window_seconds or STATEMENT_SECONDS for budget in budgets]
        if one.is_per_statement:
            if counts_subjects:
                own: AnyTally = SubjectTally(0, "", seconds, self.book.new_subjects)
            else:
                own = SumTally(0, "", seconds)
            return make_line(own, budgets, role, group)
        name = tally_name(one, group)
        found = self._lines.get((name, tuple(budgets)))
        if found is None or found.tally.is_ended:
            tally = self.book.open(
                name,
                counts_subjects=counts_subjects,
                seconds=seconds,
                reservation=reservation_of(limits) if limits else None,
            )
            found = make_line(tally, budgets, role if Grouping.ROLE in one.per else "", group)
            self._lines[name, tuple(budgets)] = found
        return found

    def usage(self, now: float) -> list[Usage]:
        """Return the usage of every budget of every group seen."""
        now = self.time(now)
        return [one for line in self._lines.values() for one in usage_of(line, now)]

    def forget_policy(self) -> None:
        """Budgets have changed: usage is shown for those that accounts are opened with from now."""
        self._lines.clear()
        self._overruns.clear()

    def sweep(self, now: float) -> None:
        """End what is empty and not used any more."""
        now = self.time(now)
        if self.book.sweep(now):
            self._lines = {
                key: line for key, line in self._lines.items() if not line.tally.is_ended
            }
        for key, (since, _) in list(self._overruns.items()):
            if now >= since + key[1].window_seconds:
                del self._overruns[key]

    def take_batch(self, now: float, *, reserves: bool = True) -> Batch | None:
        """Return what has to be kept; see ``Book.take_batch``."""
        return self.book.take_batch(self.time(now), reserves=reserves)

    @property
    def is_covered(self) -> bool:
        """Whether all that was charged may leave: it is kept, or allowed not to be."""
        return self.book.is_covered or (self.book.is_failing and self.may_release())

    @property
    def wants_saving(self) -> bool:
        """Whether something has to be kept before what was charged may leave, or soon after."""
        return self.book.wants_saving or not self.is_covered

    def may_use(self, line: Line, cost: int) -> bool:
        """Whether a charge is within the share that is allowed while nothing can be kept."""
        limits = line.limits
        share = min(limits) * self._share_percent // 100 if limits else 0
        return line.tally.lacks(cost) <= share

    def may_release(self) -> bool:
        """Whether what was charged may leave although it could not be kept."""
        lines = {line.tally.number: line for line in self._lines.values()}
        return all(
            one.number in lines and self.may_use(lines[one.number], 0)
            for one in self.book.uncovered()
        )

    def exceeded(self, line: Line, budget: Budget, now: float) -> None:
        """A budget that only flags was exceeded."""
        key = (line.tally.name, budget)
        since, _ = self._overruns.get(key, (-budget.window_seconds, True))
        if now >= since + budget.window_seconds:
            self._overruns[key] = (now, False)

    def overruns(self, lines: Iterable[Line]) -> Iterator[Budget]:
        """Yield budgets that only flag and were exceeded, each once within its window."""
        if not self._overruns:
            return
        for line in lines:
            for _, _, budget in line.checks:
                key = (line.tally.name, budget)
                since, told = self._overruns.get(key, (0.0, True))
                if not told:
                    self._overruns[key] = (since, True)
                    yield budget


def tally_name(budget: Budget, group: Iterable[tuple[str, str]]) -> str:
    """Return what a budget counts and for whom, as JSON; budgets of one kind share a tally."""
    said: dict[str, object] = {"measure": budget.measure.value, "per": dict(group)}
    if budget.limit is None:
        said["distinct"] = False
    if budget.bound is not None:
        said["bound"] = budget.bound
    if budget.classes:
        said["classes"] = sorted(budget.classes)
    if budget.relations:
        said["relations"] = sorted(map(str, budget.relations))
    return json.dumps(said, sort_keys=True)


def _may_exceed(line: Line, cost: int) -> bool:
    """Whether some limit is not far enough away to be sure."""
    for window, limit, _ in line.checks:
        if limit is not None and window.total + cost > limit:
            return True
    return False
