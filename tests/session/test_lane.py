"""Lane: what was judged before passes as it came; anything else is taken as ever."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import accel
from proxy.session import commands as c
from proxy.session import events as e
from proxy.session.lane_book import METHOD_NUMBERS
from proxy.terms.budget import Method
from proxy.wire import encode
from tests.conversation import Conversation, context_of, policy_of, subjects
from tests.kernels import KERNELS
from tests.messages import backend_message, frontend_message
from tests.strategies import chunk_sizes, chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

ASKED = frontend_message('Query "select 1"')
OTHER = frontend_message('Query "select 22"')
ANSWER = b"".join(
    backend_message(one)
    for one in ("RowDescription a", "DataRow 1", "CommandComplete x", "ReadyForQuery I")
)


@pytest.fixture(autouse=True, params=KERNELS.values(), ids=list(KERNELS), scope="module")
def _kernel(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every conversation is held with each kernel's lanes."""
    kernel = request.param
    with mock.patch.multiple(
        accel, Known=kernel.Known, LaneCounts=kernel.LaneCounts, LaneState=kernel.LaneState
    ):
        yield


def learnt() -> Conversation:
    """Return a session whose lane knows ``select`` of a number."""
    talk = Conversation(context_of(policy_of(subjects(9)))).login()
    assert not talk.session.passes_frontend(ASKED, 0.0)
    talk.send(e.FrontendBytes(ASKED))
    talk.send(e.BackendBytes(ANSWER))
    return talk


def test_a_template_that_was_judged_passes() -> None:
    """With another number, and so does its whole answer; both are counted."""
    talk = learnt()

    assert talk.session.passes_frontend(OTHER, 0.0)
    assert talk.session.passes_backend(ANSWER, 0.0)
    assert talk.context.lane_counts.rows[METHOD_NUMBERS[Method.FREE]] == 1


def test_an_answer_that_is_not_whole_is_adopted() -> None:
    """The session goes on as if it had taken the query itself."""
    talk = learnt()
    talk.session.passes_frontend(OTHER, 0.0)

    assert not talk.session.passes_backend(ANSWER[:30], 0.0)
    sent = [*talk.send(e.BackendBytes(ANSWER[:30])), *talk.send(e.BackendBytes(ANSWER[30:]))]
    assert b"".join(one.data for one in sent if isinstance(one, c.SendFrontend)) == ANSWER
    assert not any(isinstance(one, c.SendBackend) for one in sent)
    talk.say('>>> Query "select 1"')


def test_a_large_text_that_has_passed_is_adopted_at_once() -> None:
    """Its template is known: no worker is waited for while its answer is already coming."""
    talk = Conversation(context_of(policy_of(subjects(9)))).login()
    short = encode.query(b"select 'short'")
    assert not talk.session.passes_frontend(short, 0.0)
    talk.send(e.FrontendBytes(short))
    talk.send(e.BackendBytes(ANSWER))

    assert talk.session.passes_frontend(encode.query(b"select '%s'" % (b"x" * 20_000)), 0.0)
    assert not talk.session.passes_backend(ANSWER[:30], 0.0)
    sent = [*talk.send(e.BackendBytes(ANSWER[:30])), *talk.send(e.BackendBytes(ANSWER[30:]))]
    assert b"".join(one.data for one in sent if isinstance(one, c.SendFrontend)) == ANSWER
    assert not any(isinstance(one, c.AskWorker | c.ProtocolFault) for one in sent)


def test_nothing_is_learnt_from_the_end_of_an_answer_in_pieces() -> None:
    """A value whose bytes look like a message is none, wherever the stream was cut before it."""
    row = backend_message("DataRow " + "T" * 40)
    start, end = ANSWER.index(b"D\0"), ANSWER.index(b"C\0")
    answer = ANSWER[:start] + row + ANSWER[end:]
    cut = answer.index(b"TTTT")
    talk = Conversation(context_of(policy_of(subjects(9)))).login()
    assert not talk.session.passes_frontend(ASKED, 0.0)
    talk.send(e.FrontendBytes(ASKED))

    told = [*talk.send(e.BackendBytes(answer[:cut])), *talk.send(e.BackendBytes(answer[cut:]))]

    assert b"".join(one.data for one in told if isinstance(one, c.SendFrontend)) == answer
    assert not any(isinstance(one, c.ProtocolFault | c.CloseFrontend) for one in told)
    assert not talk.session.passes_frontend(OTHER, 0.0)


def test_a_query_behind_one_under_way_is_taken_in_order() -> None:
    """The lane holds one; the second makes the session adopt the first."""
    talk = learnt()
    talk.session.passes_frontend(OTHER, 0.0)

    assert not talk.session.passes_frontend(ASKED, 0.0)
    talk.send(e.FrontendBytes(ASKED))
    talk.send(e.BackendBytes(ANSWER))
    talk.send(e.BackendBytes(ANSWER))
    assert not talk.session._state.pending


def test_the_lane_is_closed_while_an_extended_query_is_open() -> None:
    """Between Flush and Sync the session is not at rest."""
    talk = learnt()
    talk.say(">>> Describe S x\n>>> Flush\n<<< NoData")

    assert not talk.session.passes_frontend(OTHER, 0.0)


def test_the_lane_is_closed_when_the_catalog_is_stale() -> None:
    """What was harmless may be another relation by now."""
    talk = learnt()
    talk.context.catalogs.changed("lab")

    assert not talk.session.passes_frontend(OTHER, 0.0)


READ = frontend_message('Query "select last_name from lab.patient where id = 3"')
READ_ANSWER = b"".join(
    backend_message(one)
    for one in (
        "RowDescription last_name:16406.3:25",
        "DataRow A",
        "CommandComplete x",
        "ReadyForQuery I",
    )
)
PAIRS = ((ASKED, ANSWER), (OTHER, ANSWER), (READ, READ_ANSWER))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PAIRS), chunk_sizes, st.booleans()), max_size=8))
def test_the_lane_changes_nothing_but_the_time(
    asked: list[tuple[tuple[bytes, bytes], list[int], bool]],
) -> None:
    """Bytes pass as without it, and subjects are charged as without it."""
    talk = Conversation(context_of(policy_of(subjects(9)))).login()
    sent = received = b""
    for (query, answer), sizes, is_cut in asked:
        if not talk.session.passes_frontend(query, 0.0):
            told = talk.send(e.FrontendBytes(query))
            query = b"".join(one.data for one in told if isinstance(one, c.SendBackend))  # noqa: PLW2901
        sent += query
        for chunk in chunks(answer, sizes if is_cut else [1 << 20]):
            if talk.session.passes_backend(chunk, 0.0):
                received += chunk
                continue
            told = talk.send(e.BackendBytes(chunk))
            received += b"".join(one.data for one in told if isinstance(one, c.SendFrontend))

    assert sent == b"".join(query for (query, _), _, _ in asked)
    assert received == b"".join(answer for (_, answer), _, _ in asked)
    reads = any(query == READ for (query, _), _, _ in asked)
    assert sum(one.used for one in talk.context.ledger.usage(0.0)) == int(reads)
