"""What SIGHUP does: the policy is read again, and whatever else can be, under running sessions.

What cannot be read leaves what is in force as it is: each part by itself.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import fields
from typing import TYPE_CHECKING, Final

from proxy.errors import ConfigurationError
from proxy.net import clock
from proxy.session import events as e

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.net.relay import Surroundings
    from proxy.policy import Policy
    from proxy.settings.settings import Settings

    Reread = Callable[[], tuple[Settings, Policy]]

POLICY: Final = "policy"
CERTIFICATES: Final = "certificates"
_FOR_POLICY: Final = frozenset({"rules", "site"})  # folders that are read again wherever they are
_log: Final = logging.getLogger("vigie")


class Reload:
    """Reads again what may change while Vigie runs.

    Args:
        surroundings: of the sessions.
        settings: in force; what else changes in them holds after a restart, and this is told.
        reread: returns settings and policy as they are now, or raises ConfigurationError.
    """

    def __init__(self, surroundings: Surroundings, settings: Settings, reread: Reread) -> None:
        self._shared = surroundings
        self._settings = settings
        self._reread = reread
        self.further: list[tuple[str, Callable[[], None]]] = []
        """What else is read again: its name, and a function that does it or raises
        ConfigurationError, and then has changed nothing."""

    async def reload(self) -> bool:
        """Read everything again; whether all of it could be. Errors: none."""
        outcomes = [await self._policy()]
        outcomes += [self._one(what, work) for what, work in self.further]
        return all(outcomes)

    async def _policy(self) -> bool:
        context = self._shared.context
        try:
            settings, policy = await asyncio.to_thread(self._reread)
            context.adopt(policy)
        except Exception as error:  # noqa: BLE001 - the last good one stays in force
            self._shared.sinks.metrics.policy_load_failed()
            self._failed(POLICY, error)
            _log.error("policy %s stays in force", context.policy.version)
            return False
        rules = [(rule.id, rule.severity) for rule in policy.rules]
        metrics = self._shared.sinks.metrics
        metrics.policy_loaded(rules, policy.budgets, policy.version, at=clock.wall())
        metrics.reloaded(POLICY, succeeded=True)
        for relay in tuple(self._shared.relays):
            relay.happened(e.PolicyChanged())
        _log.info("policy %s is in force", policy.version)
        self._tell_changes(settings)
        return True

    def _one(self, what: str, work: Callable[[], None]) -> bool:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the last good ones stay in force
            self._failed(what, error)
            return False
        self._shared.sinks.metrics.reloaded(what, succeeded=True)
        _log.info("%s read again", what)
        return True

    def _failed(self, what: str, error: Exception) -> None:
        self._shared.sinks.metrics.reloaded(what, succeeded=False)
        if not isinstance(error, ConfigurationError):
            self._shared.sinks.metrics.internal_error("other")
            _log.error("%s cannot be read again: %s", what, type(error).__name__, exc_info=error)
            return
        for problem in error.problems:
            _log.error("%s cannot be read again: %s", what, problem)

    def _tell_changes(self, settings: Settings) -> None:
        names = [one.name for one in fields(settings) if one.name not in _FOR_POLICY]
        changed = [
            name for name in names if getattr(settings, name) != getattr(self._settings, name)
        ]
        if changed:
            _log.warning("changed settings hold after a restart: %s", ", ".join(changed))
