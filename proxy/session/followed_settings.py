"""Settings of a session that say for whom it acts, followed as the backend keeps them.

What a transaction has set is undone with it, what is local ends with it, and a savepoint brings
back what was set at its making. What cannot be read is not guessed: it is '' until the backend was
asked, or said it.

Source: PostgreSQL documentation, "SET", "RESET", "DISCARD", "set_config"; ``guc.c``, AtEOXact_GUC.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy.terms.behalf import usable_name
from proxy.terms.facts import Literal, Parameter, StatementFacts, TransactionStep
from proxy.terms.unknown import UNKNOWN, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from proxy.terms.facts import SettingChange

MAX_SAVEPOINTS: Final = 1024
_Value = str | Unknown


class _Default(str):
    """What a session began with; RESET ALL leaves alone what is that already, if only locally."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class _Values:
    """What a setting is for the session, and what it is until the end of the transaction."""

    session: dict[str, _Value]
    local: dict[str, _Value] = field(default_factory=dict)

    def get(self, name: str) -> _Value:
        return self.local.get(name, self.session.get(name, UNKNOWN))


class FollowedSettings:
    """The settings of one session that are followed, as of what the backend has answered.

    Args:
        names: those followed, in lower case.
        defaults: what the session began with, where it is known; None: nothing is known.
    """

    def __init__(self, names: Iterable[str], defaults: Mapping[str, str] | None) -> None:
        self.names = frozenset(names)
        known = {} if defaults is None else {name: defaults.get(name, "") for name in self.names}
        self._defaults: dict[str, _Value] = dict.fromkeys(self.names, UNKNOWN) | {
            name: _Default(usable_name(value)) for name, value in known.items()
        }
        self._now = self._before = _Values(dict(self._defaults))
        self._savepoints: list[tuple[str, _Values]] = []
        self._has_failed = False  # an error came since ReadyForQuery
        self._is_aborted = False  # the transaction is

    def after(self, statements: Sequence[StatementFacts]) -> FollowedSettings:
        """Return them as they will be behind these statements of one text."""
        found = copy(self)
        found._savepoints = list(self._savepoints)  # noqa: SLF001 - of its own class
        for facts in statements:
            found.take(facts, lambda _: UNKNOWN)
        return found

    def value(self, name: str) -> str:
        """Return what a setting is; '' if it is not known."""
        found = self._now.get(name)
        return "" if isinstance(found, Unknown) else found

    @property
    def is_unsure(self) -> bool:
        """Whether the backend has to be asked."""
        return any(isinstance(self._now.get(name), Unknown) for name in self.names)

    def concerns(self, facts: StatementFacts) -> bool:
        """Whether a statement may change what is followed."""
        if any(change.name is None or change.name in self.names for change in facts.settings):
            return True
        if facts.transaction in {TransactionStep.COMMIT, TransactionStep.ROLLBACK}:
            return self._now != self._before
        return facts.transaction is TransactionStep.ROLLBACK_TO

    def take(
        self, facts: StatementFacts, bound: Callable[[Parameter], str | Unknown | None]
    ) -> None:
        """Take a statement that the backend has carried out.

        Args:
            facts: of it.
            bound: gives the value of a parameter; None for NULL.
        """
        for change in facts.settings:
            self._change(change, bound)
        match facts.transaction:
            case TransactionStep.COMMIT if not self._is_aborted:
                self._commit()
            case TransactionStep.COMMIT | TransactionStep.ROLLBACK:
                self._roll_back()
            case TransactionStep.SAVEPOINT:
                self._savepoints.append((facts.savepoint, self._now))
                del self._savepoints[:-MAX_SAVEPOINTS]
            case TransactionStep.RELEASE:
                del self._savepoints[self._find(facts.savepoint) :]
            case TransactionStep.ROLLBACK_TO:
                self._roll_back_to(facts.savepoint)
            case _:
                pass

    def failed(self) -> None:
        """An error came: without a transaction block, what was set since then is undone."""
        self._has_failed = True

    def ready(self, *, idle: bool, aborted: bool) -> None:
        """The backend is ready: outside of a transaction, or within one that is aborted or not."""
        if idle and self._has_failed:
            self._roll_back()
        elif idle:
            self._commit()
        self._has_failed, self._is_aborted = False, aborted

    def told(self, name: str, value: str, *, is_default: bool = False) -> None:
        """The backend says what a setting is now."""
        if name not in self.names:
            return
        found = usable_name(value)
        if is_default:
            self._defaults[name] = _Default(found)
        if self._now.get(name) == found:
            return
        session, local = self._now.session, self._now.local
        if name in local:
            self._now = _Values(session, {**local, name: found})
        else:
            self._now = _Values({**session, name: found}, local)
        if is_default:
            self._before = self._now

    def _change(
        self, change: SettingChange, bound: Callable[[Parameter], str | Unknown | None]
    ) -> None:
        resets_all = change.name is None and change.value is None
        for name in self.names if change.name is None else self.names & {change.name}:
            if resets_all and isinstance(self._now.local.get(name), _Default):
                continue
            value = bound(change.value) if isinstance(change.value, Parameter) else change.value
            new: _Value
            match value:
                case None:
                    new = self._defaults[name]
                case Literal():
                    new = usable_name(value.value)
                case str():
                    new = usable_name(value)
                case _:
                    new = UNKNOWN
            session, local = self._now.session, self._now.local
            if change.is_local:
                self._now = _Values(session, {**local, name: new})
            else:
                rest = {other: one for other, one in local.items() if other != name}
                self._now = _Values({**session, name: new}, rest)

    def _commit(self) -> None:
        self._before = self._now = _Values(self._now.session)
        self._savepoints.clear()

    def _roll_back(self) -> None:
        self._now = self._before
        self._savepoints.clear()
        self._is_aborted = False

    def _roll_back_to(self, savepoint: str) -> None:
        index = self._find(savepoint)
        self._is_aborted = False
        if index == len(self._savepoints):  # it was forgotten
            self._now = _Values(self._now.session, dict.fromkeys(self.names, UNKNOWN))
            return
        del self._savepoints[index + 1 :]
        self._now = self._savepoints[index][1]

    def _find(self, savepoint: str) -> int:
        """Return where the youngest savepoint of a name is; behind all if there is none."""
        for index in range(len(self._savepoints) - 1, -1, -1):
            if self._savepoints[index][0] == savepoint:
                return index
        return len(self._savepoints)
