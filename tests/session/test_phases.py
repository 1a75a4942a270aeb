"""The table of phases against a session: every message, in every phase, from both sides."""

from __future__ import annotations

import re
from typing import Final

import pytest

from docs import phases as document
from proxy.session import commands as c
from proxy.session import events as e
from proxy.session.pending import (
    BindPending,
    ClosePending,
    DescribePending,
    ExecutePending,
    FunctionPending,
    ParsePending,
    QueryPending,
    SyncPending,
)
from proxy.session.phases import (
    ANSWERS,
    AT_ANY_TIME,
    BACKEND_MOVES,
    FRONTEND,
    FRONTEND_MOVES,
    LOGIN,
    Fate,
    Flow,
    flow_of,
)
from proxy.terms.finding import Mode
from proxy.wire import backend, frontend
from tests.conversation import Conversation, context_of, policy_of
from tests.messages import backend_message, frontend_message

F: Final = frontend.Tag
B: Final = backend.Tag
COPY: Final = 'Query "copy lab.qc_mesure from stdin"'
FROM_FRONTEND: Final = {
    F.QUERY: 'Query "select 1"',
    F.PARSE: 'Parse "" "select 1"',
    F.BIND: 'Bind "" ""',
    F.DESCRIBE: "Describe S s",
    F.EXECUTE: 'Execute ""',
    F.CLOSE: "Close S s",
    F.FLUSH: "Flush",
    F.SYNC: "Sync",
    F.FUNCTION_CALL: "FunctionCall 1",
    F.COPY_DATA: "CopyData x",
    F.COPY_DONE: "CopyDone",
    F.COPY_FAIL: "CopyFail x",
    F.PASSWORD: "Password x",
    F.TERMINATE: "Terminate",
}
FROM_BACKEND: Final = {
    B.AUTHENTICATION: "Authentication 3",
    B.NEGOTIATE_PROTOCOL_VERSION: "Raw 76 00 00 00 0c 00 03 00 00 00 00 00 00",
    B.BACKEND_KEY_DATA: "BackendKeyData 7 abcd",
    B.PARAMETER_STATUS: "ParameterStatus a b",
    B.READY_FOR_QUERY: "ReadyForQuery I",
    B.ROW_DESCRIPTION: "RowDescription a",
    B.PARAMETER_DESCRIPTION: "Raw 74 00 00 00 06 00 00",
    B.NO_DATA: "NoData",
    B.DATA_ROW: "DataRow 1",
    B.COMMAND_COMPLETE: "CommandComplete x",
    B.EMPTY_QUERY_RESPONSE: "EmptyQueryResponse",
    B.PORTAL_SUSPENDED: "PortalSuspended",
    B.PARSE_COMPLETE: "ParseComplete",
    B.BIND_COMPLETE: "BindComplete",
    B.CLOSE_COMPLETE: "CloseComplete",
    B.COPY_IN_RESPONSE: "CopyInResponse 1",
    B.COPY_OUT_RESPONSE: "CopyOutResponse 1",
    B.COPY_BOTH_RESPONSE: "CopyBothResponse 1",
    B.COPY_DATA: "CopyData x",
    B.COPY_DONE: "CopyDone",
    B.FUNCTION_CALL_RESPONSE: "Raw 56 00 00 00 08 ff ff ff ff",
    B.ERROR_RESPONSE: 'ErrorResponse 22012 "division by zero"',
    B.NOTICE_RESPONSE: 'NoticeResponse 00000 "notice"',
    B.NOTIFICATION_RESPONSE: "Raw 41 00 00 00 0a 00 00 00 07 00 00",
}
# What leads into each phase after the login.
INTO: Final = {
    Flow.READY: "",
    Flow.SIMPLE: '> Query "select 1"',
    Flow.EXTENDED: '> Parse "" "select 1"\n> Bind "" ""\n> Execute ""',
    Flow.SKIPPING: "> Describe S s\n> Flush\n<< ErrorResponse 26000 x",
    Flow.COPY_IN: f"> {COPY}\n<< CopyInResponse 1",
    Flow.EXTENDED_COPY_IN: (
        '> Parse "" "copy lab.qc_mesure from stdin"\n> Bind "" ""\n> Execute ""\n> Flush\n'
        "<< ParseComplete\n<< BindComplete\n<< CopyInResponse 1"
    ),
}
LOGGED_IN: Final = tuple(INTO)


def talk_in(flow: Flow) -> Conversation:
    """Return a session that stands in this phase; observing, so that nothing is held back."""
    talk = Conversation(context_of(policy_of(), mode=Mode.OBSERVE))
    if flow in INTO:
        talk.login().say(INTO[flow], loosely=True)
    elif flow is not Flow.OPENING:
        talk.say("> Startup user=app database=lab", loosely=True)
        if flow is Flow.CLOSED:
            talk.say("* Shutdown", loosely=True)
    assert flow_of(talk.session._state) is flow
    return talk


def is_error(talk: Conversation) -> bool:
    return any(isinstance(one, c.ProtocolFault) for one in talk.commands)


def after(talk: Conversation) -> Flow:
    """Return where the session stands, closed by whatever means counted as closed."""
    if talk.session._state.terminated:
        return Flow.CLOSED
    return flow_of(talk.session._state)


def sent(talk: Conversation) -> bytes:
    return b"".join(one.data for one in talk.commands if isinstance(one, c.SendBackend))


@pytest.mark.parametrize("tag", F, ids=lambda tag: tag.name)
@pytest.mark.parametrize("flow", Flow, ids=lambda flow: flow.name)
def test_a_message_of_the_frontend_may_come_as_the_table_says(
    flow: Flow, tag: frontend.Tag
) -> None:
    """What becomes of it, and where the session stands then."""
    if flow is Flow.OPENING:
        assert FRONTEND[flow] == {}
        return
    talk = talk_in(flow)
    raw = frontend_message(FROM_FRONTEND[tag])
    talk.send(e.FrontendBytes(raw))
    fate = FRONTEND[flow].get(tag)

    if fate is None:  # at once, or when what was asked before is answered
        is_asked = flow in {Flow.SIMPLE, Flow.EXTENDED}
        assert (is_error(talk), talk.session.holds_frontend) == (not is_asked, is_asked)
        return
    assert not is_error(talk)
    assert after(talk) is FRONTEND_MOVES.get((flow, tag), flow)
    match fate:
        case Fate.WAITS:
            assert (talk.commands, talk.session.holds_frontend) == ([], True)
        case Fate.IGNORED:
            assert talk.commands == []
        case _:
            assert raw in sent(talk)


@pytest.mark.parametrize(
    "tag", sorted(set(F) - {F.PASSWORD, F.TERMINATE}), ids=lambda tag: tag.name
)
def test_who_is_asked_for_a_password_may_send_nothing_else(tag: frontend.Tag) -> None:
    """The backend would wait for it for ever."""
    talk = talk_in(Flow.AUTHENTICATION)
    talk.say("<<< Authentication 3")
    talk.send(e.FrontendBytes(frontend_message(FROM_FRONTEND[tag])))

    assert is_error(talk)


@pytest.mark.parametrize("tag", B, ids=lambda tag: tag.name)
def test_a_message_of_the_backend_may_come_in_the_login_as_the_table_says(tag: backend.Tag) -> None:
    """Everything else is a fault of the backend, and ends the session."""
    talk = talk_in(Flow.AUTHENTICATION)
    talk.send(e.BackendBytes(backend_message(FROM_BACKEND[tag])))

    assert is_error(talk) == (tag not in LOGIN)
    if tag in LOGIN:
        assert after(talk) is BACKEND_MOVES.get((Flow.AUTHENTICATION, tag), Flow.AUTHENTICATION)


@pytest.mark.parametrize("tag", B, ids=lambda tag: tag.name)
def test_when_nothing_was_asked_few_messages_may_come(tag: backend.Tag) -> None:
    """Settings, notices, notifications, errors."""
    talk = talk_in(Flow.READY)
    talk.send(e.BackendBytes(backend_message(FROM_BACKEND[tag])))

    assert is_error(talk) == (tag not in AT_ANY_TIME)


# Ways to have a message of each kind unanswered, so far on that each answer is due in one of them.
WAYS: Final = {
    QueryPending: [
        '> Query "select 1"',
        '> Query "select 1"\n<< RowDescription a\n<< CommandComplete x',
        f"> {COPY}",
        '> Query "copy lab.qc_mesure to stdout"\n<< CopyOutResponse 1',
    ],
    ParsePending: ['> Parse "" "select 1"'],
    BindPending: ['> Parse "" "select 1"\n> Bind "" ""\n<< ParseComplete'],
    DescribePending: ["> Describe S s"],
    ExecutePending: [
        f'> Parse "" "{text}"\n> Bind "" ""\n> Execute ""\n<< ParseComplete\n<< BindComplete{more}'
        for text, more in (
            ("select 1", ""),
            ("copy lab.qc_mesure from stdin", ""),
            ("copy lab.qc_mesure to stdout", "\n<< CopyOutResponse 1"),
        )
    ],
    ClosePending: ["> Close S s"],
    SyncPending: ["> Sync"],
    FunctionPending: ["> FunctionCall 1", "> FunctionCall 1\n<< Raw 56 00 00 00 08 ff ff ff ff"],
}


@pytest.mark.parametrize("tag", B, ids=lambda tag: tag.name)
@pytest.mark.parametrize("kind", WAYS, ids=lambda kind: kind.__name__)
def test_a_message_of_the_backend_answers_as_the_table_says(
    kind: type[QueryPending], tag: backend.Tag
) -> None:
    """Refused whatever has come before; or taken in one of the ways that lead there."""
    taken = []
    for way in WAYS[kind]:
        talk = Conversation(context_of(policy_of(), mode=Mode.OBSERVE)).login()
        talk.say(way, loosely=True)
        assert type(talk.session._state.pending[0]) is kind
        talk.send(e.BackendBytes(backend_message(FROM_BACKEND[tag])))
        taken.append(not is_error(talk))

    assert any(taken) == (tag in ANSWERS[kind] | AT_ANY_TIME)


@pytest.mark.parametrize(
    ("flow", "tag"), BACKEND_MOVES, ids=lambda one: one.name if isinstance(one, Flow | B) else ""
)
def test_an_answer_leads_where_the_table_says(flow: Flow, tag: backend.Tag) -> None:
    """The answer to the last message."""
    if flow is Flow.AUTHENTICATION:
        talk = talk_in(flow)
    else:
        talk = Conversation(context_of(policy_of(), mode=Mode.OBSERVE)).login()
        text = "copy lab.qc_mesure from stdin" if tag == B.COPY_IN_RESPONSE else "select 1"
        extended = f'> Parse "" "{text}"\n> Bind "" ""\n> Execute ""\n'
        ways = {
            (Flow.SIMPLE, B.READY_FOR_QUERY): '> Query "select 1"\n<< CommandComplete x',
            (Flow.SIMPLE, B.COPY_IN_RESPONSE): f"> {COPY}",
            (Flow.EXTENDED, B.READY_FOR_QUERY): "> Sync",
            (Flow.EXTENDED, B.COPY_IN_RESPONSE): (
                f"{extended}> Flush\n<< ParseComplete\n<< BindComplete"
            ),
        }
        talk.say(ways.get((flow, tag), INTO[flow]), loosely=True)
    talk.send(e.BackendBytes(backend_message(FROM_BACKEND[tag])))

    assert after(talk) is BACKEND_MOVES[flow, tag]


def test_the_document_is_what_the_script_writes() -> None:
    """Whoever changes the table runs ``python docs/phases.py``."""
    assert document.TARGET.read_text("utf-8") == document.text()
    assert document.BEGIN in document.TARGET.read_text("utf-8")


def test_every_phase_is_in_the_diagram() -> None:
    """Each can be reached, and each edge has a message."""
    lines = list(document.diagram())
    edges = [re.fullmatch(r"    (\S+) --> (\S+)(?:: [<>] .+)?", line) for line in lines[1:]]
    reached = {found[2] for found in edges if found}

    assert {flow.name for flow in Flow} <= reached
