"""Messages of the frontend: judged, replaced where they are refused, in both flows."""

from __future__ import annotations

import pytest

from proxy.session import commands as c
from proxy.session import events as e
from proxy.sql import Analyser
from proxy.terms.finding import Mode
from tests.conversation import SHIPPED, Conversation, context_of
from tests.messages import frontend_message

WHOLE = "select * from lab.patient"
REFUSED = "query refused: reads every row of lab.patient"


def test_a_refused_query_is_replaced_and_its_error_rewritten() -> None:
    """The backend raises the error itself, so all agree on the transaction."""
    Conversation().login().say(
        f"""
        > Query "{WHOLE}"
        ! Emit block EX101
        >> Query NONCE
        << ErrorResponse 42601 'syntax error at or near "NONCE"'
        < ErrorResponse 42501 "{REFUSED}"
        <<< ReadyForQuery I
        """
    )


def test_one_refused_statement_refuses_its_whole_query() -> None:
    """Of several statements in one text none is run."""
    Conversation().login().say(
        f"""
        > Query "select 1; {WHOLE}"
        ! Emit block EX101
        >> Query NONCE
        << ErrorResponse 42601 'syntax error at or near "NONCE"'
        < ErrorResponse 42501 "{REFUSED}"
        <<< ReadyForQuery T
        """
    )


@pytest.mark.parametrize("name", ["", "s1"])
def test_a_refused_parse_fails_all_up_to_sync(name: str) -> None:
    """The backend refuses the substitute under the same name and skips the rest itself."""
    Conversation().login().say(
        f"""
        > Parse "{name}" "{WHOLE}"
        ! Emit block EX101
        >> Parse "{name}" NONCE
        > Bind "" "{name}"
        >> Bind "" NONCE
        > Execute ""
        >> Execute NONCE
        >>> Sync
        << ErrorResponse 42601 'syntax error at or near "NONCE"'
        < ErrorResponse 42501 "{REFUSED}"
        <<< ReadyForQuery I
        >>> Query "select 1"
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        """
    )


def test_an_error_of_the_backend_in_place_of_a_refusal_passes() -> None:
    """What is not the answer to the substitute is the backend's own affair."""
    Conversation().login().say(
        f"""
        > Query "{WHOLE}"
        ! Emit block EX101
        >> Query NONCE
        <<< ErrorResponse 57014 "canceling statement due to statement timeout"
        <<< ReadyForQuery I
        """
    )


def test_bind_is_refused_by_the_limit_it_brings() -> None:
    """LIMIT $1 is judged when its number is known; the statement stays."""
    Conversation().login().say(
        """
        >>> Parse s1 "select last_name from lab.patient limit $1"
        > Bind "" s1 5000
        ! Emit block EX103 EX105
        >> Bind "" NONCE
        > Execute ""
        >> Execute NONCE
        >>> Sync
        <<< ParseComplete
        << ErrorResponse 26000 'prepared statement "NONCE" does not exist'
        < ErrorResponse 42501 "query refused: asks for 5000 rows with identities of lab.patient"
        <<< ReadyForQuery I
        """
    )


def test_a_name_that_was_never_made_gets_the_error_of_the_backend() -> None:
    """26000 and 34000 come from the backend, with the name that the frontend said."""
    Conversation().login().say(
        """
        > Bind "" missing
        >> Bind "" NONCE
        >>> Sync
        << ErrorResponse 26000 'prepared statement "NONCE" does not exist'
        < ErrorResponse 26000 'prepared statement "missing" does not exist'
        <<< ReadyForQuery I
        > Execute p
        >> Execute NONCE
        >>> Sync
        << ErrorResponse 34000 'portal "NONCE" does not exist'
        < ErrorResponse 34000 'portal "p" does not exist'
        <<< ReadyForQuery I
        > Query "execute missing"
        >> Query "EXECUTE NONCE"
        << ErrorResponse 26000 'prepared statement "NONCE" does not exist'
        < ErrorResponse 26000 'prepared statement "missing" does not exist'
        <<< ReadyForQuery I
        > Query "fetch from c"
        >> Query "FETCH FROM NONCE"
        << ErrorResponse 34000 'cursor "NONCE" does not exist'
        < ErrorResponse 34000 'cursor "c" does not exist'
        <<< ReadyForQuery I
        """
    )


def test_a_name_that_was_never_made_is_told_as_postgresql_tells_it() -> None:
    """The unnamed statement has words of its own; a name is told whole, however long."""
    long = "x" * 70
    Conversation().login().say(
        f"""
        > Bind "" ""
        >> Bind "" NONCE
        >>> Sync
        << ErrorResponse 26000 'prepared statement "NONCE" does not exist'
        < ErrorResponse 26000 'unnamed prepared statement does not exist'
        <<< ReadyForQuery I
        > Execute {long}
        >> Execute NONCE
        >>> Sync
        << ErrorResponse 34000 'portal "NONCE" does not exist'
        < ErrorResponse 34000 'portal "{long}" does not exist'
        <<< ReadyForQuery I
        """
    )


def test_a_missing_name_may_be_in_any_script() -> None:
    """A name of SQL that no message could carry is refused like any other."""
    talk = Conversation().login()

    talk.say('> Query "execute \u540d\u524d"', loosely=True)

    assert talk.told() == [">> Query 'EXECUTE NONCE'"]


def test_observing_replaces_nothing() -> None:
    """Unknown names, refused statements and malformed messages go on as they came."""
    Conversation(context_of(mode=Mode.OBSERVE)).login().say(
        f"""
        > Query "{WHOLE}"
        ! Emit block EX101
        >> Query "{WHOLE}"
        <<< CommandComplete "SELECT 0"
        <<< ReadyForQuery I
        >>> Bind "" missing
        >>> Execute ""
        >>> Sync
        <<< ErrorResponse 26000 "no such statement"
        <<< ReadyForQuery I
        >>> Execute nothing
        >>> Sync
        <<< ErrorResponse 34000 "no such portal"
        <<< ReadyForQuery I
        > Query "fetch from c"
        ! Emit block EX901
        >> Query "fetch from c"
        <<< ErrorResponse 34000 "no such cursor"
        <<< ReadyForQuery I
        > Raw 51 00000005 41
        >> Query ""
        <<< ErrorResponse 08P01 "invalid message format"
        <<< ReadyForQuery I
        """
    )


@pytest.mark.parametrize(
    ("raw", "substitute"),
    [
        ("51 00000005 41", "Query NONCE"),
        ("51 00000008 41 00 42 00", "Query NONCE"),
        ("50 00000005 41", "Parse '' NONCE"),
        ("42 00000005 41", "Bind '' NONCE"),
        ("45 00000005 41", "Execute NONCE"),
    ],
)
def test_malformed_messages_are_refused_in_their_place(raw: str, substitute: str) -> None:
    """The backend would refuse them too, and keep the session."""
    talk = Conversation().login()

    talk.say(f"> Raw {raw}", loosely=True)

    assert talk.told() == [f">> {substitute}"]


def test_a_function_call_is_refused_by_a_query() -> None:
    """Both are answered by an error and ReadyForQuery."""
    Conversation().login().say(
        """
        > FunctionCall 1598
        ! Emit block EX911
        >> Query NONCE
        << ErrorResponse 42601 'syntax error at or near "NONCE"'
        < ErrorResponse 42501 "query refused: calls a function by the FunctionCall message"
        <<< ReadyForQuery I
        """
    )


def test_an_oversize_query_ends_the_session() -> None:
    """54000, from its header and as much as is read at once."""
    talk = Conversation(context_of(max_statement_bytes=1024)).login()

    talk.send(e.FrontendBytes(frontend_message(f"Query '{'x' * 2000}'")))

    assert talk.told()[0].startswith("< ErrorResponse 54000")
    assert isinstance(talk.commands[-1], c.CloseFrontend)


def test_a_large_bind_passes_in_pieces_and_is_judged_by_its_statement() -> None:
    """Its parameters are not read; who names an unknown statement is told so."""
    talk = Conversation(context_of(max_statement_bytes=1024)).login()
    talk.say('>>> Parse s1 "insert into lab.audit (actor) values ($1)"\n<<< ParseComplete')
    raw = frontend_message(f"Bind '' s1 {'x' * 2000}")

    sent = [one for half in (raw[:1500], raw[1500:]) for one in talk.send(e.FrontendBytes(half))]

    assert b"".join(one.data for one in sent if isinstance(one, c.SendBackend)) == raw
    talk.send(e.FrontendBytes(frontend_message(f"Bind '' other {'x' * 2000}")))
    assert talk.told()[0].startswith("< ErrorResponse 26000")


def test_a_large_text_is_read_elsewhere_and_waits() -> None:
    """It is asked for once, and judged when the answer is there."""
    analyser = Analyser(SHIPPED.schema_map, inline_bytes=40)
    talk = Conversation(context_of(analyser=analyser)).login()
    text = "select 'a text of more than forty bytes' as one"

    talk.say(
        f"""
        > Query "{text}"
        ! AskWorker
        > Sync
        * WorkerAnswered "{text}" "worker failed"
        ! Emit block EX901
        >> Query NONCE
        >> Sync
        """
    )


def test_terminate_ends_the_session_behind_what_was_sent_before() -> None:
    """The backend closes when it comes to it; what is sent after it is read by nobody."""
    Conversation().login().say(
        """
        >>> Query "select 1"
        >>> Terminate
        > Query "select 2"
        <<< RowDescription a
        <<< DataRow 1
        <<< CommandComplete x
        <<< ReadyForQuery I
        * BackendClosed
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_terminate_is_said_once() -> None:
    """A frontend that closes behind it, as drivers do, ends the session at once."""
    Conversation().login().say(
        """
        >>> Terminate
        * FrontendClosed
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_names_longer_than_the_backend_keeps_are_one() -> None:
    """Two names with the same 63 bytes are the same statement to the backend, and so to Vigie."""
    long = "a" * 63
    talk = Conversation().login()
    talk.say(
        f"""
        >>> Parse {long}1 "select 1"
        >>> Close S {long}2
        >>> Parse {long}2 "select last_name from lab.patient limit $1"
        >>> Sync
        <<< ParseComplete
        <<< CloseComplete
        <<< ParseComplete
        <<< ReadyForQuery I
        > Bind "" {long}1 5000
        ! Emit block EX103 EX105
        >> Bind "" NONCE
        """
    )


def test_a_name_that_is_not_ascii_ends_the_session() -> None:
    """In another encoding it could be the name of something else."""
    talk = Conversation().login()

    talk.say('> Close S "\u00e9"', loosely=True)

    assert talk.told()[0] == "! ProtocolFault frontend"


@pytest.mark.parametrize(
    ("made", "run"),
    [
        ('Parse s1 "execute other"', 'Query "execute s1"'),
        ('Parse s1 "deallocate other"', 'Query "execute s1"'),
        ('Parse s1 "prepare other as select 1"', 'Query "execute s1"'),
    ],
)
def test_a_statement_about_names_under_a_name_is_opaque(made: str, run: str) -> None:
    """EXECUTE of EXECUTE, PREPARE or DEALLOCATE would change names unseen."""
    talk = Conversation().login()
    talk.say(f'>>> Parse other "select 1"\n>>> {made}\n>>> Sync')
    talk.say("<<< ParseComplete\n<<< ParseComplete\n<<< ReadyForQuery I")

    talk.say(f"> {run}", loosely=True)

    assert talk.told() == ["! Emit block EX901", ">> Query NONCE"]
