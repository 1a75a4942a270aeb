"""A short pass of every fuzzer, from fixed seeds; `make fuzz` goes on for as long as it is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.backend import fuzz_backend, upstream
from tests.fuzz.crowd import crowd
from tests.fuzz.cuts import OFFSETS, WAYS, cut_at, half_open
from tests.fuzz.decoders import DECODERS, decode, streams
from tests.fuzz.frontend import fuzz_frontend
from tests.fuzz.running import Target, foreign_tags, running, tag_of
from tests.fuzz.same import fuzz_same, side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """One Vigie before one laboratory, looked at when all is over."""
    with running() as started:
        yield started


@pytest.mark.integration
def test_no_frontend_ends_it_or_hangs(target: Target) -> None:
    """Sessions of sense and of nonsense, side by side; each ends, and no error is Vigie's own."""
    assert asyncio.run(fuzz_frontend(target, range(40), at_once=10)) == 40
    target.look("after the frontends")


@pytest.mark.integration
def test_no_backend_ends_it_or_hangs() -> None:
    """An upstream that answers what it likes ends sessions, and nothing else."""

    async def run() -> int:
        async with upstream() as faked:
            return await fuzz_backend(faked, range(40), at_once=10)

    assert asyncio.run(run()) == 40


@pytest.mark.integration
def test_nobody_can_tell_it_from_the_server() -> None:
    """Messages in any order are answered as the server itself answers them."""
    with side_by_side() as (permissive, direct):
        assert asyncio.run(fuzz_same(permissive, direct, range(60))) == 60


@pytest.mark.integration
def test_a_conversation_may_break_off_anywhere(target: Target) -> None:
    """By an end or a reset, at every 23rd offset; what is half open holds up nobody."""
    offsets = range(0, OFFSETS, 23)
    assert asyncio.run(cut_at(target, offsets)) == len(offsets) * len(WAYS)
    assert asyncio.run(half_open(target, range(0, OFFSETS, 11))) > 0
    target.look("after the cuts")


@pytest.mark.integration
def test_no_session_sees_a_byte_of_another(target: Target) -> None:
    """Each of 120 sessions at a time reads rows of its own word."""
    assert asyncio.run(crowd(target, 240, at_once=120)) > 10_000
    target.look("after the crowd")


def test_decoders_say_what_they_document() -> None:
    """A value or WireError for any bytes, and both kernels the same."""
    for stream, _ in zip(streams(1), range(120), strict=False):
        for name in DECODERS:
            decode(name, stream)


def test_a_foreign_word_is_seen() -> None:
    """What the fuzzers look for would be found."""
    mine, other = tag_of(1), tag_of(2)

    assert foreign_tags(f"{mine} {other} {mine}".encode(), mine) == {other.encode()}
    assert not foreign_tags(f"{mine} {mine}".encode(), mine)
    assert not foreign_tags(mine.replace("1", "2", 1).encode(), mine)  # damaged, and nobody's
