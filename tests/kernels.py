"""The kernels that are installed here, so that one test can ask the same of each."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from proxy.accel import _python, lane_state
from proxy.meter import runs, subjects
from proxy.wire import frames

if TYPE_CHECKING:
    from _pytest.mark import MarkDecorator


class InPython:
    """What the compiled kernel has, from where it is specified."""

    Known = lane_state.Known
    LaneCounts = lane_state.LaneCounts
    LaneState = lane_state.LaneState
    answer_rows = staticmethod(_python.answer_rows)
    end_of_run = staticmethod(frames.end_of_run)
    extended_key = staticmethod(_python.extended_key)
    query_template = staticmethod(_python.query_template)
    RunCharger = runs.RunCharger
    Subjects = subjects.Subjects


def _compiled() -> Any:
    """Return the compiled kernel or None; where it must be there, its absence is a failure."""
    try:
        return importlib.import_module("vigie_native")
    except ImportError:
        if os.environ.get("PROXY_ACCEL") == "compiled":
            raise
        return None


COMPILED: Final = _compiled()
KERNELS: Final[dict[str, Any]] = {"python": InPython}
if COMPILED is not None:
    KERNELS["compiled"] = COMPILED
each_kernel: Final[MarkDecorator] = pytest.mark.parametrize(
    "kernel", KERNELS.values(), ids=list(KERNELS)
)
