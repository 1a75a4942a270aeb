"""A conversation between a frontend, a session and a backend, as text.

    > Query "select 1"       the frontend sends
    >> Query "select 1"      the backend receives
    << ReadyForQuery I       the backend sends
    < ReadyForQuery I        the frontend receives
    >>> Sync                 the frontend sends it and the backend receives the same
    <<< ReadyForQuery I      the backend sends it and the frontend receives the same
    ! Emit block EX101       any other command
    * CancelDone             any other event

Every command must be written down, in order, except the kinds that a conversation waives. NONCE is
the last word that Vigie made up for a refusal. Raw takes bytes in hexadecimal.
"""

from __future__ import annotations

import difflib
import re
import shlex
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.meter.ledger import Ledger
from proxy.policy import Policy, load_policy
from proxy.session import Context, Session
from proxy.session import commands as c
from proxy.session import events as e
from proxy.session.catalog_book import CatalogBook, Reader
from proxy.session.opening import Encryption
from proxy.session.own_query import own_messages
from proxy.sql import CATALOG_QUERY, SESSION_QUERY, Analyser, build_catalog
from proxy.sql.worker import WorkerOutcome
from proxy.terms.budget import Budget, Measure
from proxy.terms.finding import Action, Mode
from tests.data.lab_catalog import LAB_MAP, LAB_RESULTS
from tests.messages import backend_message, frontend_message, messages_in, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

RULES: Final = Path(__file__).resolve().parents[1] / "rules"
# What only feeds the metrics; tests of the metrics look at it.
FOR_METRICS: Final = frozenset(
    {"Analysed", "Attributed", "Judged", "Released", "CatalogRead", "LoggedIn"}
)
SECRET: Final = "abcd"
CATALOG_MESSAGES: Final = own_messages(CATALOG_QUERY)
PATH_MESSAGES: Final = own_messages(SESSION_QUERY)
_NONCE: Final = re.compile(r"vigie_refused_[0-9a-f]{12}")


def shipped_policy() -> Policy:
    """Return the shipped rules for the laboratory of the demonstration."""
    paths = [*sorted((RULES / "base").glob("*.yaml"))]
    paths += sorted((RULES / "sites" / "lab-demo").glob("*.yaml"))
    files = {path.relative_to(RULES).as_posix(): path.read_text("utf-8") for path in paths}
    return load_policy(files, today=date(2026, 11, 24))


SHIPPED: Final = shipped_policy()
_MAPS: Final = (LAB_MAP, SHIPPED.schema_map)
_ANALYSERS: Final = {id(one): Analyser(one) for one in _MAPS}
_CATALOGS: Final = {id(one): build_catalog(LAB_RESULTS, one) for one in _MAPS}
PATH: Final = ("pg_catalog", "lab", "public")


def policy_of(*budgets: Budget) -> Policy:
    """Return a policy without rules."""
    return Policy((), budgets, LAB_MAP, "test")


def subjects(
    limit: int | None, *, action: Action = Action.BLOCK, measure: Measure = Measure.SUBJECTS
) -> Budget:
    """Return a budget for everybody."""
    return Budget("EX201", "Budget", measure, frozenset(), 3600, limit, action)


class Chance:
    """Numbers that are never the same, and always those."""

    def __init__(self) -> None:
        self.last = 0

    def take(self, size: int) -> bytes:
        """Return so many bytes."""
        self.last += 1
        return self.last.to_bytes(max(size, 4), "big")[-size:]


def context_of(
    policy: Policy = SHIPPED,
    *,
    mode: Mode = Mode.ENFORCE,
    on_internal_error: Action = Action.BLOCK,
    analyser: Analyser | None = None,
    max_statement_bytes: int = 1 << 16,
    knows_catalog: bool = True,
) -> Context:
    """Return what the sessions of a conversation share; the catalog as if one had read it."""
    return Context(
        policy=policy,
        analyser=analyser or _ANALYSERS[id(policy.schema_map)],
        ledger=Ledger(),
        secret=b"secret",
        random_bytes=Chance().take,
        stopwatch=lambda: 0.0,
        mode=mode,
        on_internal_error=on_internal_error,
        max_statement_bytes=max_statement_bytes,
        catalogs=known_catalogs(policy) if knows_catalog else CatalogBook(),
    )


def known_catalogs(policy: Policy) -> CatalogBook:
    """Return the laboratory's catalog, as of a moment ago."""
    book = CatalogBook()
    book.put("lab", _CATALOGS[id(policy.schema_map)], 0, 0.0)
    book.put_path(Reader("app", "lab", ()), PATH, 0.0)
    return book


def catalog_answer() -> bytes:
    """Return what the backend says to the question for the catalog."""
    return _answer(LAB_RESULTS)


def path_answer(*path: str) -> bytes:
    """Return what the backend says to the question for the search_path."""
    row: list[str | None] = ["\n".join(path or PATH), "app", "150018"]
    return _answer([[row]])


def _answer(results: Iterable[list[list[str | None]]]) -> bytes:
    parts = []
    for rows in results:
        parts += ["CloseComplete", "CloseComplete", "ParseComplete", "BindComplete"]
        parts.append("RowDescription one")
        for row in rows:
            values = " ".join("NULL" if value is None else shlex.quote(value) for value in row)
            parts.append(f"DataRow {values}")
        parts.append("CommandComplete 'SELECT 1'")
    parts += ["CloseComplete", "ReadyForQuery I"]
    return b"".join(backend_message(part) for part in parts)


class Conversation:
    """One session that is spoken to; ``waived``: kinds of commands that need not be written."""

    def __init__(
        self,
        context: Context | None = None,
        *,
        waived: frozenset[str] = FOR_METRICS,
        address: str = "192.0.2.7",
        encryption: Encryption = Encryption.NOT_OFFERED,
    ) -> None:
        self.context = context_of() if context is None else context
        self.session = Session(self.context, address, encryption)
        self.waived = waived
        self.now = 0.0
        self.commands: list[c.Command] = []  # of the last event
        self._nonce = ""
        self._actual: list[str] = []

    def login(self, *parameters: str) -> Conversation:
        """Log in; answer what Vigie asks of its own, if it does."""
        asked = parameters or ("user=app", "database=lab")
        self.say(
            f"""
            > Startup {" ".join(asked)}
            ! OpenBackend
            >> Startup {" ".join(asked)}
            <<< Authentication 0
            << BackendKeyData 7 {SECRET}
            """,
            loosely=True,
        )
        self.send(e.BackendBytes(backend_message("ReadyForQuery I")))
        self.answer_own()
        return self

    def answer_own(self) -> None:
        """Answer Vigie's own question, if the last event led to one."""
        for command in self.commands:
            match command:
                case c.SendBackend(data=data) if data == CATALOG_MESSAGES:
                    self.send(e.BackendBytes(catalog_answer()))
                    return
                case c.SendBackend(data=data) if data == PATH_MESSAGES:
                    self.send(e.BackendBytes(path_answer()))
                    return
                case _:
                    pass

    def say(self, script: str, *, loosely: bool = False) -> None:
        """Carry on with these lines; AssertionError with the difference if it went otherwise.

        Args:
            script: the lines.
            loosely: commands need not be as written.
        """
        self._actual, expected = [], []
        for line in script.splitlines():
            sign, _, rest = line.strip().partition(" ")
            match sign:
                case "" | "#":
                    continue
                case ">>>":
                    expected += [f"> {rest}", f">> {rest}"]
                    self._speak("> ", rest)
                case "<<<":
                    expected += [f"<< {rest}", f"< {rest}"]
                    self._speak("<< ", rest)
                case ">" | "<<" | "*":
                    expected.append(f"{sign} {rest}")
                    self._speak(f"{sign} ", rest)
                case _:
                    expected.append(f"{sign} {rest}")
        wanted = [_plain(line) for line in expected]
        if not loosely and wanted != self._actual:
            difference = "\n".join(difflib.ndiff(wanted, self._actual))
            raise AssertionError(f"the conversation went otherwise:\n{difference}")

    def send(self, event: e.Event) -> list[c.Command]:
        """Let the session take an event; return its commands."""
        self.commands = self.session.handle(event, self.now)
        for command in self.commands:
            if isinstance(command, c.SendBackend):
                found = _NONCE.findall(command.data.decode("latin-1"))
                self._nonce = found[-1] if found else self._nonce
        return self.commands

    def _speak(self, sign: str, rest: str) -> None:
        self._actual.append(_plain(sign + rest))
        told = rest.replace("NONCE", self._nonce)
        match sign:
            case "> ":
                self.send(e.FrontendBytes(frontend_message(told)))
            case "<< ":
                self.send(e.BackendBytes(_from_backend(told)))
            case _:
                self.send(_event(told))
        self._actual += self.told()

    def told(self) -> list[str]:
        """Return the last commands as lines."""
        return [
            line
            for command in self.commands
            if type(command).__name__ not in self.waived
            for line in _lines(command)
        ]


def _from_backend(told: str) -> bytes:
    match told.split(" "):
        case ["CatalogAnswer"]:
            return catalog_answer()
        case ["PathAnswer", *path]:
            return path_answer(*path)
        case _:
            return backend_message(told)


def _event(told: str) -> e.Event:
    name, *rest = shlex.split(told)
    match name:
        case "BackendUnreachable":
            return e.BackendUnreachable(rest[0])
        case "FrontendEncrypted":
            return e.FrontendEncrypted(rest[0] if rest else None)
        case "BackendEncrypted":
            return e.BackendEncrypted(presents_ours=rest == ["ours"])
        case "EncryptionBroken":
            return e.EncryptionBroken(rest[0], "bad record")
        case "WorkerAnswered":
            return e.WorkerAnswered(rest[0].encode(), WorkerOutcome(None, rest[1], None))
        case _:
            plain: dict[str, e.Event] = {
                "FrontendClosed": e.FrontendClosed(),
                "BackendClosed": e.BackendClosed(),
                "CancelDone": e.CancelDone(),
                "LoginTimeout": e.LoginTimeout(),
                "IdleTooLong": e.IdleTooLong(),
                "PolicyChanged": e.PolicyChanged(),
                "Drain": e.Drain(),
                "Shutdown": e.Shutdown(),
            }
            return plain[name]


def _lines(command: c.Command) -> list[str]:
    match command:
        case c.SendBackend(data=data) if data == CATALOG_MESSAGES:
            return [">> CatalogQuery"]
        case c.SendBackend(data=data) if data == PATH_MESSAGES:
            return [">> PathQuery"]
        case c.SendBackend(data=data):
            return [_plain(f">> {one}") for one in messages_in(data, from_frontend=True)]
        case c.SendFrontend(data=data):
            return [_plain(f"< {one}") for one in messages_in(data, from_frontend=False)]
        case c.Emit(record=record):
            rules = " ".join(finding.rule for finding in record.findings)
            return [f"! Emit {record.verdict.name.lower()} {rules}".rstrip()]
        case c.CancelBackend(process_id=process_id, secret=secret):
            return [f"! CancelBackend {process_id} {shown(secret)}"]
        case c.ForwardCancel(process_id=process_id, secret=secret):
            return [f"! ForwardCancel {process_id} {shown(secret)}"]
        case c.EncryptFrontend(answer=answer, received=received):
            return [f"! EncryptFrontend {shown(answer)} {shown(received)}".rstrip()]
        case c.WasCut(budget=budget):
            return [f"! WasCut {budget}"]
        case c.Ended(reason=reason):
            return [f"! Ended {reason}"]
        case c.ProtocolFault(side=side):
            return [f"! ProtocolFault {side}"]
        case c.InternalFault(where=where):
            return [f"! InternalFault {where}"]
        case c.UpstreamFault(reason=reason):
            return [f"! UpstreamFault {reason}"]
        case _:
            return [f"! {type(command).__name__}"]


def _plain(line: str) -> str:
    """Return a line with its quotes and made up words as every other line has them."""
    words = shlex.split(_NONCE.sub("NONCE", line))
    return " ".join(word if re.fullmatch(r"[^\s\"']+", word) else repr(word) for word in words)
