"""Cutting: a result ends at the budget, and all sides agree on how (ADR 0003)."""

from __future__ import annotations

import pytest

from proxy.terms.finding import Action, Mode
from tests.conversation import Conversation, context_of, policy_of, subjects

READ = "select id, last_name from lab.patient limit 9"
COLUMNS = "RowDescription id:16406.1:20 last_name:16406.3:25"
CUT = "result cut: has received as much as its budget allows"


def talk_of(
    limit: int = 2, action: Action = Action.BLOCK, mode: Mode = Mode.ENFORCE
) -> Conversation:
    budget = subjects(limit, action=action)
    return Conversation(context_of(policy_of(budget), mode=mode)).login()


def begin_simple(talk: Conversation) -> None:
    """Receive all that the budget allows, and one row more from the backend."""
    talk.say(
        f"""
        >>> Query "{READ}"
        <<< {COLUMNS}
        <<< DataRow 1 A
        <<< DataRow 2 B
        <<< DataRow 1 A
        << DataRow 3 C
        ! Emit block EX201
        ! WasCut EX201
        ! CancelBackend 7 abcd
        << DataRow 1 A
        """
    )


def begin_extended(talk: Conversation, *, synced: bool) -> None:
    """The same in the extended flow."""
    sync = ">>> Sync" if synced else ">>> Flush"
    flush = "" if synced else ">> Flush"
    talk.say(
        f"""
        >>> Parse "" "{READ}"
        >>> Bind "" ""
        >>> Describe P ""
        >>> Execute ""
        {sync}
        <<< ParseComplete
        <<< BindComplete
        <<< {COLUMNS}
        <<< DataRow 1 A
        <<< DataRow 2 B
        << DataRow 3 C
        ! Emit block EX201
        ! WasCut EX201
        ! CancelBackend 7 abcd
        {flush}
        """
    )


def test_the_error_of_the_cancel_becomes_the_cut() -> None:
    """Simple query: the rest is dropped, and the backend's error says whose end it is."""
    talk = talk_of()
    begin_simple(talk)

    talk.say(
        f"""
        << ErrorResponse 57014 "canceling statement due to user request"
        < ErrorResponse 53400 "{CUT}"
        <<< ReadyForQuery I
        > Query "select 1"
        * CancelDone
        >> Query "select 1"
        """
    )


def test_a_backend_that_had_finished_is_made_to_raise() -> None:
    """A result must not look complete: an error comes from the backend after all."""
    talk = talk_of()
    begin_simple(talk)

    talk.say(
        f"""
        << CommandComplete "SELECT 4"
        << ReadyForQuery T
        * CancelDone
        >> Execute NONCE
        >> Sync
        << ErrorResponse 34000 'portal "NONCE" does not exist'
        < ErrorResponse 53400 "{CUT}"
        <<< ReadyForQuery E
        >>> Query "rollback"
        """
    )


def test_nothing_is_sent_before_a_stray_cancel_is_over() -> None:
    """What came in time for CancelDone and what did not: neither may be hit."""
    talk = talk_of()
    begin_simple(talk)

    talk.say(
        """
        * CancelDone
        << CommandComplete "SELECT 4"
        << ReadyForQuery I
        >> Execute NONCE
        >> Sync
        """
    )


@pytest.mark.parametrize("synced", [True, False])
def test_an_extended_result_is_cut_by_the_cancel(synced: bool) -> None:
    """With its Sync sent or not, the frontend gets one error and one ReadyForQuery."""
    talk = talk_of()
    begin_extended(talk, synced=synced)
    sync = "" if synced else "> Sync"
    sent = "" if synced else ">> Sync"

    talk.say(
        f"""
        {sync}
        << ErrorResponse 57014 "canceling statement due to user request"
        < ErrorResponse 53400 "{CUT}"
        * CancelDone
        {sent}
        <<< ReadyForQuery I
        """
    )


def test_an_extended_result_that_had_finished_behind_its_sync() -> None:
    """Both answers are swallowed; an Execute of nothing and a Sync take their place."""
    talk = talk_of()
    begin_extended(talk, synced=True)

    talk.say(
        f"""
        << CommandComplete "SELECT 3"
        << ReadyForQuery T
        * CancelDone
        >> Execute NONCE
        >> Sync
        << ErrorResponse 34000 'portal "NONCE" does not exist'
        < ErrorResponse 53400 "{CUT}"
        <<< ReadyForQuery E
        """
    )


@pytest.mark.parametrize("end", ["CommandComplete 'SELECT 3'", "PortalSuspended"])
def test_an_extended_result_that_had_finished_before_its_sync(end: str) -> None:
    """The backend fails as if Execute had, skips what follows, and rolls back what came before."""
    talk = talk_of()
    begin_extended(talk, synced=False)

    talk.say(
        f"""
        << {end}
        > Sync
        * CancelDone
        >> Execute NONCE
        >> Flush
        >> Sync
        << ErrorResponse 34000 'portal "NONCE" does not exist'
        < ErrorResponse 53400 "{CUT}"
        <<< ReadyForQuery I
        """
    )


def test_copy_out_is_cut() -> None:
    """CopyData beyond the budget is dropped; the error ends the COPY."""
    talk_of().say(
        f"""
        >>> Query "copy (select id, last_name from lab.patient) to stdout"
        <<< CopyOutResponse
        <<< CopyData "1\\\\tA\\\\n"
        <<< CopyData "2\\\\tB\\\\n"
        << CopyData "3\\\\tC\\\\n"
        ! Emit block EX201
        ! WasCut EX201
        ! CancelBackend 7 abcd
        << CopyData "4\\\\tD\\\\n"
        << ErrorResponse 57014 "canceling statement due to user request"
        < ErrorResponse 53400 "{CUT}"
        <<< ReadyForQuery I
        """
    )


def test_terminate_ends_the_session() -> None:
    """A budget may ask for more than a cut."""
    talk_of(action=Action.TERMINATE).say(
        f"""
        >>> Query "{READ}"
        <<< {COLUMNS}
        <<< DataRow 1 A
        <<< DataRow 2 B
        << DataRow 3 C
        ! Emit terminate EX201
        ! WasCut EX201
        ! CancelBackend 7 abcd
        < ErrorResponse 53400 "{CUT}" FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_flag_only_tells() -> None:
    """It is told once, and rows go on."""
    talk_of(action=Action.FLAG).say(
        f"""
        >>> Query "{READ}"
        <<< {COLUMNS}
        <<< DataRow 1 A
        <<< DataRow 2 B
        << DataRow 3 C
        < DataRow 3 C
        ! Emit flag EX201
        <<< DataRow 4 D
        """
    )


def test_observing_cuts_nothing() -> None:
    """The finding is told, and every row passes."""
    talk_of(mode=Mode.OBSERVE).say(
        f"""
        >>> Query "{READ}"
        <<< {COLUMNS}
        <<< DataRow 1 A
        <<< DataRow 2 B
        << DataRow 3 C
        ! Emit block EX201
        ! WasCut EX201
        < DataRow 3 C
        <<< DataRow 4 D
        <<< CommandComplete "SELECT 4"
        <<< ReadyForQuery I
        """
    )


def test_the_budget_is_one_for_all_sessions_of_a_principal() -> None:
    """What the first session received, the second cannot."""
    first = talk_of()
    first.say(f'>>> Query "{READ}"\n<<< {COLUMNS}\n<<< DataRow 1 A\n<<< DataRow 2 B')
    second = Conversation(first.context).login()

    second.say(
        f"""
        >>> Query "{READ}"
        <<< {COLUMNS}
        <<< DataRow 2 B
        << DataRow 3 C
        ! Emit block EX201
        ! WasCut EX201
        ! CancelBackend 7 abcd
        """
    )
