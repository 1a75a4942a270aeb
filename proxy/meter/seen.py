"""Groups that need not be looked at again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

Group = tuple[bytes, ...]  # the keys of one subject, hashed


class SeenGroups:
    """A set of groups; the compiled kernel has one that takes packed groups as they are.

    ``most``: how many it is meant to hold; whoever has more begins anew.
    """

    most = 1 << 16

    def __init__(self) -> None:
        self._groups: set[Group] = set()

    def __len__(self) -> int:
        return len(self._groups)

    def unseen(self, groups: Collection[Group]) -> list[Group]:
        """Return the groups that were not added, each once."""
        seen = self._groups
        if seen.issuperset(groups):
            return []
        return [one for one in dict.fromkeys(groups) if one not in seen]

    def update(self, groups: Collection[Group]) -> None:
        """Add groups."""
        self._groups.update(groups)
