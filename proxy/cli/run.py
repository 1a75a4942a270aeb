"""``vigie run``: settings and policy to the proxy itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.cli.loading import load

if TYPE_CHECKING:
    from proxy.cli.options import Options
    from proxy.policy import Policy
    from proxy.settings import Settings


def run_proxy(options: Options) -> int:
    """Serve until told to end, and return the exit status. Errors: ConfigurationError."""
    loaded = load(options)
    from proxy.net.run import serve  # noqa: PLC0415 - sockets only once the settings are good

    def reread() -> tuple[Settings, Policy]:
        now = load(options)
        return now.settings, now.policy

    return serve(loaded.settings, loaded.policy, reread)
