"""When a role works, by the site's own clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import tzinfo

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """From one minute of the day up to another, on some days of the week (0 is Monday).

    ``ends`` not after ``begins``: on the next day.
    """

    roles: frozenset[str]
    days: frozenset[int]
    begins: int
    ends: int
    zone: tzinfo

    def covers(self, wall: float) -> bool:
        """Whether a moment, in seconds since 1970, is within them."""
        local = datetime.fromtimestamp(wall, self.zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.begins < self.ends:
            return day in self.days and self.begins <= minute < self.ends
        since = day in self.days and minute >= self.begins
        return since or ((day - 1) % len(DAYS) in self.days and minute < self.ends)


def minute_of(text: str) -> int | None:
    """Return the minute of the day of ``07:30``; None: it is none. ``24:00`` is the end of it."""
    hours, _, minutes = text.partition(":")
    if not (hours.isdecimal() and minutes.isdecimal()) or int(minutes) >= 60:  # noqa: PLR2004
        return None
    found = int(hours) * 60 + int(minutes)
    return found if found <= _DAY_MINUTES else None
