"""Decisions: an error of ours refuses while enforcing, and passes while observing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.session import decisions, results
from proxy.sql import Analyser
from proxy.terms.finding import Action, Mode
from tests.conversation import Conversation, context_of, policy_of, subjects

if TYPE_CHECKING:
    from proxy.session import Context

REFUSED = "query refused: internal error of Vigie"
READ = "select id, last_name from lab.patient limit 9"


def boom(*_: object, **__: object) -> None:
    raise RuntimeError("for the test")


def context(mode: Mode = Mode.ENFORCE, on_error: Action = Action.BLOCK) -> Context:
    return context_of(policy_of(subjects(9)), mode=mode, on_internal_error=on_error)


@pytest.mark.parametrize("where", ["policy", "analysis"])
def test_an_error_in_judging_refuses(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """The statement is refused with XX000, recorded, and the session goes on."""
    talk = Conversation(context()).login()
    monkeypatch.setattr(decisions, "judge", boom)
    if where == "analysis":
        monkeypatch.setattr(Analyser, "analyse", boom)

    talk.say('> Query "select 4"', loosely=True)

    assert f"! InternalFault {where}" in talk.told()
    assert talk.told()[-2:] == ["! Emit block EX000", ">> Query NONCE"]
    talk.say(
        f"""
        << ErrorResponse 42601 "NONCE"
        < ErrorResponse XX000 "{REFUSED}"
        <<< ReadyForQuery I
        """
    )


@pytest.mark.parametrize(
    ("mode", "on_error"), [(Mode.ENFORCE, Action.ALLOW), (Mode.OBSERVE, Action.BLOCK)]
)
def test_an_error_in_judging_passes_where_the_site_says_so(
    monkeypatch: pytest.MonkeyPatch, mode: Mode, on_error: Action
) -> None:
    """In observe mode, and with on_internal_error: allow; it is recorded all the same."""
    talk = Conversation(context(mode, on_error)).login()
    monkeypatch.setattr(decisions, "judge", boom)

    talk.say('> Query "select 5"', loosely=True)

    assert talk.told()[0] == "! InternalFault policy"
    assert talk.told()[-1] == ">> Query 'select 5'"


@pytest.mark.parametrize(
    ("mode", "on_error", "passes"),
    [
        (Mode.ENFORCE, Action.BLOCK, False),
        (Mode.ENFORCE, Action.ALLOW, True),
        (Mode.OBSERVE, Action.BLOCK, True),
    ],
)
def test_an_error_in_the_meter_cuts(
    monkeypatch: pytest.MonkeyPatch, mode: Mode, on_error: Action, passes: bool
) -> None:
    """Rows that could not be charged do not leave, unless the site says so."""
    talk = Conversation(context(mode, on_error)).login()
    talk.say(f'>>> Query "{READ}"\n<<< RowDescription id:16406.1:20 last_name:16406.3:25')
    monkeypatch.setattr(results.Result, "admit_run", boom)

    talk.say("<< DataRow 1 A", loosely=True)

    record = f"! Emit {'flag' if passes else 'block'} EX000"
    assert talk.told() == [
        "! InternalFault meter",
        record,
        "< DataRow 1 A" if passes else "! CancelBackend 7 abcd",
    ]


def test_a_row_too_short_for_its_description_ends_the_session() -> None:
    """That is no error of ours: nothing that follows can be trusted."""
    talk = Conversation(context()).login()
    talk.say(f'>>> Query "{READ}"\n<<< RowDescription id:16406.1:20 last_name:16406.3:25')

    talk.say("<< DataRow 1", loosely=True)

    assert talk.told()[0] == "! ProtocolFault backend"
