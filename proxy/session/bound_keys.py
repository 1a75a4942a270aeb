"""The subject keys that the predicates of a statement name, as literals or bound parameters.

Source: PostgreSQL documentation, "Array Input and Output Syntax"; ``array_send`` for the binary
form.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.meter.keys import canonical_value
from proxy.terms.facts import Literal, Parameter
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.terms.facts import KeyFilter, StatementFacts

Keys = tuple[tuple[str, bytes], ...]
NO_KEYS: Final[Keys] = ()
_BINARY: Final = 1
_INTEGER_BY_SIZE: Final = {2: 21, 4: 23, 8: 20}  # bytes -> type OID
_INT32: Final = struct.Struct(">i")
_ARRAY_HEAD: Final = struct.Struct(">iiIii")  # dimensions, has nulls, type, length, lower bound


def named_keys(
    facts: StatementFacts,
    parameters: Sequence[bytes | None] = (),
    formats: Sequence[int] = (),
) -> Keys:
    """Return (space, canonical value) of every key that the statement names.

    Empty if one of them cannot be read: then nothing is known to be bounded by them.

    Args:
        facts: of the statement.
        parameters: as bound, None for NULL.
        formats: of the parameters: none (text), one for all, or one for each.
    """
    return keys_of(facts.key_filters, parameters, formats)


def keys_of(
    key_filters: Iterable[KeyFilter],
    parameters: Sequence[bytes | None] = (),
    formats: Sequence[int] = (),
) -> Keys:
    """Return the keys of these predicates alone; see ``named_keys``."""
    found: dict[tuple[str, bytes], None] = {}
    for key_filter in key_filters:
        values = _values_of(key_filter, parameters, formats)
        if values is None:
            return NO_KEYS
        found.update(dict.fromkeys((key_filter.space, value) for value in values))
    return tuple(found)


def row_limit(
    parameter: Parameter, parameters: Sequence[bytes | None], formats: Sequence[int]
) -> int | None:
    """Return the number that LIMIT ``$n`` has; None: it is NULL, so there is no limit.

    Errors: ValueError if it cannot be read.
    """
    value, form = _bound(parameter.number, parameters, formats)
    if value is None:
        return None
    text = canonical_value(value, _INTEGER_BY_SIZE.get(len(value), 0) if form else 0, form)
    return int(text)


def with_bound(
    facts: StatementFacts, parameters: Sequence[bytes | None], formats: Sequence[int]
) -> StatementFacts:
    """Return the facts with the number that LIMIT ``$n`` has, and how many keys arrays hold."""
    if isinstance(facts.row_bound, Parameter):
        try:
            bound = row_limit(facts.row_bound, parameters, formats)
        except ValueError:
            pass  # it stays a bound that nobody knows
        else:
            facts = replace(facts, row_bound=bound)
    if any(key.is_array for key in facts.key_filters):
        keys = named_keys(facts, parameters, formats)
        facts = replace(facts, bound_keys=len(keys) if keys else UNKNOWN)
    return facts


def bound_octets(
    parameter: Parameter, parameters: Sequence[bytes | None], formats: Sequence[int]
) -> bytes | None:
    """Return the value of a parameter as it was sent, which a text is in either format.

    Errors: ValueError, IndexError if there is none.
    """
    return _bound(parameter.number, parameters, formats)[0]


def bound_text(
    parameter: Parameter, parameters: Sequence[bytes | None], formats: Sequence[int]
) -> str:
    """Return the value of a parameter as text, a binary integer as its digits; '' if there is none.

    Errors: none.
    """
    try:
        value, form = _bound(parameter.number, parameters, formats)
        found = b"" if value is None else _canonical(value, form)
    except (ValueError, IndexError, struct.error):
        return ""
    return found.decode("latin-1")


def _values_of(
    key_filter: KeyFilter, parameters: Sequence[bytes | None], formats: Sequence[int]
) -> list[bytes] | None:
    found: list[bytes] = []
    for one in key_filter.values:
        try:
            found += _read(one, parameters, formats, is_array=key_filter.is_array)
        except (ValueError, struct.error):
            return None
    return found


def _read(
    one: Literal | Parameter,
    parameters: Sequence[bytes | None],
    formats: Sequence[int],
    *,
    is_array: bool,
) -> Iterable[bytes]:
    if isinstance(one, Literal):
        value: bytes | None = one.value.encode()
        form = 0
    else:
        value, form = _bound(one.number, parameters, formats)
    if value is None:
        return []
    if not is_array:
        return [_canonical(value, form)]
    items = _binary_items(value) if form == _BINARY else _text_items(value)
    return [_canonical(item, form) for item in items]


def _bound(
    number: int, parameters: Sequence[bytes | None], formats: Sequence[int]
) -> tuple[bytes | None, int]:
    if not 1 <= number <= len(parameters):
        raise ValueError(number)
    if len(formats) > 1:
        return parameters[number - 1], formats[number - 1]
    return parameters[number - 1], formats[0] if formats else 0


def _canonical(value: bytes, form: int) -> bytes:
    # the type is not known; integers are told by their size, anything else stays as it is
    type_oid = _INTEGER_BY_SIZE.get(len(value), 0) if form == _BINARY else 0
    return canonical_value(value, type_oid, form)


def _text_items(value: bytes) -> list[bytes]:
    body = value.strip()
    if not (body.startswith(b"{") and body.endswith(b"}")) or b"{" in body[1:] or b'"' in body:
        raise ValueError(value)
    items = [item.strip() for item in body[1:-1].split(b",")]
    return [item for item in items if item and item.upper() != b"NULL"]


def _binary_items(value: bytes) -> list[bytes]:
    (dimensions,) = _INT32.unpack_from(value)
    if dimensions == 0:
        return []
    if dimensions != 1:
        raise ValueError(dimensions)
    _, _, _, count, _ = _ARRAY_HEAD.unpack_from(value)
    at, items = _ARRAY_HEAD.size, []
    for _ in range(count):
        (length,) = _INT32.unpack_from(value, at)
        at += 4
        if length >= 0:
            items.append(value[at : at + length])
            at += length
    if at != len(value):
        raise ValueError(at)
    return items
