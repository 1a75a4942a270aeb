"""OwnQuery: the catalog is read in the frontend's session, and the frontend sees nothing of it."""

from __future__ import annotations

import pytest

from proxy.session.own_query import own_messages
from proxy.sql import CATALOG_QUERY
from tests.conversation import Conversation, context_of, policy_of, subjects
from tests.messages import messages_in

DDL = "create table lab.n (a int)"


def free() -> Conversation:
    return Conversation(context_of(policy_of(subjects(9)))).login()


def test_the_catalog_is_read_again_after_a_change() -> None:
    """At the next text, as soon as the session is idle outside of a transaction."""
    free().say(
        f"""
        >>> Query "{DDL}"
        <<< CommandComplete "CREATE TABLE"
        <<< ReadyForQuery I
        > Query "select 1"
        >> CatalogQuery
        << CatalogAnswer
        >> Query "select 1"
        """
    )


def test_the_catalog_is_not_read_between_changes() -> None:
    """A migration of a thousand tables reads it once, behind the last of them."""
    free().say(
        f"""
        >>> Query "{DDL}"
        <<< CommandComplete "CREATE TABLE"
        <<< ReadyForQuery I
        >>> Query "create index on lab.n (a)"
        <<< CommandComplete "CREATE INDEX"
        <<< ReadyForQuery I
        >>> Parse "" "comment on table lab.n is 'new'"
        >>> Bind "" ""
        >>> Execute ""
        >>> Sync
        <<< ParseComplete
        <<< BindComplete
        <<< CommandComplete COMMENT
        <<< ReadyForQuery I
        > Query "select 1"
        >> CatalogQuery
        << CatalogAnswer
        >> Query "select 1"
        """
    )


@pytest.mark.parametrize(
    "text",
    [
        "alter table lab.n rename to m",
        "alter table lab.n set schema public",
        "create table lab.m as select * from lab.n",
        "create view lab.v as select * from lab.n",
        "create table lab.m (a int); table lab.n",
        "do 'begin end'",
    ],
)
def test_the_catalog_is_read_ahead_of_what_depends_on_it(text: str) -> None:
    """A rename, a copy, a view: of what was made a moment ago as of anything."""
    talk = free()
    talk.say(f'>>> Query "{DDL}"\n<<< CommandComplete "CREATE TABLE"\n<<< ReadyForQuery I')

    talk.say(f'> Query "{text}"\n>> CatalogQuery')


def test_a_catalog_that_is_old_is_read_ahead_of_changes_too() -> None:
    """Others may have made relations past Vigie."""
    talk = free()
    talk.say(f'>>> Query "{DDL}"\n<<< CommandComplete "CREATE TABLE"\n<<< ReadyForQuery I')
    talk.now += 31

    talk.say('> Query "create index on lab.n (a)"\n>> CatalogQuery')


def test_the_path_is_read_again_after_it_was_set() -> None:
    """The question is the smaller one."""
    free().say(
        """
        >>> Query "set search_path = lab"
        <<< CommandComplete SET
        <<< ReadyForQuery I
        > Query "select 1"
        >> PathQuery
        << PathAnswer pg_catalog lab
        >> Query "select 1"
        """
    )


def test_nothing_is_asked_within_a_transaction() -> None:
    """There it would be part of it."""
    free().say(
        f"""
        >>> Query "begin; {DDL}"
        <<< CommandComplete BEGIN
        <<< CommandComplete "CREATE TABLE"
        <<< ReadyForQuery T
        >>> Query "select 1"
        """
    )


def test_nothing_is_asked_between_flush_and_sync() -> None:
    """The backend is idle, but an extended query is open: its end would commit."""
    free().say(
        f"""
        >>> Query "{DDL}"
        <<< CommandComplete "CREATE TABLE"
        <<< ReadyForQuery I
        >>> Describe S nothing
        >>> Flush
        <<< NoData
        >>> Parse "" "select 1"
        """
    )


def test_it_can_fail_and_is_tried_again_later() -> None:
    """Without it everything is judged pessimistically, and this session asks in a while."""
    talk = free()
    talk.say(
        f"""
        >>> Query "{DDL}"
        <<< CommandComplete "CREATE TABLE"
        <<< ReadyForQuery I
        > Query "select 1"
        >> CatalogQuery
        << ErrorResponse 53200 "out of memory"
        << ReadyForQuery I
        >> Query "select 1"
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        >>> Query "select 2"
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        """
    )
    talk.now += 10

    talk.say('> Query "select 1"\n>> CatalogQuery')


def test_a_session_that_cannot_read_it_keeps_no_other_from_it() -> None:
    """A statement timeout of one session leaves the question open for the next."""
    first = free()
    first.say(f'>>> Query "{DDL}"\n<<< CommandComplete x\n<<< ReadyForQuery I')
    second = Conversation(first.context).login()
    first.say('> Query "select 1"', loosely=True)
    first.say("<< ErrorResponse 57014 x\n<< ReadyForQuery I", loosely=True)
    second.now = 1.0

    second.say(f'>>> Query "{DDL}"\n<<< CommandComplete x\n<<< ReadyForQuery I', loosely=True)
    second.say('> Query "select 1"\n>> CatalogQuery')


def test_the_unnamed_statement_of_the_frontend_is_left_alone() -> None:
    """A Query would drop it, and a Bind in a later message would find nothing."""
    asked = [one.split() for one in messages_in(own_messages(CATALOG_QUERY), from_frontend=True)]

    assert {words[0] for words in asked} == {
        "Bind",
        "Close",
        "Describe",
        "Execute",
        "Parse",
        "Sync",
    }
    assert all("vigie_catalog" in words for words in asked if words != ["Sync"])


def test_what_others_say_meanwhile_is_theirs() -> None:
    """A setting that is reported passes; notices of the question do not."""
    free().say(
        """
        >>> Query "set search_path = lab"
        <<< CommandComplete SET
        <<< ReadyForQuery I
        > Query "select 1"
        >> PathQuery
        <<< ParameterStatus TimeZone UTC
        << NoticeResponse 00000 x
        << PathAnswer
        >> Query "select 1"
        """
    )


def test_an_option_of_the_start_up_has_a_path_of_its_own() -> None:
    """However it is spelled, its search_path is not taken for that of other sessions."""
    first = free()
    asked = ("user=app", "database=lab", "'options=-sc search_path=other'")
    second = Conversation(first.context)
    second.say(f"> Startup {' '.join(asked)}", loosely=True)
    second.say("<< Authentication 0", loosely=True)

    second.say("<<< ReadyForQuery I\n>> PathQuery")


def test_a_cancel_that_hits_the_question_is_no_answer_to_it() -> None:
    """It was meant for the statement before: asked again at the next one, not for ever."""
    talk = Conversation(context_of(policy_of(), knows_catalog=False))
    talk.say("> Startup user=app database=lab\n<< Authentication 0", loosely=True)
    talk.say("<< BackendKeyData 7 abcd\n<< ReadyForQuery I", loosely=True)
    error = '<< ErrorResponse 57014 "canceling statement due to user request"\n<< ReadyForQuery I'
    talk.say(error, loosely=True)
    for _ in range(2):
        talk.say(
            f"""
            > Query "select 1"
            >> CatalogQuery
            {error}
            """,
            loosely=True,
        )
    asked = talk.session.asks
    talk.say(error, loosely=True)

    assert asked
    assert not talk.session.asks
    assert talk.session._state.path_failed
