"""``vigie demo``: the demonstration, if what it needs is installed."""

from __future__ import annotations

from typing import Any, Final

from proxy.errors import VigieError

_OWN: Final = "proxy"


class DemoNotInstalledError(VigieError):
    """A package that only the demonstration needs is missing."""


def run_demonstration(*, patients: int | None, seed: int | None, **others: Any) -> int:
    """Run the demonstration and return its exit status; None: its own default.

    Errors: DemoNotInstalledError.
    """
    try:
        # needs packages that may be missing
        from proxy.demo.lab import PATIENTS, SEED  # noqa: PLC0415
        from proxy.demo.run import run_demo  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == _OWN:
            raise
        raise DemoNotInstalledError(
            f"the demonstration needs {error.name}: pip install 'vigie[demo]'"
        ) from None
    return run_demo(
        PATIENTS if patients is None else patients,
        seed=SEED if seed is None else seed,
        **others,
    )
