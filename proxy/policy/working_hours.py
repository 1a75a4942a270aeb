"""``working_hours:`` of a site to hours by a clock of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from proxy.terms.working_hours import DAYS, WorkingHours, minute_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.policy.blocks import Block
    from proxy.policy.schema import WorkingHoursData


def read_working_hours(blocks: Iterable[Block[WorkingHoursData]]) -> tuple[WorkingHours, ...]:
    """Return the hours of all blocks that are right."""
    return tuple(hours for block in blocks if (hours := _read(block)) is not None)


def _read(block: Block[WorkingHoursData]) -> WorkingHours | None:
    data, tell = block.data, block.tell
    first, _, last = data.hours.partition("-")
    begins, ends = minute_of(first), minute_of(last)
    if begins is None or ends is None or begins == ends:
        tell(f"'{data.hours}' are no hours, expected ones like 07:00-19:30", "hours")
    try:
        zone = ZoneInfo(data.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        tell(f"unknown time zone '{data.time_zone}', expected one like Europe/Paris", "time_zone")
        return None
    if begins is None or ends is None:
        return None
    return WorkingHours(block.roles, frozenset(map(DAYS.index, data.days)), begins, ends, zone)
