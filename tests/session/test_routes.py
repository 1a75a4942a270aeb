"""Which upstream a session goes to."""

from __future__ import annotations

import pytest

from proxy.session import Route
from proxy.session import commands as c
from proxy.session import events as e
from proxy.session.routes import choose
from tests.conversation import Conversation, context_of
from tests.messages import frontend_message

ROUTES = (
    Route("archive:1", frozenset({"archive", "old"}), None),
    Route("dmz:2", frozenset({"lab"}), frozenset({"[::1]:6432"})),
    Route("dmz:3", None, frozenset({"[::1]:6432"})),
)


@pytest.mark.parametrize(
    ("database", "listener", "upstream"),
    [
        ("lab", "", ""),
        ("lab", "127.0.0.1:6432", ""),
        ("lab", "[::1]:6432", "dmz:2"),
        ("other", "[::1]:6432", "dmz:3"),
        ("archive", "127.0.0.1:6432", "archive:1"),
        ("old", "[::1]:6432", "archive:1"),
        ("Archive", "", ""),
    ],
)
def test_the_first_that_fits_is_taken(database: str, listener: str, upstream: str) -> None:
    """Names are exact; what no route fits goes where all others go."""
    assert choose(ROUTES, database, listener) == upstream


def test_two_databases_of_one_name_are_two() -> None:
    """Each upstream has its own catalog, and its own budget for a role."""
    context = context_of()
    context.routes = ROUTES
    here, there = Conversation(context), Conversation(context)
    there.session._state.listener = "[::1]:6432"
    for one in (here, there):
        one.send(e.FrontendBytes(frontend_message("Startup user=app database=lab")))
    opened = [
        command.upstream
        for one in (here, there)
        for command in one.commands
        if isinstance(command, c.OpenBackend)
    ]

    assert opened == ["", "dmz:2"]
    states = [one.session._state for one in (here, there)]
    assert states[0].decisions.principal.key != states[1].decisions.principal.key
    assert states[0].reader.database != states[1].reader.database
    assert states[0].catalog is not None
    assert states[1].catalog is None


def test_the_database_of_a_start_up_that_names_none_is_that_of_the_role() -> None:
    """As PostgreSQL takes it."""
    context = context_of()
    context.routes = ROUTES
    talk = Conversation(context)
    talk.send(e.FrontendBytes(frontend_message("Startup user=archive")))

    assert c.OpenBackend("archive:1") in talk.commands
