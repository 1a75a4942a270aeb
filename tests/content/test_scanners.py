"""Scanners: each kernel counts in any bytes what the patterns of the specification count."""

from __future__ import annotations

import base64
from typing import Any, Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.accel import content_scanners
from proxy.content.scanners import IN_PYTHON
from proxy.demo.nir import luhn_key, nir_key

NIR: Final = b"285057800608441"
_SEPARATORS: Final = st.sampled_from([b"", b" ", b".", b"-", b"  "])
_PLAIN: Final = st.sampled_from(
    [b"0", b"1", b"2", b"3", b"33", b"8", b"10", b"2A", b"2B", b"AB", b"FR14", b"FR", b"Z", b"a"]
) | st.sampled_from(
    [b"_", b"@", b".", b"-", b" ", b"+", b"+33", b"\0", b"\xe9", b"fr", b"a.b", b"M", b"MTIz"]
)


def _with_key(body: str) -> bytes:
    return (body + nir_key(body)).encode()


def _iban(country: bytes, account: bytes) -> bytes:
    number = int("".join(str(int(chr(one), 36)) for one in account + country + b"00"))
    return country + b"%02d" % (98 - number % 97) + account


def _by(width: int, whole: bytes) -> bytes:
    return b" ".join(whole[at : at + width] for at in range(0, len(whole), width))


nirs = st.builds(
    lambda sex, rest: _with_key(sex + rest),
    st.sampled_from("12"),
    st.one_of(
        st.from_regex(r"\d{12}", fullmatch=True), st.from_regex(r"\d{4}2[AB]\d{6}", fullmatch=True)
    ).map(lambda text: "".join(one if one.isascii() else "7" for one in text)),
)
grouped = st.tuples(nirs, st.lists(_SEPARATORS, min_size=6, max_size=6)).map(
    lambda pair: b"".join(
        part + between
        for part, between in zip(
            [
                pair[0][a:b]
                for a, b in ((0, 1), (1, 3), (3, 5), (5, 7), (7, 10), (10, 13), (13, 15))
            ],
            [*pair[1], b""],
            strict=True,
        )
    )
)
rpps = (
    st.integers(0, 10**9 - 1)
    .map(lambda n: f"10{n:09}"[:10])
    .map(lambda body: (body + luhn_key(body)).encode())
)
phones = st.tuples(
    st.sampled_from([b"06", b"+336", b"+33 6", b"00", b"0"]),
    st.lists(st.tuples(_SEPARATORS, st.sampled_from([b"12", b"99", b"0"])), min_size=3, max_size=5),
).map(lambda pair: pair[0] + b"".join(a + b for a, b in pair[1]))
emails = st.lists(
    st.sampled_from([b"a", b"b-c", b"@", b".", b"..", b"fr", b"x1", b"test", b"%", b"-", b"d"]),
    min_size=3,
    max_size=12,
).map(b"".join)
ibans = st.builds(
    lambda country, account, width: _by(width, _iban(country, account)),
    st.sampled_from([b"FR", b"GB", b"ZZ"]),
    st.text("0123456789ABZ", min_size=6, max_size=32).map(str.encode),
    st.sampled_from([3, 4, 99]),
)
spelled = st.one_of(nirs, grouped, rpps, phones, emails, ibans)
encoded = st.one_of(
    spelled.map(lambda one: one.hex().encode()), spelled.map(base64.b64encode), spelled
)
octets = st.lists(st.one_of(encoded, _PLAIN, st.binary(max_size=5)), max_size=12).map(b"".join)


def _counts(scanners: Any, given_octets: bytes) -> tuple[int, ...]:
    names = ("nirs", "rpps", "phones", "emails", "ibans")
    return tuple(int(getattr(scanners, name)(given_octets)) for name in names)


@settings(max_examples=600, deadline=None)
@given(octets)
@example(NIR.hex().encode() + b"3" + NIR.hex().encode())
@example(b"3" * 61 + NIR.hex().encode())
@example(b"1" * 200)
@example(b"a@b.co-x@y.fr@z.com")
@example(b"a@b.cc.d@e.ff")
@example(b"FR14 2004 1010 0505 0001 3M02 606FR1420041010050500013M02606")
@example(base64.b64encode(b"x" + NIR + b"yz") * 3)
@example(b"2 85 05 78 006 084 412 85 05 78 006 084 41")
@example(b"0612345678" * 3 + b"+33+33612345678")
def test_both_count_the_same(given_octets: bytes) -> None:
    """In what holds them, in what nearly does, in what was glued together, in noise."""
    assert _counts(content_scanners, given_octets) == _counts(IN_PYTHON, given_octets)


@settings(max_examples=300, deadline=None)
@given(st.text("0123AB .-+FR@a", max_size=80))
def test_both_count_the_same_in_narrow_alphabets(text: str) -> None:
    """Where nearly everything begins to look like something."""
    given_octets = text.encode()

    assert _counts(content_scanners, given_octets) == _counts(IN_PYTHON, given_octets)


@given(nirs, rpps)
def test_what_is_generated_is_found(nir: bytes, number: bytes) -> None:
    """Or the others would prove little."""
    assert _counts(content_scanners, b"<" + nir + b">")[0] == 1
    assert _counts(content_scanners, b"<" + number + b">")[1] == 1


def test_each_is_found_by_both() -> None:
    """One of each, in a row as the backend sends it."""
    row = b"D\0\0\0\x50\0\5" + b"".join(
        len(one).to_bytes(4, "big") + one
        for one in (
            NIR,
            f"1000000000{luhn_key('1000000000')}".encode(),
            b"06 39 98 01 23",
            b"a.b+c@example.test",
            b"FR1420041010050500013M02606",
        )
    )

    assert _counts(content_scanners, row) == _counts(IN_PYTHON, row) == (1, 1, 1, 1, 1)
