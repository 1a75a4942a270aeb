"""Opening: the untagged messages, and what a start-up may not ask for."""

from __future__ import annotations

import pytest

from proxy.session import Session
from proxy.session import commands as c
from proxy.session import events as e
from proxy.session.opening import _settings
from proxy.terms.finding import Mode
from tests.conversation import Conversation, context_of
from tests.messages import frontend_message, startup


def test_encryption_is_declined_and_the_start_up_goes_on() -> None:
    """SSLRequest and GSSENCRequest are answered N; the StartupMessage behind them passes."""
    Conversation().say(
        """
        > GSSENCRequest
        < Raw 4e
        > SSLRequest
        < Raw 4e
        > Startup user=app database=lab
        ! OpenBackend
        >> Startup user=app database=lab
        """
    )


def test_bytes_stuffed_behind_an_encryption_request_end_the_connection() -> None:
    """What came in the clear before the answer is never taken for what comes after it."""
    session = Session(context_of())

    told = session.handle(
        e.FrontendBytes(frontend_message("SSLRequest") + startup("user=app")), 0.0
    )

    assert not any(isinstance(one, c.OpenBackend | c.SendBackend) for one in told)
    assert isinstance(told[-1], c.CloseFrontend)


def test_a_cancel_is_passed_on_and_nothing_is_answered() -> None:
    """A CancelRequest carries a key that we gave out; its connection says nothing."""
    Conversation().say(
        """
        > CancelRequest 7 abcd
        ! ForwardCancel 7 abcd
        """
    )


def test_nothing_is_collected_behind_a_cancel() -> None:
    """Bytes that come while the connection of a cancel is open are dropped."""
    session = Session(context_of())
    session.handle(e.FrontendBytes(frontend_message("CancelRequest 7 abcd")), 0.0)

    told = session.handle(e.FrontendBytes(bytes(1000)), 0.0)

    assert told == []
    assert session._frontend.pending_bytes == 0


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ("replication=database", "EX125"),
        ("standard_conforming_strings=off", "EX129"),
        ("client_encoding=SJIS", "EX129"),
        ("'options=-c standard_conforming_strings=off'", "EX129"),
        ("'options=--client-encoding=SJIS'", "EX129"),
        ("'options=-c backslash_quote=on' backslash_quote=safe_encoding", "EX129"),
        ("'options=-c backslash_quote=safe_encoding' backslash_quote=on", "EX129"),
        ("role=postgres", "EX131"),
        ("search_path=lab", None),
        ("'options=-sc role=postgres'", "EX131"),
        (r"'options=-c ro\le=postgres \ '", "EX131"),
    ],
)
def test_a_start_up_is_judged_by_its_settings(asked: str, rule: str | None) -> None:
    """Replication, lexer settings and roles are refused, in every spelling the backend takes."""
    talk = Conversation()

    talk.send(e.FrontendBytes(frontend_message(f"Startup user=app database=lab {asked}")))

    emitted = [one.record.findings[0].rule for one in talk.commands if isinstance(one, c.Emit)]
    opened = any(isinstance(one, c.OpenBackend) for one in talk.commands)
    assert opened == (rule is None)
    assert len(emitted) == (0 if rule is None else 1)


def test_a_refused_start_up_says_why() -> None:
    """The frontend is told which rule, in an ErrorResponse that ends the connection."""
    Conversation().say(
        """
        > Startup user=app replication=true
        ! Emit block EX125 EX912
        ! Refused
        < ErrorResponse 42501 "connection refused: uses logical replication" FATAL
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_observing_refuses_no_start_up() -> None:
    """In observe mode the finding is told, and the connection goes on."""
    Conversation(context_of(mode=Mode.OBSERVE)).say(
        """
        > Startup user=app role=postgres
        ! Emit block EX131
        ! OpenBackend
        >> Startup user=app role=postgres
        """
    )


@pytest.mark.parametrize(("major", "minor"), [(2, 0), (4, 0)])
def test_another_major_version_is_refused(major: int, minor: int) -> None:
    """Versions 2 and 4 have other layouts; nothing in them can be read."""
    session = Session(context_of())
    raw = startup("user=app", version=major << 16 | minor)

    told = session.handle(e.FrontendBytes(raw), 0.0)

    assert [type(one) for one in told] == [
        c.Refused,
        c.SendFrontend,
        c.CloseBackend,
        c.CloseFrontend,
    ]
    assert b"C0A000\0" in told[1].data  # type: ignore[union-attr]


def test_a_start_up_without_user_is_refused() -> None:
    """As PostgreSQL does: 28000."""
    Conversation().say(
        """
        > Startup database=lab
        ! Refused
        < ErrorResponse 28000 "no user name specified in StartupMessage" FATAL
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_settings_are_in_the_order_of_the_backend() -> None:
    """A parameter of its own comes after ``options``, so it is the one that holds."""
    found = _settings({"search_path": "b", "options": "-c search_path=a -d 5 -ec Time-Zone=x"})

    assert found == [("search_path", "a"), ("time_zone", "x"), ("search_path", "b")]


def test_no_account_is_opened_for_whoever_names_a_role() -> None:
    """A start-up alone, not authenticated, leaves nothing in the ledger."""
    talk = Conversation()

    talk.say("> Startup user=nobody database=lab", loosely=True)

    assert talk.context.ledger.accounts() == ()


def test_direct_tls_is_closed_without_an_answer() -> None:
    """A ClientHello is no StartupMessage; whoever sends it reads no ErrorResponse."""
    Conversation().say(
        """
        > Raw 16 03 01
        ! ProtocolFault frontend
        ! Refused
        ! CloseFrontend
        """
    )


def test_the_login_has_a_deadline() -> None:
    """Whoever does not finish the login in time is told so and closed."""
    Conversation().say(
        """
        * LoginTimeout
        < ErrorResponse 08006 "the login was not complete in time" FATAL
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_a_backend_that_cannot_be_reached_is_told_of() -> None:
    """The frontend gets 08006 with the reason, and no address."""
    Conversation().say(
        """
        > Startup user=app database=lab
        ! OpenBackend
        >> Startup user=app database=lab
        * BackendUnreachable refused
        ! UpstreamFault refused
        < ErrorResponse 08006 "cannot connect to the database: refused" FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )
