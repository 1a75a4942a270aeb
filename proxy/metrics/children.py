"""The children of a metric, looked up once: ``labels()`` costs more than the counting itself."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import Counter, Gauge

from proxy.metrics.declared import OTHER

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from proxy.metrics.declared import Declaration

T = TypeVar("T", Counter, Gauge)


class Children(Generic[T]):
    """One metric with its children by label values, each made at 0 as soon as it is known.

    A counter that is born at 1 shows no increase to Prometheus: the first refusal would be
    missed. So closed sets are made at once, and what the policy closes is made by ``add``.
    """

    def __init__(
        self, make: type[T], declaration: Declaration, registry: CollectorRegistry
    ) -> None:
        names = tuple(declaration.labels)
        self._metric: T = make(declaration.name, declaration.help, names, registry=registry)
        self._known = [set(values) for values in declaration.labels.values()]
        self._children: dict[tuple[str, ...], T] = {}
        for values in product(*declaration.labels.values()):
            self.add(*values)

    def add(self, *values: str) -> T:
        """Make the child of these values, which are known from now on."""
        child = self._children.get(values)
        if child is None:
            child = self._metric.labels(*values)
            self._children[values] = child
            for known, value in zip(self._known, values, strict=True):
                known.add(value)
        return child

    def child(self, *values: str) -> T:
        """Return the child of these values; values that are not known count as ``other``."""
        found = self._children.get(values)
        if found is not None:
            return found
        return self.add(
            *(
                value if value in known else OTHER
                for known, value in zip(self._known, values, strict=True)
            )
        )

    def knows(self, place: int, value: str) -> bool:
        """Whether the label at this place, counted from 0, has had this value."""
        return value in self._known[place]

    def every(self) -> list[T]:
        """Return all children."""
        return list(self._children.values())

    def clear(self) -> None:
        """Forget all children, for a metric whose labels are its value."""
        for values in self._children:
            self._metric.remove(*values)
        self._children.clear()
