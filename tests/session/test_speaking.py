"""Speaking: for whom a session acts, as it is charged and recorded, message by message."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.session import commands as c
from proxy.session import events as e
from proxy.session.catalog_book import Reader
from proxy.sql import Analyser
from proxy.terms.behalf import NOBODY, Behalf, Source, SourceKind, Trust
from proxy.terms.budget import Grouping
from proxy.terms.finding import Action
from tests.conversation import PATH, Conversation, context_of, policy_of, subjects
from tests.data.lab_catalog import LAB_MAP
from tests.messages import backend_message, frontend_message

if TYPE_CHECKING:
    from proxy.policy import Policy

READ = "select id, last_name from lab.patient limit 9"
COLUMNS = "RowDescription id:16406.1:20 last_name:16406.3:25"
USER = "vigie.user"
SET = "select set_config('vigie.user', $1, false)"
LOCAL = "set local vigie.\\\"user\\\" = 'bob'"


def policy(kind: SourceKind = SourceKind.SETTING, name: str = USER, limit: int = 2) -> Policy:
    """Return a policy that believes the role ``app``, with a budget for each person."""
    each = replace(subjects(limit), id="EX511", per=(Grouping.END_USER,))
    total = replace(subjects(5), id="EX201")
    trust = Trust(frozenset({"app"}), end_user=Source(kind, name))
    return replace(policy_of(each, total), trusts=(trust,))


def talk_of(policy: Policy, *startup: str) -> Conversation:
    context = context_of(policy, analyser=Analyser(LAB_MAP))
    asked = tuple(one.partition("=")[::2] for one in startup if not one.startswith("application"))
    context.catalogs.put_path(Reader("app", "lab", asked), PATH, 0.0)
    return Conversation(context).login("user=app", "database=lab", *startup)


def used(talk: Conversation) -> dict[str, int]:
    """Return how many subjects each person has received; '' is nobody named."""
    return {
        dict(one.group)["end_user"]: one.used
        for one in talk.context.ledger.usage(talk.now)
        if one.budget == "EX511" and one.used
    }


def read(talk: Conversation, key: int, text: str = READ) -> None:
    """Read one patient by a Query."""
    talk.send(e.FrontendBytes(frontend_message(f'Query "{text}"')))
    answer(talk, key)


def answer(talk: Conversation, key: int) -> None:
    for line in (COLUMNS, f"DataRow {key} A", "CommandComplete 'SELECT 1'", "ReadyForQuery I"):
        talk.send(e.BackendBytes(backend_message(line)))


def test_a_comment_holds_for_its_text() -> None:
    """And for no other; the one of a Parse for each of its executions."""
    talk = talk_of(policy(SourceKind.COMMENT, "user"))
    read(talk, 1, READ + " /*user='alice'*/")
    read(talk, 2)
    assert used(talk) == {"alice": 1, "": 1}
    talk.say(
        f"""
        >>> Parse s "{READ} /*user='bob'*/"
        >>> Describe S s
        >>> Sync
        <<< ParseComplete
        <<< ParameterDescription
        <<< {COLUMNS}
        <<< ReadyForQuery I
        >>> Bind "" s
        > Execute ""
        >> Describe P ""
        >> Execute ""
        >>> Sync
        <<< BindComplete
        << {COLUMNS}
        <<< DataRow 3 A
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        """
    )
    assert used(talk) == {"alice": 1, "": 1, "bob": 1}


def test_fetch_is_for_whom_its_cursor_is() -> None:
    """Unless it says for whom itself."""
    talk = talk_of(policy(SourceKind.COMMENT, "user"))
    talk.say(
        f"""
        >>> Query begin
        <<< CommandComplete BEGIN
        <<< ReadyForQuery T
        >>> Query "declare c cursor for {READ} /*user='alice'*/"
        <<< CommandComplete "DECLARE CURSOR"
        <<< ReadyForQuery T
        >>> Query "fetch 1 from c"
        <<< {COLUMNS}
        <<< DataRow 1 A
        <<< CommandComplete "FETCH 1"
        <<< ReadyForQuery T
        >>> Query "fetch 1 from c /*user='bob'*/"
        <<< {COLUMNS}
        <<< DataRow 2 A
        <<< CommandComplete "FETCH 1"
        <<< ReadyForQuery T
        """
    )

    assert used(talk) == {"alice": 1, "bob": 1}


def test_what_is_sent_behind_a_set_waits_for_it() -> None:
    """The statement is not even judged before; an error of the SET leaves the name as it was."""
    talk = talk_of(policy())
    talk.say(
        f"""
        >>> Parse s "{SET}"
        >>> Bind "" s alice
        >>> Execute ""
        > Parse t "{READ}"
        >> Flush
        > Bind "" t
        > Execute ""
        > Sync
        <<< ParseComplete
        <<< BindComplete
        <<< DataRow alice
        << CommandComplete "SELECT 1"
        < CommandComplete "SELECT 1"
        >> Parse t "{READ}"
        >> Bind "" t
        >> Describe P ""
        >> Execute ""
        >> Sync
        <<< ParseComplete
        <<< BindComplete
        << {COLUMNS}
        <<< DataRow 1 A
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        """
    )

    assert used(talk) == {"alice": 1}


def test_in_one_text_each_result_is_for_whom_it_was_sent() -> None:
    """What the first statement sets, the second is for."""
    talk = talk_of(policy())
    text = f'set vigie.\\"user\\" = \'alice\'; {READ}; reset vigie.\\"user\\"; {READ}'
    talk.say(
        f"""
        >>> Query "{text}"
        <<< CommandComplete SET
        <<< {COLUMNS}
        <<< DataRow 1 A
        <<< CommandComplete "SELECT 1"
        <<< CommandComplete RESET
        <<< {COLUMNS}
        <<< DataRow 2 A
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        """
    )

    assert used(talk) == {"alice": 1, "": 1}


def test_what_is_rolled_back_was_not_said() -> None:
    """And what is local ends with its transaction, whichever way the messages went."""
    talk = talk_of(policy())
    for _ in range(3):  # from the second time on BEGIN and ROLLBACK go by the fast lane
        for line, tag, status in (
            ("begin", "BEGIN", "T"),
            (LOCAL, "SET", "T"),
            ("savepoint a", "SAVEPOINT", "T"),
            ("rollback", "ROLLBACK", "I"),
        ):
            chunk = frontend_message(f'Query "{line}"')
            done = backend_message(f"CommandComplete {tag}") + backend_message(
                f"ReadyForQuery {status}"
            )
            if not talk.session.passes_frontend(chunk, talk.now):
                talk.send(e.FrontendBytes(chunk))
            if not talk.session.passes_backend(done, 0.0):
                talk.send(e.BackendBytes(done))
        read(talk, 1)

    assert used(talk) == {"": 1}


def test_the_roles_own_budget_bounds_all_names_together() -> None:
    """Five for the role; each name has two, and a new one is made up for each statement."""
    talk = talk_of(policy(SourceKind.COMMENT, "user"))
    cut = ""
    for key in range(1, 10):
        talk.send(e.FrontendBytes(frontend_message(f"Query \"{READ} /*user='x{key}'*/\"")))
        talk.send(e.BackendBytes(backend_message(COLUMNS)))
        told = talk.send(e.BackendBytes(backend_message(f"DataRow {key} A")))
        cuts = [one.budget for one in told if isinstance(one, c.WasCut)]
        if cuts:
            (cut,) = cuts
            break
        talk.send(e.BackendBytes(backend_message("CommandComplete 'SELECT 1'")))
        talk.send(e.BackendBytes(backend_message("ReadyForQuery I")))

    assert (cut, sum(used(talk).values())) == ("EX201", 5)


def test_records_say_for_whom() -> None:
    """Of the statement that was refused, or cut."""
    talk = talk_of(policy(SourceKind.COMMENT, "user", limit=0))
    talk.send(e.FrontendBytes(frontend_message(f"Query \"{READ} /*user='alice'*/\"")))
    talk.send(e.BackendBytes(backend_message(COLUMNS)))
    told = talk.send(e.BackendBytes(backend_message("DataRow 1 A")))

    (record,) = [one.record for one in told if isinstance(one, c.Emit)]
    assert record.principal.behalf == Behalf("alice")
    assert record.verdict is Action.BLOCK


@pytest.mark.parametrize(
    ("startup", "name"),
    [
        (("options=--vigie.user=erin",), "erin"),
        (("options=-cvigie.User=frank",), "frank"),
        (("vigie.user=greta",), "greta"),
        ((), ""),
    ],
)
def test_a_session_may_begin_with_a_name(startup: tuple[str, ...], name: str) -> None:
    """As the backend reads its start-up parameters."""
    talk = talk_of(policy(), *startup)
    read(talk, 1)

    assert used(talk) == {name: 1}


def test_the_backend_reports_the_name_of_the_application() -> None:
    """And it is right, whatever was read of the statements."""
    talk = talk_of(policy(name="application_name"), "application_name=lis")
    read(talk, 1)
    talk.send(e.BackendBytes(backend_message("ParameterStatus application_name other")))
    read(talk, 2)

    assert used(talk) == {"lis": 1, "other": 1}


def test_another_policy_believes_others_at_once() -> None:
    """What a session said before it was believed is asked of the backend."""
    talk = talk_of(policy_of(subjects(9)))
    believing = policy()
    talk.context.adopt(believing)
    talk.say("* PolicyChanged")
    talk.send(e.FrontendBytes(frontend_message(f'Query "{READ}"')))
    (asked,) = [one.data for one in talk.commands if isinstance(one, c.SendBackend)]
    assert b"current_setting('vigie.user', true)" in asked

    talk.context.adopt(policy_of(subjects(9)))
    talk.say("* PolicyChanged")
    assert talk.session._state.trust is None


def test_what_has_no_text_is_for_nobody_whom_a_comment_named() -> None:
    """A large Bind is for whom its statement is; a notification between two for nobody."""
    talk = talk_of(policy(SourceKind.COMMENT, "user"))
    text = f"{READ} /*user='alice'*/"
    talk.send(e.FrontendBytes(frontend_message(f'Parse s "{text}"')))
    talk.send(e.FrontendBytes(frontend_message("Sync")))
    talk.send(e.BackendBytes(backend_message("ParseComplete") + backend_message("ReadyForQuery I")))
    state = talk.session._state
    talk.send(e.BackendBytes(backend_message("NotificationResponse channel text")))
    assert state.behalf == NOBODY

    large = b"B" + (1 << 20).to_bytes(4, "big") + b"\0s\0" + bytes(1 << 17)
    talk.send(e.FrontendBytes(large))
    assert state.behalf == Behalf("alice")


def test_a_name_too_many_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are known go on."""
    talk = talk_of(policy(SourceKind.COMMENT, "user"))
    monkeypatch.setattr("proxy.meter.known_names.KnownNames.__init__.__defaults__", (1,))
    read(talk, 1, READ + " /*user='alice'*/")
    read(talk, 2, READ + " /*user='bob'*/")
    read(talk, 3, READ + " /*user='alice'*/")

    assert used(talk) == {"alice": 2, "": 1}
