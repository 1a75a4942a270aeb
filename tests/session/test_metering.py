"""Metering: every carrier is charged before it is released, and to the statement it is of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.session import commands as c
from proxy.session import events as e
from proxy.terms.finding import Mode
from proxy.wire.encode import frame
from tests.conversation import Conversation, context_of, policy_of, subjects
from tests.messages import backend_message

READ = "select id, last_name from lab.patient limit 9"
COLUMNS = "RowDescription id:16406.1:20 last_name:16406.3:25"


def talk_of(limit: int = 3, mode: Mode = Mode.ENFORCE) -> Conversation:
    return Conversation(context_of(policy_of(subjects(limit)), mode=mode)).login()


def used(talk: Conversation) -> int:
    """Return how many subjects were charged."""
    return sum(usage.used for usage in talk.context.ledger.usage(talk.now))


def test_results_near_a_limit_are_held_back() -> None:
    """By a command, before the rows; observing, nothing is."""
    slow = replace(subjects(4), slows_from_percent=50, slows_by_seconds=2.0)
    seen = []
    for mode in (Mode.ENFORCE, Mode.OBSERVE):
        talk = Conversation(context_of(policy_of(slow), mode=mode)).login()
        talk.say(f'>>> Query "{READ}"')
        talk.send(e.BackendBytes(backend_message(COLUMNS)))
        told: list[c.Command] = []
        for row in ("1 A", "2 B", "3 C"):
            told = talk.send(e.BackendBytes(backend_message(f"DataRow {row}")))
            seen.append([type(one).__name__ for one in told])
        delays = [one.seconds for one in told if isinstance(one, c.Delay)]
        assert delays == ([1.0] if mode is Mode.ENFORCE else [])

    send = ["SendFrontend"]
    assert seen == [send, send, ["Delay", *send], send, send, send]


def test_a_portal_in_slices_is_one_result() -> None:
    """Each Execute takes some rows; the budget is of all of them."""
    talk = talk_of()

    talk.say(
        f"""
        >>> Query begin
        <<< CommandComplete BEGIN
        <<< ReadyForQuery T
        >>> Parse "" "{READ}"
        >>> Bind p ""
        > Execute p 2
        >> Describe P p
        >> Execute p 2
        >>> Sync
        <<< ParseComplete
        <<< BindComplete
        << {COLUMNS}
        <<< DataRow 1 A
        <<< DataRow 2 B
        <<< PortalSuspended
        <<< ReadyForQuery T
        >>> Execute p 2
        >>> Sync
        <<< DataRow 3 C
        << DataRow 4 D
        ! Emit block EX201
        ! WasCut EX201
        ! CancelBackend 7 abcd
        """
    )

    assert used(talk) == 3


@pytest.mark.parametrize("form", ["text", "csv"])
def test_copy_is_charged_by_its_keys(form: str) -> None:
    """A key that comes twice is one subject."""
    talk = talk_of()
    row = "{}\\\\tA\\\\n" if form == "text" else "{},A\\\\n"

    talk.say(
        f"""
        >>> Query "copy (select id, last_name from lab.patient) to stdout (format {form})"
        <<< CopyOutResponse
        <<< CopyData "{row.format(1)}"
        <<< CopyData "{row.format(2)}"
        <<< CopyData "{row.format(1)}"
        <<< CopyDone
        <<< CommandComplete "COPY 3"
        <<< ReadyForQuery I
        """
    )

    assert used(talk) == 2


def test_copy_in_binary_is_charged_by_its_keys() -> None:
    """The head and the end are no rows."""
    talk = talk_of()
    talk.say(
        '>>> Query "copy (select id, last_name from lab.patient) to stdout (format binary)"\n'
        "<<< CopyOutResponse"
    )
    key = b"\0\2\0\0\0\x08" + (5).to_bytes(8, "big") + b"\0\0\0\1A"
    head = b"PGCOPY\n\xff\r\n\0" + bytes(8)

    sent = talk.send(
        e.BackendBytes(
            frame(ord("d"), head) + frame(ord("d"), key) * 2 + frame(ord("d"), b"\xff\xff")
        )
    )

    assert [type(one) for one in sent if not isinstance(one, c.Released)] == [c.SendFrontend]
    assert used(talk) == 1


def test_rows_are_of_the_statement_that_was_described() -> None:
    """What EXECUTE runs may be another since its portal was described: then by bytes."""
    talk = talk_of(1000)
    talk.say(
        """
        >>> Query "begin; prepare s as select 'x' as a"
        <<< CommandComplete BEGIN
        <<< CommandComplete PREPARE
        <<< ReadyForQuery T
        >>> Parse "" "execute s"
        >>> Bind p ""
        >>> Describe P p
        >>> Sync
        <<< ParseComplete
        <<< BindComplete
        <<< RowDescription a
        <<< ReadyForQuery T
        >>> Query "deallocate s; prepare s as select nir || '' from lab.patient where id = 5"
        <<< CommandComplete DEALLOCATE
        <<< CommandComplete PREPARE
        <<< ReadyForQuery T
        >>> Execute p
        > Sync
        >> Flush
        <<< DataRow 123456789012345
        """
    )

    assert used(talk) == 3


def test_an_error_that_quotes_values_is_charged() -> None:
    """A failed cast says what it failed on; the server's own words and ours are free."""
    talk = talk_of(100)
    text = 'invalid input syntax for type integer: "184057512345678"'

    talk.say(
        """
        >>> Query "select last_name::int from lab.patient limit 1"
        <<< ErrorResponse 42883 "function does not exist"
        <<< ReadyForQuery I
        """
    )
    before = used(talk)
    talk.say(
        f"""
        >>> Query "select nir::int from lab.patient limit 1"
        <<< ErrorResponse 22P02 '{text}'
        <<< ReadyForQuery I
        """
    )

    assert (before, used(talk)) == (0, 3)


def test_an_error_for_which_no_budget_is_left_is_another() -> None:
    """Its text does not leave."""
    talk_of(1).say(
        """
        >>> Query "select nir::int from lab.patient limit 1"
        << ErrorResponse 22P02 'invalid input syntax for type integer: "184057512345678"'
        ! Emit block EX201
        ! WasCut EX201
        < ErrorResponse 53400 "result cut: has received as much as its budget allows"
        <<< ReadyForQuery I
        """
    )


def test_an_error_larger_than_what_is_read_at_once_ends_the_session() -> None:
    """In pieces it could not be charged."""
    talk = talk_of()
    talk.say('>>> Query "select nir::int from lab.patient limit 1"')

    talk.send(e.BackendBytes(b"E" + (3 << 20).to_bytes(4, "big") + b"M" * (1 << 20)))

    assert talk.told()[0] == "! ProtocolFault backend"
    assert not any("MMM" in line for line in talk.told())


def test_notices_are_charged_and_dropped() -> None:
    """A notice of code that nobody has read counts all its bytes; too many do not leave."""
    talk = talk_of(2)

    talk.say(
        """
        >>> Query "do $$begin execute 'a' || 1; end$$"
        <<< NoticeResponse 00000 "123456789"
        << NoticeResponse 00000 "123456789"
        ! Emit block EX201
        ! WasCut EX201
        <<< CommandComplete DO
        """
    )


def test_a_setting_that_is_reported_behind_its_statement_is_free() -> None:
    """SET is followed by ParameterStatus when it is done; nobody's data is in it."""
    talk = talk_of(0)

    talk.say(
        """
        >>> Query "set application_name = 'a long name of an application'"
        <<< CommandComplete SET
        <<< ParameterStatus application_name "a long name of an application"
        <<< ReadyForQuery I
        """
    )

    assert used(talk) == 0


@pytest.mark.parametrize("flow", ["simple", "extended"])
def test_a_setting_made_from_data_is_charged(flow: str) -> None:
    """set_config is a way out as well, in both flows."""
    talk = talk_of(100)
    text = "select set_config('application_name', nir, false) from lab.patient where id = 5"
    if flow == "simple":
        talk.say(f'>>> Query "{text}"\n<<< RowDescription a\n<<< CommandComplete "SELECT 1"')
    else:
        talk.say(f'>>> Parse "" "{text}"\n>>> Bind "" ""\n> Execute ""', loosely=True)
        talk.say("> Sync", loosely=True)
        talk.say("<< ParseComplete\n<< BindComplete\n<< RowDescription a", loosely=True)
        talk.say('<< CommandComplete "SELECT 1"', loosely=True)
    before = used(talk)

    talk.say("<<< ParameterStatus application_name 184057512345678")

    assert used(talk) - before == 3


def test_a_function_call_is_charged_by_bytes() -> None:
    """Its result and its errors: nobody knows what it runs."""
    talk = talk_of(10)

    talk.say(
        """
        >>> FunctionCall 1598
        <<< FunctionCallResponse 1234567
        <<< ReadyForQuery I
        """
    )

    assert used(talk) > 1


def test_what_a_rule_of_the_database_adds_is_charged_by_bytes() -> None:
    """A second RowDescription within one statement is of nobody knows what."""
    talk = talk_of(100)

    talk.say(
        """
        >>> Query "select 1"
        <<< RowDescription a
        <<< DataRow 1
        <<< RowDescription b
        <<< DataRow 123456789012
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        """
    )

    assert used(talk) == 3


@pytest.mark.parametrize("together", [True, False])
def test_a_relation_renamed_in_this_transaction_is_not_what_it_was(together: bool) -> None:
    """Its name was a harmless one's, and the catalog is read again only when all is over."""
    talk = talk_of(100)
    swap = "alter table lab.medecin rename to z; alter table lab.patient rename to medecin"
    read = "select last_name || '' as a from lab.medecin where id = 3"
    done = '<<< CommandComplete "ALTER TABLE"\n' * 2
    ready = "<<< ReadyForQuery T"
    if together:
        talk.say(f'>>> Query "begin; {swap}; {read}"\n<<< CommandComplete BEGIN\n{done}')
    else:
        talk.say(f'>>> Query "begin; {swap}"\n<<< CommandComplete BEGIN\n{done}\n{ready}')
        talk.say(f'>>> Query "{read}"')

    talk.say("<<< RowDescription a\n<<< DataRow 123456789012")

    assert used(talk) == 2
