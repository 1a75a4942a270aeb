"""Completions: transaction, names, and COPY from the frontend, in step with the backend."""

from __future__ import annotations

import pytest

from proxy.session import commands as c
from proxy.session import events as e
from tests.conversation import Conversation, context_of, policy_of, subjects
from tests.messages import backend_message, frontend_message

COPY = "copy lab.analyse from stdin"


def free() -> Conversation:
    return Conversation(context_of(policy_of(subjects(3)))).login()


def test_copy_in_the_simple_flow() -> None:
    """Data and its end pass; the next statement is its own."""
    free().say(
        f"""
        >>> Query "{COPY}"
        <<< CopyInResponse
        >>> CopyData x
        >>> CopyDone
        <<< CommandComplete "COPY 1"
        <<< ReadyForQuery I
        >>> Query "select 1"
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        """
    )


def test_the_end_of_a_copy_that_has_failed_is_ignored() -> None:
    """The frontend may not have read the error yet; the backend ignores what it still sends."""
    free().say(
        f"""
        >>> Query "{COPY}"
        <<< CopyInResponse
        >>> CopyData x
        <<< ErrorResponse 22P02 "invalid input syntax"
        <<< ReadyForQuery I
        >>> CopyData y
        >>> CopyDone
        >>> Query "select 1"
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        """
    )


def test_copy_in_the_extended_flow_with_two_syncs() -> None:
    """The libpq sends a Sync ahead of the data, which the backend would ignore, and one behind."""
    free().say(
        f"""
        >>> Parse "" "{COPY}"
        >>> Bind "" ""
        >>> Execute ""
        > Sync
        >> Flush
        <<< ParseComplete
        <<< BindComplete
        <<< CopyInResponse
        >>> CopyData x
        >>> CopyDone
        >>> Sync
        <<< CommandComplete "COPY 1"
        <<< ReadyForQuery I
        >>> Query "select 1"
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        """
    )


def test_a_copy_that_fails_at_its_start_answers_one_sync() -> None:
    """COPY with FREEZE or into a view fails behind CopyInResponse: that Sync must not be there."""
    free().say(
        f"""
        >>> Parse "" "{COPY} with (freeze)"
        >>> Bind "" ""
        >>> Execute ""
        > Sync
        >> Flush
        <<< ParseComplete
        <<< BindComplete
        <<< CopyInResponse
        <<< ErrorResponse 55000 "cannot perform COPY FREEZE"
        >>> CopyData x
        >>> CopyDone
        >>> Sync
        <<< ReadyForQuery I
        >>> Query "select 1"
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        """
    )


def test_a_copy_that_does_not_begin_lets_its_sync_go() -> None:
    """An error in place of CopyInResponse: the Sync ends the skipping."""
    free().say(
        f"""
        >>> Parse "" "{COPY}"
        >>> Bind "" ""
        >>> Execute ""
        > Sync
        >> Flush
        << ErrorResponse 42501 "permission denied"
        < ErrorResponse 42501 "permission denied"
        >> Sync
        <<< ReadyForQuery I
        """
    )


def test_an_error_before_a_copy_is_not_that_of_the_copy() -> None:
    """The Sync within it is ignored all the same, whoever failed ahead of it."""
    free().say(
        f"""
        >>> Query "select 1/0"
        >>> Query "{COPY}"
        >>> CopyData x
        > Sync
        << ErrorResponse 22012 "division by zero"
        < ErrorResponse 22012 "division by zero"
        <<< ReadyForQuery I
        <<< CopyInResponse
        >>> CopyDone
        <<< CommandComplete "COPY 1"
        <<< ReadyForQuery I
        >>> Query "select 1"
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        """
    )


def test_a_copy_that_is_none_after_all_lets_its_sync_go() -> None:
    """A Parse that will fail shows COPY; the name stands for what it stood for before."""
    free().say(
        f"""
        >>> Parse s "select 1"
        >>> Sync
        <<< ParseComplete
        <<< ReadyForQuery I
        >>> Parse s "{COPY}"
        >>> Sync
        >>> Bind "" s
        >>> Execute ""
        > Sync
        >> Flush
        <<< ErrorResponse 42P05 "already exists"
        <<< ReadyForQuery I
        <<< BindComplete
        <<< DataRow 1
        << CommandComplete "SELECT 1"
        < CommandComplete "SELECT 1"
        >> Sync
        <<< ReadyForQuery I
        """
    )


def test_data_may_come_ahead_of_the_invitation() -> None:
    """A frontend that does not wait for CopyInResponse; two COPY in one Query take two ends."""
    free().say(
        f"""
        >>> Query "{COPY}; {COPY}"
        >>> CopyDone
        > Query "select 1"
        <<< CopyInResponse
        <<< CommandComplete "COPY 0"
        <<< CopyInResponse
        ! ProtocolFault backend
        < ErrorResponse 08P01 "message 'Q' within COPY, expected CopyData or its end" FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_a_query_within_copy_ends_the_session() -> None:
    """The backend takes it for damaged data and answers nothing: a statement too many for ever."""
    free().say(
        f"""
        >>> Query "{COPY}"
        <<< CopyInResponse
        > Query "select 1"
        ! ProtocolFault frontend
        < ErrorResponse 08P01 "message 'Q' within COPY, expected CopyData or its end" FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_copy_fail_ends_it() -> None:
    """The backend's error follows, and in the extended flow all up to Sync is skipped."""
    free().say(
        f"""
        >>> Parse "" "{COPY}"
        >>> Bind "" ""
        >>> Execute ""
        >>> Flush
        <<< ParseComplete
        <<< BindComplete
        <<< CopyInResponse
        >>> CopyFail "no more"
        <<< ErrorResponse 57014 "COPY from stdin failed"
        >>> Bind "" ""
        >>> Sync
        <<< ReadyForQuery I
        """
    )


@pytest.mark.parametrize(
    "answer", ["CopyInResponse", "ReadyForQuery I", "ParseComplete", "BindComplete", "NoData"]
)
def test_an_answer_that_does_not_fit_ends_the_session(answer: str) -> None:
    """Out of phase, rows would be charged to another statement than theirs."""
    talk = free()
    talk.say('>>> Query "select 1"\n>>> Query "select 2"')

    talk.say(f"<< {answer}", loosely=True)

    assert talk.told()[0] == "! ProtocolFault backend"
    assert isinstance(talk.commands[-1], c.CloseFrontend)


def test_a_query_must_be_answered_before_ready() -> None:
    """ReadyForQuery for a Sync more than Vigie knows of would otherwise answer the Query."""
    free().say(
        """
        >>> Query "select 1"
        << ReadyForQuery I
        ! ProtocolFault backend
        < ErrorResponse 08P01 "ReadyForQuery, but a statement of the Query is not answered" FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_a_function_call_must_be_answered_before_ready() -> None:
    """The same for a FunctionCall."""
    talk = free()
    talk.say(">>> FunctionCall 1598")

    talk.say("<< ReadyForQuery I", loosely=True)

    assert talk.told()[0] == "! ProtocolFault backend"


def test_a_cursor_made_before_a_savepoint_outlives_the_way_back() -> None:
    """ROLLBACK TO drops some cursors; the backend says which are gone."""
    free().say(
        """
        >>> Query "begin; declare c cursor for select 1; savepoint s; rollback to s"
        <<< CommandComplete BEGIN
        <<< CommandComplete "DECLARE CURSOR"
        <<< CommandComplete SAVEPOINT
        <<< CommandComplete ROLLBACK
        <<< ReadyForQuery T
        >>> Query "fetch 1 from c"
        """
    )


def test_names_end_as_the_backend_ends_them() -> None:
    """PREPARE, DECLARE, CLOSE, DEALLOCATE and the end of a transaction are followed."""
    talk = free()
    talk.say(
        """
        >>> Query "begin; prepare p as select 1; declare c cursor for select 1"
        <<< CommandComplete BEGIN
        <<< CommandComplete PREPARE
        <<< CommandComplete "DECLARE CURSOR"
        <<< ReadyForQuery T
        >>> Query "execute p"
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery T
        >>> Query "fetch 1 from c"
        <<< CommandComplete "FETCH 1"
        <<< ReadyForQuery T
        >>> Query "close c; deallocate p"
        <<< CommandComplete "CLOSE CURSOR"
        <<< CommandComplete DEALLOCATE
        <<< ReadyForQuery T
        > Query "fetch 1 from c"
        >> Query "FETCH FROM NONCE"
        << ErrorResponse 34000 'cursor "NONCE" does not exist'
        < ErrorResponse 34000 'cursor "c" does not exist'
        <<< ReadyForQuery E
        > Query "execute p"
        >> Query "EXECUTE NONCE"
        """
    )


def said(conversation: Conversation, *texts: str, status: str = "T") -> None:
    """Say these one after the other, as if the backend had carried them out."""
    for text in "; ".join(texts).split("; "):
        conversation.send(e.FrontendBytes(frontend_message(f'Query "{text}"')))
        done = backend_message("CommandComplete DONE") + backend_message(f"ReadyForQuery {status}")
        conversation.send(e.BackendBytes(done))


def classes_of(conversation: Conversation, text: str) -> set[str]:
    """Return what the columns of a statement carry, as judged now."""
    conversation.send(e.FrontendBytes(frontend_message(f'Query "{text}"')))
    (judged,) = (one for one in conversation.commands if isinstance(one, c.Judged))
    return {one.value for one in judged.facts.classes}


NEW = "begin; create temp table q (id bigint, v numeric)"


@pytest.mark.parametrize(
    ("before", "text", "classes"),
    [
        ([NEW], "select * from q", set()),
        ([NEW, "insert into q values (1, 2)"], "select v from q", set()),
        ([NEW, "insert into q (v) select 1 from patient p"], "select v from q", set()),
        ([NEW, "insert into q (id) select id from patient"], "select id from q", {"unknown"}),
        (
            ["begin; create temp table k as select id from patient"],
            "select k.id, r.value from k join resultat r on r.patient_id = k.id",
            {"unknown", "health"},
        ),
        ([NEW, "insert into q (v) select nir::int from patient"], "select v from q", {"unknown"}),
        (["begin; create temp table q as select nir from patient"], "table q", {"unknown"}),
        (["begin; create temp table patient (nir text)"], "select nir from patient", {"identity"}),
        (
            ["begin; savepoint a", "create temp table patient (a int)", "rollback to a"],
            "select nir from patient",
            {"identity"},
        ),
        ([NEW, "create view w as select nir from patient"], "select * from w", {"unknown"}),
        ([NEW, "alter table patient rename to z"], "select nir from z", {"unknown"}),
        (
            ["begin; create table z (a int)", "alter table z rename to y",
             "alter table patient rename to z"],
            "select * from z",
            {"unknown"},
        ),
        (["begin"], "select * from nowhere", {"unknown"}),
    ],
)  # fmt: skip
def test_what_was_just_made_holds_what_was_put_in(
    before: list[str], text: str, classes: set[str]
) -> None:
    """Nothing at first; copies of subjects make it one of them; no other name is taken for it."""
    conversation = free()
    said(conversation, *before)

    assert classes_of(conversation, text) - {"none"} == classes


def test_work_on_a_temporary_table_taints_nobody() -> None:
    """A staging table without patients, merged into one of controls, rolled back."""
    conversation = free()
    said(
        conversation,
        NEW,
        "insert into q values (1, 10.1)",
        "insert into lab.analyse (code) select v from q",
    )
    said(conversation, "rollback", status="I")

    assert conversation.context.catalogs.tainted("lab") == frozenset()


def test_copies_in_a_temporary_table_are_of_this_session_alone() -> None:
    """Others do not see the table, and may have one of that name."""
    conversation = free()
    said(conversation, NEW, "insert into q (v) select nir::bigint from patient")
    other = Conversation(conversation.context).login()
    said(other, NEW)

    assert conversation.context.catalogs.tainted("lab") == frozenset()
    assert classes_of(conversation, "select v from q") == {"unknown"}
    assert classes_of(other, "select v from q") <= {"none"}
