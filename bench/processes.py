"""CPU time and private memory of processes, read from /proc.

Source: proc(5): fields 14 and 15 of /proc/<pid>/stat, /proc/<pid>/smaps_rollup.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PRIVATE: Final = ("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:")
_AFTER_NAME: Final = 3  # fields are counted from 1, and the first two end with the name


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process and of those it started that still run."""
    return sum(_own_cpu_seconds(one) for one in _family(process))


def private_bytes(process: int) -> int:
    """Return the bytes that would be free if the process ended; not of those it started."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text("ascii").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(_PRIVATE))


def resident_bytes(process: int, *, most: bool = False) -> int:
    """Return the bytes of memory a process has; ``most``: the most that it ever had."""
    name = "VmHWM:" if most else "VmRSS:"
    lines = Path(f"/proc/{process}/status").read_text("ascii", "replace").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(name))


def _own_cpu_seconds(process: int) -> float:
    try:
        text = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
    except FileNotFoundError:
        return 0.0
    fields = text[text.rindex(")") + 2 :].split()  # a name may hold anything, brackets too
    return (int(fields[14 - _AFTER_NAME]) + int(fields[15 - _AFTER_NAME])) / _TICKS


def _family(process: int) -> list[int]:
    found = [process]
    for one in found:
        for path in Path(f"/proc/{one}/task").glob("*/children"):
            found.extend(int(child) for child in path.read_text("ascii").split())
    return found
