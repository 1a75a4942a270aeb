"""What a principal usually does: its forms of statements, how many in a minute, what goes wrong.

Learned while the process runs and bounded for each principal. Nothing here refuses: it says how far
a moment is from what was before, and until enough is known it says nothing.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

HOUR_SECONDS: Final = 3600.0
LEARNING_SECONDS: Final = 86_400.0  # until then a form of statement, or a name, is never called new
MAX_TEMPLATES: Final = 2048  # of a principal with more, none is called new
MAX_RECENT: Final = 256
USUAL_MINUTES: Final = 60  # with traffic, until it is known how many are usual
FEWEST_IN_A_MINUTE: Final = 20  # fewer are no burst for anybody
_FADES: Final = 1 / 64  # how much a minute weighs in what is usual
_MINUTE_SECONDS: Final = 60.0
HABITS_BYTES: Final = MAX_TEMPLATES * 96 + 4 * MAX_RECENT * 64  # of one principal, at most


class Recent:
    """How often something happened within the last hour; counted up to ``MAX_RECENT``."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MAX_RECENT)

    def add(self, now: float) -> None:
        """It happened."""
        self._times.append(now)

    def count(self, now: float) -> int:
        """Return how often."""
        while self._times and now - self._times[0] >= HOUR_SECONDS:
            self._times.popleft()
        return len(self._times)


class Distinct:
    """How many different things were met within the last hour; counted up to ``MAX_RECENT``."""

    def __init__(self) -> None:
        self._met: OrderedDict[str, float] = OrderedDict()  # by when they were last met

    def add(self, what: str, now: float) -> None:
        """It was met."""
        self._met[what] = now
        self._met.move_to_end(what)
        if len(self._met) > MAX_RECENT:
            self._met.popitem(last=False)

    def count(self, now: float) -> int:
        """Return how many."""
        while self._met and now - next(iter(self._met.values())) >= HOUR_SECONDS:
            self._met.popitem(last=False)
        return len(self._met)


class Templates:
    """The forms of statements that came before. ``now``: since when they are learned."""

    def __init__(self, now: float) -> None:
        self._learns_until = now + LEARNING_SECONDS
        self._known: set[int] = set()

    def __len__(self) -> int:
        return len(self._known)

    def is_new(self, fingerprint: str, now: float) -> bool:
        """Whether none of this form came before; from now on one has.

        ``fingerprint``: hexadecimal digits; '' for what has no form.
        """
        number = int(fingerprint or "0", 16)
        if not number or number in self._known or len(self._known) >= MAX_TEMPLATES:
            return False
        self._known.add(number)
        return now >= self._learns_until


class Pace:
    """How many of something there are in a minute, and how many are usual."""

    def __init__(self) -> None:
        self._minute = -1
        self._count = 0
        self._usual = 0.0  # in a minute that has any, lately
        self._minutes = 0

    def add(self, number: int, now: float) -> int:
        """Count some; return how many times the usual this minute has by now.

        A minute is compared with those before it, so that a burst does not excuse itself.
        """
        minute = int(now // _MINUTE_SECONDS)
        if minute != self._minute:
            self._learn()
            self._minute, self._count = minute, 0
        self._count += number
        if self._minutes < USUAL_MINUTES or self._count < FEWEST_IN_A_MINUTE:
            return 0
        return int(self._count / max(self._usual, 1.0))

    def _learn(self) -> None:
        if not self._count:
            return
        self._minutes += 1
        weight = max(1 / self._minutes, _FADES)  # an average at first, then a moving one
        self._usual += (self._count - self._usual) * weight


class Habits:
    """All of one principal. ``now``: when it was first seen."""

    def __init__(self, now: float) -> None:
        self.began = now
        self.wrong = Recent()
        self.catalog = Distinct()
        self.new_names = Recent()
        self.templates = Templates(now)
        self.statements = Pace()
        self.rows = Pace()
        self.rows_burst = 0  # of the minute that rows were last received in
        self._rows_minute = -1

    def named(self, now: float) -> None:
        """An end user was named that never was before."""
        if now >= self.began + LEARNING_SECONDS:
            self.new_names.add(now)

    def received(self, rows: int, now: float) -> None:
        """Rows about subjects were received."""
        self._rows_minute = int(now // _MINUTE_SECONDS)
        self.rows_burst = self.rows.add(rows, now)

    def asked(self, now: float) -> int:
        """A statement about subjects was sent; return how many times the usual this minute is."""
        burst = self.statements.add(1, now)
        is_now = int(now // _MINUTE_SECONDS) == self._rows_minute
        return max(burst, self.rows_burst if is_now else 0)
