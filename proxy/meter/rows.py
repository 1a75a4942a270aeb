"""Apply a charge plan to the rows of a result, one charge for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import WireError
from proxy.meter.keys import canonical_value, hash_key
from proxy.meter.ledger import Charge
from proxy.meter.statement_texts import named_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.meter.plan import ChargePlan


_LITERAL: Final = "literal"  # the space of what is named in texts of statements


class RowCharger:
    """Turns rows into charges under one plan.

    ``secret`` keys the hashes of subject keys; ``bytes_per_subject`` is the fewest bytes that can
    identify one subject.
    """

    def __init__(self, plan: ChargePlan, *, secret: bytes, bytes_per_subject: int) -> None:
        self.plan = plan
        self._secret = secret
        self._bytes_per_subject = bytes_per_subject
        self._width = 1 + max(
            (*(key.index for key in plan.keys), *plan.values, *plan.packed, *plan.texts),
            default=-1,
        )
        self.fixed: tuple[tuple[bytes, ...], ...] = tuple(
            (hash_key(secret, space, value),) for space, value in plan.fixed
        )

    def charge_row(self, values: Sequence[bytes | None], size_bytes: int) -> Charge:
        """Return the charge of one row; ``size_bytes`` is that of the message.

        Raises:
            WireError: the row has fewer values than its description has columns.
        """
        plan = self.plan
        if len(values) < self._width:
            raise WireError(f"a row has {len(values)} values, expected at least {self._width}")
        if plan.everything:
            anonymous = self._subjects_in(sum(len(v) for v in values if v is not None))
            return Charge(anonymous=anonymous, rows=1, size_bytes=size_bytes)
        if plan.fixed:
            return Charge(groups=self.fixed, rows=1, size_bytes=size_bytes)
        keys = self._keys_of(values)
        anonymous = self._subjects_in(
            sum(len(v) for i in plan.packed if (v := values[i]) is not None)
        )
        if plan.linked:
            groups: tuple[tuple[bytes, ...], ...] = (keys,) if keys else ()
            if not keys and any(values[i] is not None for i in plan.values):
                anonymous += 1
        else:
            groups = tuple((key,) for key in keys)
            anonymous += sum(values[i] is not None for i in plan.values)
        for index in plan.texts:
            named, more = self._named_in(values[index])
            groups, anonymous = (*groups, *named), anonymous + more
        if plan.is_free or plan.counts_rows:
            groups, anonymous = (), 0
        return Charge(groups=groups, anonymous=anonymous, rows=1, size_bytes=size_bytes)

    def charge_unread(self, size_bytes: int) -> Charge:
        """Return the charge of a row that was not looked into: by its size.

        A row that is known to be about one subject costs one, however large it is.
        """
        plan = self.plan
        if plan.counts_rows:
            return Charge(rows=1, size_bytes=size_bytes)
        if plan.fixed:
            return Charge(groups=self.fixed, rows=1, size_bytes=size_bytes)
        alone = plan.linked and not plan.packed and not plan.everything
        anonymous = 1 if alone else self._subjects_in(size_bytes)
        return Charge(anonymous=anonymous, rows=1, size_bytes=size_bytes)

    def _keys_of(self, values: Sequence[bytes | None]) -> tuple[bytes, ...]:
        # a key that is blank is nobody's: all rows without one would be one subject
        return tuple(
            hash_key(self._secret, key.space, canonical)
            for key in self.plan.keys
            if (value := values[key.index]) is not None
            and (canonical := canonical_value(value, key.type_oid, key.form))
        )

    def _named_in(self, value: bytes | None) -> tuple[list[tuple[bytes, ...]], int]:
        """Return a group for each literal of a text, and how many subjects it holds beside."""
        if value is None:
            return [], 0
        found = named_in(value)
        if found is None:
            return [], self._subjects_in(len(value))
        names, more = found
        groups: list[tuple[bytes, ...]] = [
            (hash_key(self._secret, _LITERAL, one),) for one in dict.fromkeys(names)
        ]
        return groups, self._subjects_in(more)

    def _subjects_in(self, size_bytes: int) -> int:
        return -(-size_bytes // self._bytes_per_subject)
