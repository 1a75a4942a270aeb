"""Session: from the first byte to the last, events in and commands out."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.session import commands as c
from proxy.session import events as e
from proxy.sql import Analyser
from proxy.terms.finding import Mode
from proxy.terms.schema_map import SchemaMap
from proxy.wire import encode
from tests.conversation import Conversation, context_of, policy_of, subjects
from tests.messages import backend_message, frontend_message
from tests.strategies import chunk_sizes, chunks

READ = "select id, last_name from lab.patient limit 9"
LARGE: Final = b"select '%s'" % (b"x" * 300_000)
COLUMNS = "RowDescription id:16406.1:20 last_name:16406.3:25"


def test_authentication_passes_through_and_the_secret_is_replaced() -> None:
    """Vigie knows no password; the process id stays, for drivers compare it."""
    talk = Conversation(context_of(knows_catalog=False))
    talk.say("> Startup user=app database=lab", loosely=True)

    talk.say(
        r"""
        <<< Authentication 3
        >>> Password hidden
        <<< Authentication 0
        <<< ParameterStatus client_encoding UTF8
        << BackendKeyData 7 abcd
        ! RegisterKey
        < BackendKeyData 7 "\\x00\\x00\\x00\\x02"
        <<< ReadyForQuery I
        >> CatalogQuery
        << CatalogAnswer
        """
    )


def test_the_second_session_shares_the_catalog() -> None:
    """What the first has read need not be asked for again."""
    context = context_of(knows_catalog=False)
    Conversation(context).login()
    second = Conversation(context).login()

    second.say(
        """
        >>> Query "select 1"
        """
    )


def test_what_comes_before_the_catalog_waits() -> None:
    """The first statement is judged with the catalog, not before it."""
    talk = Conversation(context_of(knows_catalog=False))
    talk.say("> Startup user=app database=lab", loosely=True)

    talk.say(
        """
        <<< ReadyForQuery I
        >> CatalogQuery
        > Query "select 1"
        << CatalogAnswer
        >> Query "select 1"
        """
    )


def test_a_large_text_sent_ahead_of_the_login_is_not_read_to_its_end() -> None:
    """It waits in the frontend's socket: nobody knows yet who would fill our memory."""
    talk = Conversation(context_of(max_statement_bytes=1 << 20))
    talk.say("> Startup user=app database=lab", loosely=True)
    text = encode.query(LARGE)
    begun = talk.session.handle(e.FrontendBytes(text[:100_000]), 1.0)
    held = talk.session.holds_frontend
    talk.say("<<< Authentication 0\n<<< ReadyForQuery I", loosely=True)
    read_again = not talk.session.holds_frontend
    rest = talk.session.handle(e.FrontendBytes(text[100_000:]), 2.0)

    assert (begun, held, read_again) == ([], True, True)
    assert [one.raw for one in rest if isinstance(one, c.AskWorker)] == [LARGE]


def test_a_large_text_where_a_password_is_expected_ends_the_session() -> None:
    """Both would wait for the other otherwise."""
    talk = Conversation(context_of(max_statement_bytes=1 << 20))
    talk.say("> Startup user=app database=lab", loosely=True)
    text = encode.query(LARGE)
    talk.session.handle(e.FrontendBytes(text[:70_000]), 1.0)

    talk.say(
        """
        <<< Authentication 3
        ! ProtocolFault backend
        < ErrorResponse 08P01 "expected password response, got 70000 bytes of another message" FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_a_failed_login_ends_with_the_backend() -> None:
    """The backend's FATAL passes, then both sides close."""
    talk = Conversation(context_of(knows_catalog=False))
    talk.say("> Startup user=app database=lab", loosely=True)

    talk.say(
        """
        << ErrorResponse 28P01 "password authentication failed" FATAL
        ! LoginFailed
        < ErrorResponse 28P01 "password authentication failed" FATAL
        * BackendClosed
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_a_shutdown_is_told_to_the_frontend() -> None:
    """57P01, as PostgreSQL says it, and Terminate for the backend."""
    Conversation().login().say(
        """
        * Shutdown
        ! Ended stopping
        < ErrorResponse 57P01 "terminating connection due to administrator command" FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        * Shutdown
        * FrontendClosed
        """
    )


def test_a_backend_that_is_lost_between_messages_is_told_of() -> None:
    """08006, in a message of its own."""
    Conversation().login().say(
        """
        >>> Query "select 1"
        * BackendClosed
        ! UpstreamFault lost
        < ErrorResponse 08006 "the connection to the database was lost" FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_a_backend_that_is_lost_after_fatal_has_said_it() -> None:
    """Its own last word is enough."""
    Conversation().login().say(
        """
        <<< ErrorResponse 57P01 "terminating connection" FATAL
        * BackendClosed
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_a_backend_that_is_lost_within_a_row_says_nothing_more() -> None:
    """An error in the middle of a message would be taken for a part of it."""
    talk = Conversation().login()
    talk.say('>>> Query "select 1"\n<<< RowDescription one:0.0:23')
    talk.send(e.BackendBytes(b"D" + (1 << 21).to_bytes(4, "big") + bytes(1 << 20)))

    talk.say(
        """
        * BackendClosed
        ! UpstreamFault lost
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_a_frontend_that_goes_takes_the_backend_along() -> None:
    """Terminate is sent for it."""
    Conversation().login().say(
        """
        * FrontendClosed
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )


@pytest.mark.parametrize("raw", ["21 00000004", "51 00000003", "51 7fffffff", "48 00000005 00"])
def test_bytes_that_are_no_message_end_the_session(raw: str) -> None:
    """An unknown type, an impossible length, a Flush with a body: 08P01, then closed."""
    talk = Conversation().login()

    talk.say(f"> Raw {raw}", loosely=True)

    assert [type(one) for one in talk.commands] == [
        c.ProtocolFault,
        c.SendFrontend,
        c.SendBackend,
        c.CloseBackend,
        c.CloseFrontend,
    ]
    assert b"C08P01\0" in talk.commands[1].data  # type: ignore[union-attr]


def test_observing_passes_what_it_cannot_read() -> None:
    """In observe mode the observation ends, and bytes go on as they come."""
    talk = Conversation(context_of(mode=Mode.OBSERVE)).login()
    talk.say('>>> Query "select 1"')
    talk.send(e.FrontendBytes(b"!\0\0\0\4and more"))

    assert talk.told() == ["! ProtocolFault frontend", ">> Raw 2100000004616e64206d6f7265"]
    talk.say(
        """
        >>> Query "select * from lab.patient"
        <<< DataRow 1
        * BackendClosed
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_an_error_of_ours_ends_the_session() -> None:
    """What nobody thought of is an internal error: enforcing, nothing passes any more."""
    talk = Conversation().login()
    setattr(talk.session._inbound, "take", boom)  # noqa: B010 - as in the test below

    talk.say(
        """
        > Query "select 1"
        ! InternalFault session
        < ErrorResponse XX000 "internal error of Vigie" FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )


@pytest.mark.parametrize("part", ["_inbound", "_outbound"])
def test_an_error_of_ours_does_not_disturb_what_is_observed(part: str) -> None:
    """In observe mode the message in hand passes as it came, and all after it."""
    talk = Conversation(context_of(mode=Mode.OBSERVE)).login()
    getattr(talk.session, part).take = boom

    talk.say(
        """
        >>> Query "select 1"
        <<< ReadyForQuery I
        """,
        loosely=True,
    )

    sent = [one for one in talk.commands if isinstance(one, c.SendFrontend)]
    assert b"".join(one.data for one in sent) == b"Z\0\0\0\5I"


def test_what_is_out_of_phase_is_attributed_to_nothing() -> None:
    """An answer to nothing: from there on nobody knows whose rows would come."""
    Conversation().login().say(
        """
        << ReadyForQuery I
        ! ProtocolFault backend
        < ErrorResponse 08P01 "message 'Z' answers nothing" FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )


# what the frontend sends, what the backend answers; nothing of it needs a message of Vigie's own
EXCHANGES: Final = (
    (
        ['Query "select 1"'],
        ["RowDescription a", "DataRow 1", "CommandComplete x", "ReadyForQuery I"],
    ),
    (
        [f'Query "{READ}"'],
        [COLUMNS, "DataRow 1 A", "DataRow 2 NULL", "CommandComplete x", "ReadyForQuery I"],
    ),
    (
        ['Parse "" "select 1"', 'Bind "" ""', 'Describe P ""', 'Execute ""', "Sync"],
        [
            "ParseComplete",
            "BindComplete",
            "RowDescription a",
            "DataRow 1",
            "CommandComplete x",
            "ReadyForQuery I",
        ],
    ),
    (
        [f'Parse s "{READ}"', "Describe S s", 'Bind "" s', 'Describe P ""', 'Execute "" 1', "Sync"],
        [
            "ParseComplete",
            "ParameterDescription",
            COLUMNS,
            "BindComplete",
            COLUMNS,
            "DataRow 1 A",
            "PortalSuspended",
            "ReadyForQuery I",
        ],
    ),
    (["Close S s", "Sync"], ["CloseComplete", "ReadyForQuery I"]),
    (['Query ""'], ["EmptyQueryResponse", "ReadyForQuery I"]),
    (
        ["Query begin", "Query 'select wrong'", "Query rollback"],
        [
            "CommandComplete BEGIN",
            "ReadyForQuery T",
            "ErrorResponse 42703 wrong",
            "ReadyForQuery E",
            "NoticeResponse 25P01 x",
            "CommandComplete ROLLBACK",
            "ReadyForQuery I",
        ],
    ),
    (
        ['Query "copy lab.patient to stdout"'],
        [
            "CopyOutResponse",
            "CopyData 1",
            "CopyData 2",
            "CopyDone",
            "CommandComplete x",
            "ReadyForQuery I",
        ],
    ),
    (
        ['Query "copy lab.analyse from stdin"', "CopyData 1", "CopyDone"],
        ["CopyInResponse", "CommandComplete x", "ReadyForQuery I"],
    ),
    (["FunctionCall 1"], ["FunctionCallResponse 1", "ReadyForQuery I"]),
    (["CopyDone", "Flush"], ["NotificationResponse channel x", "ParameterStatus TimeZone UTC"]),
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(EXCHANGES), max_size=6), chunk_sizes, chunk_sizes)
def test_what_nobody_forbids_passes_byte_for_byte(
    exchanges: list[tuple[list[str], list[str]]], forth: list[int], back: list[int]
) -> None:
    """Without rules or limits bytes out are bytes in, both ways, however the streams are cut."""
    talk = Conversation(context_of(policy_of(subjects(None)))).login()
    sent = received = wanted = told = b""
    for asked, answers in exchanges:
        raw = b"".join(frontend_message(one) for one in asked)
        answer = b"".join(backend_message(one) for one in answers)
        commands = [x for chunk in chunks(raw, forth) for x in talk.send(e.FrontendBytes(chunk))]
        commands += [x for chunk in chunks(answer, back) for x in talk.send(e.BackendBytes(chunk))]
        sent += b"".join(one.data for one in commands if isinstance(one, c.SendBackend))
        received += b"".join(one.data for one in commands if isinstance(one, c.SendFrontend))
        wanted, told = wanted + raw, told + answer

    assert sent == wanted
    assert received == told


def boom(*_: object) -> bool:
    raise RuntimeError("for the test")


ENDS_57P01 = """
    ! Ended stopping
    < ErrorResponse 57P01 "terminating connection due to administrator command" FATAL
    >> Terminate
    ! CloseBackend
    ! CloseFrontend
    """


def test_an_idle_session_ends_when_vigie_drains() -> None:
    """At once, as PostgreSQL says it when it is stopped."""
    Conversation().login().say(f"* Drain\n{ENDS_57P01}")


def test_a_transaction_goes_on_until_its_end_when_vigie_drains() -> None:
    """What runs, what is sent ahead and what follows in the transaction; then it ends."""
    Conversation(context_of(policy_of())).login().say(
        f"""
        >>> Query "begin"
        * Drain
        <<< CommandComplete BEGIN
        <<< ReadyForQuery T
        >>> Query "select 1"
        >>> Query "commit"
        <<< RowDescription a
        <<< DataRow 1
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery T
        <<< CommandComplete COMMIT
        <<< ReadyForQuery I
        > Query "select 2"
        * Drain
        {ENDS_57P01}
        """
    )


def test_the_lane_does_not_outlive_a_drain() -> None:
    """An everyday statement within the transaction passes slowly, so that its end is seen."""
    talk = Conversation(context_of(policy_of())).login()
    begin = "> Query begin\n<< CommandComplete BEGIN\n<< ReadyForQuery T"
    commit = "> Query commit\n<< CommandComplete COMMIT\n<< ReadyForQuery I"
    for script in (begin, commit, begin, commit, begin):
        talk.say(script, loosely=True)
    talk.say("* Drain", loosely=True)
    passed = talk.session.passes_frontend(frontend_message("Query commit"), 0.0)
    talk.say(
        f">>> Query commit\n<<< CommandComplete COMMIT\n<<< ReadyForQuery I\n* Drain\n{ENDS_57P01}"
    )

    assert not passed


@pytest.mark.parametrize("begun", [False, True])
def test_whoever_is_not_logged_in_is_told_that_vigie_ends(begun: bool) -> None:
    """57P03, before or behind the StartupMessage."""
    talk = Conversation()
    if begun:
        talk.say("> Startup user=app database=lab", loosely=True)
    terminate = ">> Terminate" if begun else ""
    talk.say(
        f"""
        * Drain
        ! Ended stopping
        < ErrorResponse 57P03 "the database system is shutting down" FATAL
        {terminate}
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_a_start_up_that_comes_too_late_is_refused() -> None:
    """It was accepted before the listeners closed."""
    context = context_of()
    context.admission.is_draining = True
    Conversation(context).say(
        """
        > Startup user=app database=lab
        ! Refused
        < ErrorResponse 57P03 "the database system is shutting down" FATAL
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_at_the_deadline_what_runs_is_cancelled() -> None:
    """Or the backend would go on with it, and nobody would hear of its end."""
    Conversation(context_of(policy_of())).login().say(
        f"""
        >>> Query "select 1"
        * Shutdown
        ! CancelBackend 7 abcd
        {ENDS_57P01}
        """
    )


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        ("I", "idle", '57P05 "terminating connection due to idle-session timeout"'),
        (
            "T",
            "idle_in_transaction",
            '25P03 "terminating connection due to idle-in-transaction timeout"',
        ),
        (
            "E",
            "idle_in_transaction",
            '25P03 "terminating connection due to idle-in-transaction timeout"',
        ),
    ],
)
def test_an_idle_session_ends_in_postgresqls_words(status: str, reason: str, said: str) -> None:
    """Within a transaction, aborted or not, and outside of one."""
    talk = Conversation(context_of(policy_of())).login()
    talk.say(f"> Query begin\n<< CommandComplete x\n<< ReadyForQuery {status}", loosely=True)
    waiting = talk.session.is_waiting
    talk.say(
        f"""
        * IdleTooLong
        ! Ended {reason}
        < ErrorResponse {said} FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )

    assert waiting


def test_a_session_that_is_not_waiting_is_not_idle() -> None:
    """A statement runs, by the lane or not, or an extended query is open: nothing happens."""
    talk = Conversation(context_of(policy_of())).login()
    for script in ('>>> Query "select 1"', "* IdleTooLong"):
        talk.say(script)
    talk.say(
        """
        <<< RowDescription a
        <<< DataRow 1
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        >>> Describe S x
        <<< NoData
        * IdleTooLong
        >>> Sync
        <<< ReadyForQuery I
        """
    )

    assert talk.session.is_waiting


def test_another_policy_holds_from_the_next_statement_on() -> None:
    """Rules, what the lane has learnt, and budgets with what was used of them."""
    context = context_of(policy_of(subjects(9)))
    talk = Conversation(context).login()
    one = f"""
        >>> Query "{READ}"
        <<< {COLUMNS}
        <<< DataRow 1 A
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        """
    talk.say(one)
    talk.say('> Query "select 1"\n<< RowDescription a\n<< CommandComplete x', loosely=True)
    talk.say("<< ReadyForQuery I", loosely=True)
    context.adopt(policy_of(subjects(1)))
    talk.say("* PolicyChanged")
    passed = talk.session.passes_frontend(frontend_message('Query "select 1"'), 0.0)
    talk.say(one)  # the same subject costs nothing
    talk.say(
        f"""
        >>> Query "{READ}"
        <<< {COLUMNS}
        << DataRow 2 B
        ! CancelBackend 7 abcd
        ! Emit block EX201
        ! WasCut EX201
        """,
        loosely=True,
    )

    assert not passed
    assert talk.session._state.cut is not None


def test_a_portal_is_read_again_with_another_policy() -> None:
    """What was opened under the old schema map is charged by the new one."""
    bare = replace(policy_of(subjects(1)), schema_map=SchemaMap())
    context = context_of(bare, analyser=Analyser(bare.schema_map), knows_catalog=False)
    talk = Conversation(context)
    talk.say("> Startup user=app database=lab\n<< Authentication 0", loosely=True)
    talk.say("<< BackendKeyData 7 abcd\n<< ReadyForQuery I\n<< CatalogAnswer", loosely=True)
    talk.say(
        f"""
        > Query begin
        << CommandComplete BEGIN
        << ReadyForQuery T
        > Query "declare c cursor for {READ}"
        << CommandComplete x
        << ReadyForQuery T
        """,
        loosely=True,
    )
    before = talk.session._state.registry.portals.get("c")
    assert before is not None
    was = before.facts.reads_subjects
    context.adopt(policy_of(subjects(1)))
    talk.say("* PolicyChanged", loosely=True)

    assert (was, before.facts.reads_subjects) == (False, True)
