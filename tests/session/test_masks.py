"""Masks in a session: rows, and the texts beside them, before they leave."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.session import events as e
from proxy.terms.budget import Measure
from proxy.terms.finding import Mode
from proxy.wire.encode import error_response
from tests.conversation import Conversation, context_of, policy_of, subjects
from tests.messages import backend_message
from tests.policy.texts import load_with

if TYPE_CHECKING:
    from proxy.policy import Policy

READ = "select id, last_name from lab.patient limit 9"
COLUMNS = "RowDescription id:16406.1:20 last_name:16406.3:25"
RULE = """\
rules:
  - id: EX510
    title: Masks
    severity: info
    when: {role: {is: app}}
    mask: {classes: [identity], how: partial}
    explain: shows initials
    why: Enough.
"""


def masking(limit: int = 100) -> Policy:
    """Return a policy of one rule, that masks, and one budget."""
    masks = load_with(RULE).masks
    return replace(policy_of(subjects(limit)), rules=masks, masks=masks)


def talk_of(mode: Mode = Mode.ENFORCE, limit: int = 100) -> Conversation:
    """Return a conversation of somebody who is masked."""
    return Conversation(context_of(masking(limit), mode=mode)).login()


def test_rows_are_masked_and_told_of() -> None:
    """The record before, the number of values behind; keys alone disclose nobody."""
    talk = talk_of(limit=0)

    talk.say(
        f"""
        > Query "{READ}"
        ! Emit allow EX510
        >> Query "{READ}"
        <<< {COLUMNS}
        << DataRow 1 DUPONT
        < DataRow 1 D***
        << CommandComplete "SELECT 1"
        ! Masked
        < CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        """
    )


def test_observing_leaves_rows_as_they_are() -> None:
    """It records, and no more."""
    talk_of(Mode.OBSERVE).say(
        f"""
        > Query "{READ}"
        ! Emit allow EX510
        >> Query "{READ}"
        <<< {COLUMNS}
        <<< DataRow 1 DUPONT
        """
    )


def test_other_columns_than_expected_do_not_leave() -> None:
    """The backend describes one more: what is in it, nobody knows."""
    talk = talk_of()
    talk.say(
        f"""
        > Query "{READ}"
        ! Emit allow EX510
        >> Query "{READ}"
        <<< {COLUMNS} nir:16406.2:1042
        """
    )

    talk.send(e.BackendBytes(backend_message("DataRow 1 DUPONT 184057512345678")))

    told = talk.told()
    assert told[0] == "! Emit block EX510"
    assert not any("DUPONT" in line or "184057512345678" in line for line in told)


def test_what_the_backend_takes_from_a_masked_column_is_masked() -> None:
    """Although the text seems to name another one."""
    text = "select id, medecin_id from lab.patient limit 9"
    talk_of().say(
        f"""
        >>> Query "{text}"
        <<< RowDescription id:16406.1:20 medecin_id:16406.3:25
        << DataRow 1 DUPONT
        < DataRow 1 D***
        """
    )


def test_a_row_in_pieces_does_not_leave() -> None:
    """It cannot be masked before all of it is there."""
    talk = talk_of()
    talk.say(
        f"""
        > Query "{READ}"
        ! Emit allow EX510
        >> Query "{READ}"
        <<< {COLUMNS}
        """
    )

    talk.send(e.BackendBytes(b"D" + (3 << 20).to_bytes(4, "big") + b"M" * (1 << 20)))

    assert talk.told()[0] == "! Emit block EX510"
    assert not any("MMM" in line for line in talk.told())


@pytest.mark.parametrize(
    "error",
    [
        error_response("23502", "null value", detail="Failing row contains (1, DUPONT)."),
        error_response("22P02", "invalid input syntax for type integer: DUPONT"),
        error_response("P0001", "DUPONT"),
        error_response("42501", "DUPONT"),  # of a function: the backend's own name their routine
        error_response("57P01", "DUPONT", severity="FATAL"),
    ],
)
def test_errors_say_no_value(error: bytes) -> None:
    """Neither detail nor message leave where they may quote a row; so they cost nothing."""
    talk = talk_of(limit=0)
    talk.say('>>> Query "update lab.patient set medecin_id = null where id = 1"')

    talk.send(e.BackendBytes(error))

    (line,) = talk.told()
    assert "the database refused this" in line
    assert "DUPONT" not in line


def test_notices_of_code_do_not_leave() -> None:
    """A trigger may say anything."""
    talk = talk_of()
    talk.say('>>> Query "update lab.patient set medecin_id = null where id = 1"')

    talk.send(e.BackendBytes(backend_message('NoticeResponse 00000 "DUPONT"')))

    assert talk.told() == []


def test_errors_that_tell_values_have_a_budget() -> None:
    """Beyond it the text is another; the server's own words go on."""
    budget = subjects(1, measure=Measure.TELLING_ERRORS)
    talk = Conversation(context_of(policy_of(budget))).login()
    text = 'invalid input syntax for type integer: "184057512345678"'

    talk.say(
        f"""
        >>> Query "select nir::int from lab.patient limit 1"
        <<< ErrorResponse 22P02 '{text}'
        <<< ReadyForQuery I
        >>> Query "select nir::int from lab.patient limit 1"
        << ErrorResponse 22P02 '{text}'
        ! Emit block EX201
        ! WasCut EX201
        < ErrorResponse 53400 "result cut: has received as much as its budget allows"
        <<< ReadyForQuery I
        >>> Query "select last_name::int from lab.patient limit 1"
        <<< ErrorResponse 42883 "function does not exist"
        """
    )
