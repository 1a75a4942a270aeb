"""Names: never another statement than the one that the backend would run."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.session import commands as c
from proxy.session import events as e
from proxy.session import statements
from tests.conversation import Conversation, context_of, policy_of, subjects
from tests.messages import backend_message, frontend_message

NAMES = ("", "a", "b")
TEXTS = ("select 1", "select 1, 2", "select last_name from lab.patient where id = 3")
WRONG = "wrong"  # a text that the backend will not take, and Vigie does

names = st.sampled_from(NAMES)
texts = st.sampled_from(TEXTS)
extended = st.one_of(
    st.tuples(st.just("Parse"), names, texts | st.just(f"select '{WRONG}'")),
    st.tuples(st.just("Bind"), names, names),
    st.tuples(st.just("Close"), st.sampled_from("SP"), names),
    st.tuples(st.just("Sync")),
)
simple = st.one_of(
    st.tuples(st.just("Query"), st.sampled_from(["begin", "commit", "rollback", "deallocate all"])),
    st.builds(
        lambda name, text: ("Query", f"prepare {name} as {text}"), st.sampled_from("ab"), texts
    ),
    st.builds(
        lambda name, text: ("Query", f"declare {name} cursor for {text}"),
        st.sampled_from("ab"),
        texts,
    ),
    st.builds(lambda name: ("Query", f"deallocate {name}"), st.sampled_from("ab")),
    st.builds(lambda name: ("Query", f"close {name}"), st.sampled_from("ab")),
)
steps = st.lists(st.tuples(extended | simple, st.booleans()), max_size=30)


@dataclass
class Database:
    """A naive backend: what it knows by name, and what it says."""

    prepared: dict[str, str] = field(default_factory=dict)
    portals: dict[str, str] = field(default_factory=dict)
    in_transaction: bool = False
    failed: bool = False
    skips: bool = False

    def take(self, told: tuple[str, ...]) -> list[str]:
        """Return the answers to one message."""
        match told:
            case ("Sync",):
                self.skips = False
                return self._ready()
            case _ if self.skips:
                return []
            case ("Query", text):
                self.prepared.pop("", None)
                self.portals.pop("", None)
                return [self._run(text), *self._ready()]
            case ("Parse", name, text):
                wrong = self.failed or WRONG in text or (name and name in self.prepared)
                return self._answer("ParseComplete", None if wrong else (self.prepared, name, text))
            case ("Bind", portal, name):
                wrong = (
                    self.failed or name not in self.prepared or (portal and portal in self.portals)
                )
                text = self.prepared.get(name, "")
                return self._answer("BindComplete", None if wrong else (self.portals, portal, text))
            case (_, kind, name):
                (self.prepared if kind == "S" else self.portals).pop(name, None)
                return ["CloseComplete"]
            case _:
                raise AssertionError(told)

    def _answer(self, good: str, made: tuple[dict[str, str], str, str] | None) -> list[str]:
        if made is None:
            self.skips, self.failed = True, self.in_transaction
            return ["ErrorResponse 42601 wrong"]
        where, name, value = made
        where[name] = value
        return [good]

    def _run(self, text: str) -> str:
        first, *rest = text.split(" ", 2)
        wrong = self.failed and text not in {"commit", "rollback"}
        match first:
            case _ if wrong:
                pass
            case "begin":
                self.in_transaction = True
                return "CommandComplete BEGIN"
            case "commit" | "rollback":
                self.in_transaction = self.failed = False
                return "CommandComplete COMMIT"
            case "prepare" if rest[0] not in self.prepared:
                self.prepared[rest[0]] = text.split(" as ")[1]
                return "CommandComplete PREPARE"
            case "declare" if self.in_transaction and rest[0] not in self.portals:
                self.portals[rest[0]] = text.split(" for ")[1]
                return "CommandComplete DECLARE"
            case "deallocate" if text == "deallocate all" or rest[0] in self.prepared:
                if text == "deallocate all":
                    self.prepared.clear()
                self.prepared.pop(rest[0], None)
                return "CommandComplete DEALLOCATE"
            case "close" if rest[0] in self.portals:
                del self.portals[rest[0]]
                return "CommandComplete CLOSE"
            case _:
                pass
        self.failed = self.in_transaction
        return "ErrorResponse 42000 wrong"

    def _ready(self) -> list[str]:
        if not self.in_transaction:
            self.portals.clear()
        return ["ReadyForQuery " + ("E" if self.failed else "T" if self.in_transaction else "I")]


def spoken(told: tuple[str, ...]) -> bytes:
    name, *rest = told
    return frontend_message(" ".join([name, *(f'"{one}"' for one in rest)]))


def ran(known: statements.Prepared | statements.Portal) -> str:
    """Return its text; facts may hold that of another statement of the same template."""
    return known.text.decode() or known.facts.text


@settings(deadline=None)
@given(steps)
def test_a_name_is_never_taken_for_another(told: list[tuple[tuple[str, ...], bool]]) -> None:
    """Whatever is made, closed, failed and skipped, and whenever it is answered.

    What the backend knows by a name Vigie knows as the same, or not at all; and what was sent to it
    was judged with the same text.
    """
    talk = Conversation(context_of(policy_of(subjects(None)))).login()
    database = Database()
    unsent: list[str] = []
    for step, answers_now in [*told, (("Sync",), True)]:
        talk.send(e.FrontendBytes(spoken(step)))
        if talk.session.holds_frontend:  # until it is known what becomes of what was sent before
            for answer in unsent:
                talk.send(e.BackendBytes(backend_message(answer)))
            unsent.clear()
        assert any(isinstance(one, c.SendBackend) for one in talk.commands), step
        is_replaced = any("NONCE" in line for line in talk.told())  # a name nobody knows
        unsent += database.take(("Bind", step[1], "nobody") if is_replaced else step)
        if answers_now:
            for answer in unsent:
                talk.send(e.BackendBytes(backend_message(answer)))
            unsent.clear()

    registry = talk.session._state.registry
    for name, text in database.prepared.items():
        known = registry.prepared.get(name)
        assert known is None or ran(known).lower().removesuffix(";").endswith(text.lower())
    for name, text in database.portals.items():
        portal = registry.portals.get(name)
        assert portal is None or ran(portal).lower().endswith(text.lower())
    assert not talk.session._state.pending


def test_more_names_than_are_kept_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clearly, at the Parse; the unnamed one goes on, and what was deallocated makes room."""
    monkeypatch.setattr(statements, "MAX_NAMES", 2)
    talk = Conversation(context_of(policy_of())).login()
    for name in ("a", "b"):
        talk.say(f'> Parse {name} "select 1"\n<< ParseComplete', loosely=True)
    talk.say("> Sync\n<< ReadyForQuery I", loosely=True)
    talk.say(
        """
        > Parse c "select 1"
        >> Parse c NONCE
        << ErrorResponse 42601 "syntax error at or near NONCE"
        < ErrorResponse 54000 "too many prepared statements in this session"
        >>> Sync
        <<< ReadyForQuery I
        >>> Parse "" "select 1"
        <<< ParseComplete
        >>> Close S a
        > Parse c "select 1"
        >> Flush
        << CloseComplete
        < CloseComplete
        >> Parse c "select 1"
        """
    )


@pytest.mark.parametrize("drops", ["deallocate all", "discard all"])
def test_the_unnamed_statement_is_none_of_those_that_sql_drops(drops: str) -> None:
    """As in PostgreSQL, while the named ones are gone."""
    talk = Conversation(context_of(policy_of())).login()
    for name in ("", "a"):
        talk.say(f'> Parse "{name}" "{drops}"\n<< ParseComplete', loosely=True)
    talk.say(
        """
        >>> Bind "" ""
        <<< BindComplete
        >>> Execute ""
        <<< CommandComplete DONE
        >>> Sync
        <<< ReadyForQuery I
        """,
        loosely=True,
    )
    known = talk.session._state.registry.prepared.names()

    assert known == [""]


def test_a_cursor_may_have_been_made_by_a_function() -> None:
    """What code of the database's own has opened Vigie does not see: the backend knows."""
    talk = Conversation(context_of(policy_of())).login()
    talk.say(
        """
        >>> Query "select opens_cursor()"
        <<< CommandComplete "SELECT 1"
        <<< ReadyForQuery I
        > Query "fetch all from c"
        >> PathQuery
        << PathAnswer
        >> Query "fetch all from c"
        """,
    )


def test_a_name_that_something_under_way_may_drop_is_asked_for_when_that_is_known() -> None:
    """DEALLOCATE ALL that fails drops nothing: the Bind behind it is the backend's to answer."""
    Conversation(context_of(policy_of())).login().say(
        """
        >>> Parse s1 "deallocate all"
        >>> Bind "" s1
        >>> Execute ""
        >>> Sync
        > Bind "" s1
        <<< ParseComplete
        << ErrorResponse 08P01 "bind message supplies 2 parameters"
        < ErrorResponse 08P01 "bind message supplies 2 parameters"
        << ReadyForQuery I
        < ReadyForQuery I
        >> Bind "" s1
        """
    )
