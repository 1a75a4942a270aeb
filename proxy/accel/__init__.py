"""The few hot functions, compiled if they can be: one switch between two implementations.

``PROXY_ACCEL``: ``auto`` (the default), ``python`` or ``compiled``; one that is asked for by name
and is not there is an error at the start.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from proxy.accel import _python
from proxy.errors import ConfigurationError
from proxy.meter import runs
from proxy.wire import frames

if TYPE_CHECKING:
    from collections.abc import Callable

_WANTED: Final = os.environ.get("PROXY_ACCEL", "auto")
if _WANTED not in {"auto", "python", "compiled"}:
    raise ConfigurationError(
        [f"PROXY_ACCEL: '{_WANTED}' is no kernel, expected auto, python or compiled"]
    )

IMPLEMENTATION = "python"
query_template: Callable[[bytes], bytes | None] = _python.query_template
answer_rows: Callable[[bytes, bytes, bool], int] = _python.answer_rows
extended_key: Callable[[bytes], tuple[bool, bool, bytes, bytes] | None] = _python.extended_key
end_of_run: frames.EndOfRun = frames.end_of_run
RunCharger: Callable[..., runs.RunCharger] = runs.RunCharger

if _WANTED != "python":
    try:
        import vigie_native
    except ImportError as error:
        if _WANTED == "compiled":
            raise ConfigurationError(
                ["PROXY_ACCEL: the compiled kernel is not installed, expected python or auto"]
            ) from error
    else:
        IMPLEMENTATION = "compiled"
        query_template = vigie_native.query_template
        answer_rows = vigie_native.answer_rows
        extended_key = vigie_native.extended_key  # the same values as a plain tuple
        end_of_run = vigie_native.end_of_run
        RunCharger = vigie_native.RunCharger
