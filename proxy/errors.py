"""The tree of our errors. Each carries the SQLSTATE it is reported with.

Source: PostgreSQL documentation, appendix A, "PostgreSQL Error Codes".
"""

from __future__ import annotations

from typing import ClassVar


class VigieError(Exception):
    """Any error that Vigie raises on purpose."""

    sqlstate: ClassVar[str] = "XX000"


class WireError(VigieError):
    """Bytes that are not the PostgreSQL protocol, or a message that may not come now."""

    sqlstate = "08P01"


class ConfigurationError(VigieError):
    """A setting, rule file or schema map that cannot be used.

    ``problems`` holds every fault found, each as ``file:line:column: what, what was expected``.
    """

    sqlstate = "F0000"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UpstreamError(VigieError):
    """The backend cannot be reached or was lost."""

    sqlstate = "08006"
