"""The few hot functions, compiled if they can be: one switch between two implementations.

``PROXY_ACCEL``: ``auto`` (the default), ``python`` or ``compiled``; one that is asked for by name
and is not there is an error at the start.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from proxy.accel import _python, lane_state
from proxy.content import scanners
from proxy.errors import ConfigurationError
from proxy.meter import runs, subjects
from proxy.sql import template
from proxy.wire import frames

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    class PortType(Protocol):
        """One socket of a relay: reads it, and sends what the lane passes to the peer.

        ``takes``: whether what is sent is written at once.
        """

        takes: bool

        def __init__(self, number: int, side: object, /, *, is_frontend: bool) -> None: ...

        def link(self, peer: PortType | None, lane: lane_state.LaneState | None, /) -> None:
            """From now on send to ``peer`` what the lane passes; None: nothing."""

        def readable(self) -> None:
            """There are bytes to read, and nothing else is known."""

        def woken(self) -> None:
            """There may be anything."""


_REVISION: Final = 4  # of the compiled kernel that this goes with
_WANTED: Final = os.environ.get("PROXY_ACCEL", "auto")
if _WANTED not in {"auto", "python", "compiled"}:
    raise ConfigurationError(
        [f"PROXY_ACCEL: '{_WANTED}' is no kernel, expected auto, python or compiled"]
    )

IMPLEMENTATION = "python"
query_template: Callable[[bytes], bytes | None] = _python.query_template
query_literals: Callable[[bytes], list[str] | None] = _python.query_literals
answer_rows: Callable[[bytes, bytes, bool], int] = _python.answer_rows
extended_key: Callable[[bytes], tuple[bool, bool, bytes, bytes] | None] = _python.extended_key
Known: type[lane_state.Known] = lane_state.Known
LaneCounts: type[lane_state.LaneCounts] = lane_state.LaneCounts
LaneState: type[lane_state.LaneState] = lane_state.LaneState
Port: type[PortType] | None = None  # without the compiled kernel ``proxy.net.raw`` does its work
Teller: Callable[[int, Mapping[int, object]], Callable[[], None]] | None = None
cut_literals: Callable[[str], template.Template | None] = template.cut_literals
end_of_run: frames.EndOfRun = frames.end_of_run
RunCharger: Callable[..., runs.RunCharger] = runs.RunCharger
Subjects: Callable[[], subjects.Subjects] = subjects.Subjects
content_scanners: scanners.Scanners = scanners.IN_PYTHON


def template_from(cut: Callable[[str], Any]) -> Callable[[str], template.Template | None]:
    """Return what makes one value of the parts that the compiled kernel gives."""

    def cut_literals(text: str) -> template.Template | None:
        found = cut(text)
        if found is None:
            return None
        shown, starts, ends, is_number, *rest = found
        return template.Template(shown, template.Slots(text, starts, ends, is_number), *rest)

    return cut_literals


if _WANTED != "python":
    try:
        import vigie_native
    except ImportError as error:
        if _WANTED == "compiled":
            raise ConfigurationError(
                ["PROXY_ACCEL: the compiled kernel is not installed, expected python or auto"]
            ) from error
    else:
        if getattr(vigie_native, "REVISION", 0) != _REVISION:
            problem = (
                "PROXY_ACCEL: the compiled kernel was built from another version;"
                " install that of this one (in a checkout: make setup), or choose python"
            )
            raise ConfigurationError([problem])
        IMPLEMENTATION = "compiled"
        query_template = vigie_native.query_template
        query_literals = vigie_native.query_literals
        answer_rows = vigie_native.answer_rows
        extended_key = vigie_native.extended_key  # the same values as a plain tuple
        Known = vigie_native.Known
        LaneCounts = vigie_native.LaneCounts
        LaneState = vigie_native.LaneState
        Port = vigie_native.Port
        Teller = vigie_native.Teller
        cut_literals = template_from(vigie_native.cut_literals)
        end_of_run = vigie_native.end_of_run
        RunCharger = vigie_native.RunCharger
        Subjects = vigie_native.Subjects
        content_scanners = scanners.Scanners(
            nirs=scanners.nirs_by(vigie_native.count_nirs),
            rpps=vigie_native.count_rpps,
            phones=vigie_native.count_phones,
            emails=vigie_native.count_emails,
            ibans=vigie_native.count_ibans,
        )
