"""How many sessions there may be, and what is said to one too many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.session import Session
from proxy.session import events as e
from proxy.session.admission import Admission
from tests.conversation import Conversation, context_of
from tests.messages import backend_message

_STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60)


@given(_STEPS, st.integers(0, 4), st.integers(0, 3))
def test_there_are_never_more_than_the_limits_say(
    steps: list[tuple[str, bool]], limit: int, per_address: int
) -> None:
    """Whatever comes and goes: refused exactly when a limit is reached, and nothing stays."""
    admission, inside = Admission(limit, per_address), list[str]()
    for address, comes in steps:
        if comes:
            full = bool(limit) and len(inside) >= limit
            full |= bool(per_address) and inside.count(address) >= per_address
            assert (admission.enter(address) is not None) == full
            inside += [] if full else [address]
        elif address in inside:
            inside.remove(address)
            admission.leave(address)
    for address in inside:
        admission.leave(address)

    assert (admission._all, admission._of_address) == (0, {})


def test_unix_sockets_have_no_address() -> None:
    """They count in all, and not as one address."""
    admission = Admission(3, 1)

    assert [admission.enter("") for _ in range(4)] == [
        *[None] * 3,
        "sorry, too many clients already",
    ]


def test_one_session_too_many_is_told_so() -> None:
    """53300 in answer to the StartupMessage; a place that is left is free again."""
    context = context_of()
    context.admission.limit = 1
    first = Conversation(context).login()
    refused = """
        > Startup user=app database=lab
        ! Refused
        < ErrorResponse 53300 "sorry, too many clients already" FATAL
        ! CloseBackend
        ! CloseFrontend
        """
    Conversation(context).say(refused)
    first.session.end()
    first.session.end()
    Conversation(context).login()
    Conversation(context).say(refused)


def test_an_address_has_its_own_limit() -> None:
    """Another one comes in all the same."""
    context = context_of()
    context.admission.limit_per_address = 1
    Conversation(context).login()
    Conversation(context).say(
        """
        > Startup user=app database=lab
        ! Refused
        < ErrorResponse 53300 'too many connections for address "192.0.2.7"' FATAL
        ! CloseBackend
        ! CloseFrontend
        """
    )
    Conversation(context, address="192.0.2.8").login()


def test_a_role_counts_once_its_password_is_good() -> None:
    """As with PostgreSQL, the refusal comes behind AuthenticationOk."""
    context = context_of()
    context.admission.limit_per_role = 1
    for _ in range(3):  # they only name the role
        Conversation(context).say("> Startup user=app database=lab", loosely=True)
    Conversation(context).login()
    Conversation(context).say(
        """
        > Startup user=app database=lab
        ! OpenBackend
        >> Startup user=app database=lab
        <<< Authentication 0
        ! Refused
        < ErrorResponse 53300 'too many connections for role "app"' FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_a_cancel_needs_no_place() -> None:
    """When all places are taken, that is when one wants to cancel."""
    context = context_of()
    context.admission.limit = 1
    Conversation(context).login()
    Conversation(context).say(
        """
        > CancelRequest 7 abcd
        ! ForwardCancel 7 abcd
        """
    )


def test_a_session_that_ends_leaves_every_place() -> None:
    """In all, of its address and of its role."""
    context = context_of()
    session = Session(context, "192.0.2.7")
    session.handle(e.FrontendBytes(b"".join(_start())), 0.0)
    session.handle(e.BackendBytes(backend_message("Authentication 0")), 0.0)
    taken = (context.admission._all, dict(context.admission._of_role))
    session.end()

    assert taken == (1, {"app": 1})
    assert (context.admission._all, dict(context.admission._of_role)) == (0, {})


def _start() -> list[bytes]:
    from tests.messages import startup  # noqa: PLC0415 - only here

    return [startup("user=app", "database=lab")]
