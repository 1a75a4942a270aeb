"""A block of a rule file that says something of roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Block(Generic[T]):
    """What is written, the roles it names, and what takes a problem and the key it is about."""

    data: T
    roles: frozenset[str]
    tell: Callable[[str, str], None]
