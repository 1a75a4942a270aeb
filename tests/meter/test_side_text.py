"""disclosed_bytes: how much of an error or notice may be subjects' data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.meter.side_text import disclosed_bytes
from proxy.terms.facts import Kind, StatementFacts

if TYPE_CHECKING:
    from collections.abc import Callable

READ = "select nir::int from lab.patient where id = 5"
WRITE = "insert into lab.patient (nir) values ('1')"


@pytest.mark.parametrize(
    ("text", "fields", "sent", "size"),
    [
        (READ, {"C": b"22P02", "M": b'invalid input: "184"'}, b"", 3),
        (
            READ,
            {"C": b"22P02", "M": "valeur re\xe7ue \xab 184 \xbb".encode("latin-1")},
            b"",
            3,
        ),
        (READ, {"C": b"22P02", "M": b'invalid input: "184"'}, b"... 184 ...", 0),
        (READ, {"C": b"42703", "M": b'column "nim" does not exist', "P": b"8"}, b"", 0),
        (READ, {"C": b"42P01", "M": b'relation "x184" does not exist'}, b"nir::regclass", 4),
        (READ, {"C": b"42704", "M": b'type "x184" does not exist'}, b"nir::regtype", 4),
        (READ, {"C": b"3F000", "M": b'schema "184" does not exist'}, b"", 3),
        (READ, {"C": b"54000", "M": b"character too large for encoding: 184"}, b"", 3),
        (READ, {"C": b"40P01", "D": b'Process 1 waits for "x" of process 2.'}, b"", 0),
        (READ, {"C": b"57014", "M": b"canceling statement"}, b"", 0),
        (READ, {"M": b'no code: "184"'}, b"", 0),
        (WRITE, {"C": b"23505", "D": b"Key (nir)=(184) already exists."}, b"nir", 3),
        (WRITE, {"C": b"23505", "D": b"Key (nir)=(184) already exists."}, b"nir 184", 0),
        (WRITE, {"C": b"23514", "D": b"Failing row contains (1, 184, null)."}, b"", 8),
        (READ, {"C": b"22P02", "M": b'invalid input: ""184"'}, b"", 6),
        (READ, {"C": b"22007", "M": b'invalid value "a" 184 "b" for "YYYY"'}, b"", 22),
        (WRITE, {"C": b"23505", "M": b'violates "p_key"', "n": b"p_key"}, b"", 0),
        (WRITE, {"C": b"23502", "M": b'null in "a" of "b"', "c": b"a", "t": b"b"}, b"", 0),
        ("select 1/0", {"C": b"22012", "M": b'division: "1"'}, b"", 0),
        (
            "do $$begin execute a; end$$",
            {"C": b"P0001", "M": b"12345", "D": b"67", "H": b"8"},
            b"",
            8,
        ),
        ("select foo()", {"C": b"P0001", "M": b"12345", "W": b"in foo"}, b"12345", 11),
    ],
)
def test_what_is_charged(
    facts: Callable[..., StatementFacts],
    text: str,
    fields: dict[str, bytes],
    sent: bytes,
    size: int,
) -> None:
    """Values that the server quotes, but not what was sent for it; of unread code everything."""
    assert disclosed_bytes(fields, facts(text), [sent]) == size


@pytest.mark.parametrize("kind", [Kind.DO, Kind.CALL, Kind.FUNCTION_CALL])
def test_code_of_its_own_is_charged_whole(kind: Kind) -> None:
    """What it says is its own wording; nobody knows what is in it."""
    found = StatementFacts(kind, opaque="unread")

    assert disclosed_bytes({"C": b"00000", "M": b"12345"}, found, []) == 5
