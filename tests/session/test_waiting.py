"""Waiting: what is held back, and that nothing is held for ever."""

from __future__ import annotations

from proxy.session import events as e
from proxy.session.state import MAX_PENDING
from tests.conversation import Conversation, context_of, policy_of, subjects
from tests.messages import frontend_message

READ = "select id, last_name from lab.patient limit 9"


def free() -> Conversation:
    return Conversation(context_of(policy_of(subjects(9)))).login()


def test_nothing_is_sent_ahead_of_a_result_that_may_be_cut() -> None:
    """A cut could not undo it."""
    free().say(
        f"""
        >>> Query "{READ}"
        > Query "insert into lab.audit (actor) values ('x')"
        <<< CommandComplete "SELECT 0"
        << ReadyForQuery I
        < ReadyForQuery I
        >> Query "insert into lab.audit (actor) values ('x')"
        """
    )


def test_sync_waits_where_a_cut_must_roll_back() -> None:
    """Behind a write, the Sync would commit; a Flush brings the answers meanwhile."""
    free().say(
        f"""
        >>> Parse w "insert into lab.audit (actor) values ('x')"
        >>> Bind "" w
        >>> Execute ""
        >>> Parse r "{READ}"
        >>> Bind "" r
        > Execute ""
        >> Describe P ""
        >> Execute ""
        > Sync
        >> Flush
        <<< ParseComplete
        <<< BindComplete
        <<< CommandComplete "INSERT 0 1"
        <<< ParseComplete
        <<< BindComplete
        << RowDescription id:16406.1:20 last_name:16406.3:25
        << CommandComplete "SELECT 0"
        < CommandComplete "SELECT 0"
        >> Sync
        <<< ReadyForQuery I
        """
    )


def test_a_pipeline_is_held_at_each_result() -> None:
    """The second statement of a pipeline goes when the first result is over."""
    free().say(
        f"""
        >>> Parse s "{READ}"
        >>> Bind "" s
        > Execute ""
        >> Describe P ""
        >> Execute ""
        > Bind "" s
        >> Flush
        > Execute ""
        > Sync
        <<< ParseComplete
        <<< BindComplete
        << RowDescription id:16406.1:20 last_name:16406.3:25
        <<< DataRow 1 A
        << CommandComplete "SELECT 1"
        < CommandComplete "SELECT 1"
        >> Bind "" s
        >> Describe P ""
        >> Execute ""
        >> Sync
        <<< BindComplete
        << RowDescription id:16406.1:20 last_name:16406.3:25
        <<< CommandComplete "SELECT 0"
        <<< ReadyForQuery I
        """
    )


def test_a_text_behind_a_changed_setting_waits_and_is_not_forgotten() -> None:
    """Whatever stands between them, a Flush brings the answer that is waited for."""
    free().say(
        """
        >>> Parse "" "set search_path = lab"
        >>> Bind "" ""
        >>> Execute ""
        >>> Close P ""
        > Parse "" "select 1"
        >> Flush
        <<< ParseComplete
        <<< BindComplete
        << CommandComplete SET
        < CommandComplete SET
        >> Parse "" "select 1"
        """
    )


def test_code_that_runs_unsettles_as_well() -> None:
    """A procedure may change the search_path: what follows waits for it."""
    free().say(
        """
        >>> Query "call lab.valider(1)"
        > Query "select 1"
        <<< CommandComplete CALL
        << ReadyForQuery T
        < ReadyForQuery T
        >> Query "select 1"
        """
    )


def test_a_flood_of_messages_waits() -> None:
    """What is unanswered is bounded, and goes on when answers come."""
    talk = free()

    talk.send(e.FrontendBytes(frontend_message("Describe S s") * (MAX_PENDING + 10)))

    assert len(talk.session._state.pending) == MAX_PENDING
    assert talk.session.holds_frontend
    assert talk.told()[-1] == ">> Flush"
    talk.say("<<< NoData", loosely=True)
    assert talk.told() == ["< NoData", ">> Describe S s", ">> Flush"]


def test_a_flood_of_bytes_waits() -> None:
    """So are the texts that are kept until they are answered."""
    context = context_of(policy_of(subjects(9)), max_statement_bytes=1 << 23)
    talk = Conversation(context).login()
    parse = frontend_message(f"Parse s '-- {'x' * 60_000}'")

    for _ in range(200):
        talk.send(e.FrontendBytes(parse))
        if talk.session.holds_frontend:
            break

    assert talk.session.holds_frontend
    assert talk.session._state.pending_bytes < 9 << 20


def test_copy_ends_outside_of_copy_are_not_collected() -> None:
    """CopyDone while a statement runs is ignored by the backend, and leaves nothing here."""
    talk = free()
    talk.say('>>> Query "select 1"')

    talk.send(e.FrontendBytes(frontend_message("CopyDone") * 1000))

    assert len(talk.session._state.pending) == 1
