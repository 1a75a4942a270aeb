"""Where something is defined that rule files name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy.policy.schema import RuleFile
    from proxy.policy.yaml_marks import Document, Path


@dataclass(frozen=True, slots=True)
class File:
    """One file that could be read."""

    document: Document
    data: RuleFile

    @property
    def folder(self) -> PurePosixPath:
        """Return its folder: a later one's definitions win."""
        return PurePosixPath(self.document.name).parent


@dataclass(frozen=True, slots=True)
class Defined:
    """Something defined under a name: where, for what comes later."""

    file: File
    path: Path
    value: Any = None

    @property
    def at(self) -> str:
        """Return its place as ``file:line:column``."""
        return self.file.document.at(self.path)
