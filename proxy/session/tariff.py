"""What an everyday statement about subjects costs, whatever its constants are.

That does not depend on them but for the keys that its predicates name, its LIMIT, and where a walk
has come to: those are read again from each query.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy import accel
from proxy.meter.ledger import Charge
from proxy.meter.walk import MAX_CONSTANTS
from proxy.session.asking import asked_charge
from proxy.session.bound_keys import NO_KEYS, bound_text, keys_of
from proxy.session.following import decode_constants, is_worth_following, most_subjects
from proxy.sql.steps import Use, steps_of
from proxy.terms.facts import KeyFilter, Kind, Literal, Parameter, StatementFacts
from proxy.wire.frontend import decode_bind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.meter.plan import ChargePlan
    from proxy.meter.runs import RunCharger
    from proxy.meter.walk import Constant
    from proxy.session.bound_keys import Keys

_KINDS: Final = frozenset({Kind.SELECT, Kind.INSERT, Kind.UPDATE, Kind.DELETE})
_HEADER_BYTES: Final = 5
_LENGTH: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True, eq=False)
class Tariff:
    """What one known statement costs; shared by the sessions of a principal.

    Args:
        facts: of the statement that it was learnt from.
        uses: what its constants are for, in order; the first few.
        values: the constants of an extended query in order; None: they are literals of a Query.
        limit: which literal is the LIMIT, and what it was; None: none is.
        plan: how its rows are charged.
        runs: charges them; None: they cost nothing.
        valid_until: then the planner is asked again, by the clock of the session.
    """

    facts: StatementFacts
    uses: tuple[bool, ...]
    values: tuple[str | Parameter, ...] | None
    limit: tuple[int, str] | None
    plan: ChargePlan
    runs: RunCharger | None
    valid_until: float
    asking: Charge
    is_followed: bool
    subjects: int  # that one result can hold at most, as far as anyone can tell

    def read(self, query: bytes) -> tuple[list[Constant], Keys] | None:
        """Return the constants of a query and the keys that it names, where these are charged.

        None: it costs something else.
        """
        return self._read_literals(query) if self.values is None else self._read_bound(query)

    def _read_literals(self, query: bytes) -> tuple[list[Constant], Keys] | None:
        values = accel.query_literals(query)
        if values is None or (self.limit is not None and values[self.limit[0]] != self.limit[1]):
            return None
        keys = NO_KEYS
        if self.plan.fixed:
            keys = keys_of([_with_values(one, values) for one in self.facts.key_filters])
            if not keys:
                return None
        return list(zip(values, self.uses, strict=False)), keys  # the first few of them

    def _read_bound(self, query: bytes) -> tuple[list[Constant], Keys] | None:
        start = _after_parse(query)
        end = start + 1 + int(_LENGTH.unpack_from(query, start + 1)[0])
        bind = decode_bind(query[start + _HEADER_BYTES : end])
        if bind is None:
            return None
        keys = NO_KEYS
        if self.plan.fixed:
            keys = keys_of(self.facts.key_filters, bind.parameters, bind.formats)
            if not keys:
                return None
        read = [
            bound_text(one, bind.parameters, bind.formats) if isinstance(one, Parameter) else one
            for one in self.values or ()
        ]
        return list(zip(read, self.uses, strict=True)), keys


def make_tariff(
    facts: StatementFacts,
    text: bytes,
    plan: ChargePlan,
    runs: RunCharger | None,
    *,
    is_query: bool,
    valid_until: float,
) -> Tariff | None:
    """Return what a statement costs that was judged and charged; None: constants decide it.

    Args:
        facts: those that it was judged by.
        text: as sent.
        plan: how its rows were charged.
        runs: see ``Tariff``.
        is_query: it was a Query, and its literals will be others.
        valid_until: see ``Tariff``.
    """
    decoded = decode_constants(text)
    template = accel.cut_literals(decoded)
    if template is None or not _is_constant(facts, with_literals=is_query and bool(template.slots)):
        return None
    steps = steps_of(decoded, template, MAX_CONSTANTS)
    if is_query and template.parameters:
        return None
    limit = None
    if is_query and facts.row_bound_slot is not None:
        limit = (facts.row_bound_slot, template.slots[facts.row_bound_slot].value)
    return Tariff(
        facts,
        tuple(step.use is Use.BEYOND for step in steps),
        None if is_query else tuple(step.value for step in steps),
        limit,
        plan,
        runs,
        valid_until,
        asked_charge(facts) if facts.reads_subjects else Charge(),
        is_worth_following(facts),
        most_subjects(facts),
    )


def is_chargeable(facts: StatementFacts) -> bool:
    """Whether a statement is of a sort whose cost can be known beforehand."""
    return (
        facts.kind in _KINDS
        and (facts.kind is Kind.SELECT or not facts.returns_rows)
        and facts.opaque is None
        and facts.shape is not None
        and not (facts.unknown_functions or facts.unknown_relations or facts.stages_keys)
        and not isinstance(facts.row_bound, Parameter)
        and not any(key.is_array for key in facts.key_filters)
    )


def _is_constant(facts: StatementFacts, *, with_literals: bool) -> bool:
    """Whether the facts that are charged by hold for other constants as well.

    The planner is asked about each text whose constants decide how much there is.
    """
    if not with_literals:
        return True
    values = [one for key in facts.key_filters for one in key.values]
    known = all(isinstance(one, Literal) and one.slot is not None for one in values)
    is_planned = facts.bounded_by_keys or not facts.reads_subjects
    return facts.fits_keys and is_planned and known


def _with_values(filtered: KeyFilter, literals: Sequence[str]) -> KeyFilter:
    slots = [one.slot for one in filtered.values if isinstance(one, Literal)]
    values = tuple(Literal(literals[slot], slot) for slot in slots if slot is not None)
    return KeyFilter(filtered.space, values)


def _after_parse(query: bytes) -> int:
    return 1 + int(_LENGTH.unpack_from(query, 1)[0]) if query[:1] == b"P" else 0
