"""Idle sessions end: not before their time, and only while they wait for their frontend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from proxy.net.idle import IdleWatch

if TYPE_CHECKING:
    from proxy.net.relay import Relay
    from proxy.session import events as e


@dataclass(eq=False)
class Idle:
    """Stands for a relay and its session."""

    is_waiting: bool = True
    is_in_transaction: bool = False
    heard_at: float = 0.0
    told: list[e.Event] = field(default_factory=list)

    @property
    def session(self) -> Idle:
        """Return the session of this relay: itself."""
        return self

    def happened(self, event: e.Event) -> None:
        """Keep what the relay is told."""
        self.told.append(event)


def ended(watch: IdleWatch, relay: Idle, *moments: float) -> list[float]:
    """Return the moments at which the relay was told to end."""
    found = []
    for now in moments:
        relay.told.clear()
        watch.look([cast("Relay", relay)], now)
        found += [now] * len(relay.told)
    return found


def test_a_session_ends_when_it_was_idle_for_so_long() -> None:
    """Counted from the first look at which it was."""
    assert ended(IdleWatch(10, 0), Idle(), 100, 105, 109, 110) == [110]


def test_within_a_transaction_there_is_another_limit() -> None:
    """Each has its own; one of 0 is none."""
    assert ended(IdleWatch(10, 0), Idle(is_in_transaction=True), 0, 50, 500) == []
    assert ended(IdleWatch(0, 10), Idle(is_in_transaction=True), 0, 50) == [50]
    assert ended(IdleWatch(0, 10), Idle(), 0, 50, 500) == []


def test_whoever_says_something_begins_anew() -> None:
    """Also if it was idle at each look."""
    watch, relay = IdleWatch(10, 0), Idle()
    before = ended(watch, relay, 0, 9)
    relay.heard_at = 9.5

    assert before == []
    assert ended(watch, relay, 10, 19, 20) == [20]


def test_a_long_statement_is_not_idleness() -> None:
    """Only the time after its end counts."""
    watch, relay = IdleWatch(10, 0), Idle(is_waiting=False)
    before = ended(watch, relay, 0, 100)
    relay.is_waiting = True

    assert before == []
    assert ended(watch, relay, 101, 110, 111) == [111]


async def test_without_limits_nobody_looks() -> None:
    """Nothing is paid for what is not wanted."""
    await IdleWatch(0, 0).watch([])


def test_sessions_that_are_gone_are_forgotten() -> None:
    """What is kept is no more than what is open."""
    watch = IdleWatch(10, 10)
    watch.look([cast("Relay", Idle()) for _ in range(100)], 0)
    watch.look([], 1)

    assert watch._since == {}
