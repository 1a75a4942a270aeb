"""What the command line says of settings and rules, not yet read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """The file of settings, and what goes over it by key of vigie.yaml; None: not given."""

    config: Path | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
