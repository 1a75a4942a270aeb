"""How to say no so that frontend, driver and backend agree on what happened.

The backend raises the error itself: it gets a text, statement name or portal name that holds a
nonce and cannot exist, and its ErrorResponse, recognised by that nonce, is rewritten (ADR 0003).
Transactions, pipelines and savepoints then behave as after any other error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy.session.statements import MAX_NAMES, MAX_NAMES_BYTES
from proxy.wire.encode import bind, error_response, execute, parse, query
from proxy.wire.encode import frame as frame_of
from proxy.wire.frames import HEADER_BYTES

if TYPE_CHECKING:
    from proxy.terms.budget import Budget
    from proxy.terms.finding import Finding

REFUSED: Final = "42501"  # insufficient_privilege: no driver that was tried retries it
SPENT: Final = "53400"  # configuration_limit_exceeded
MALFORMED: Final = "08P01"
INTERNAL: Final = "XX000"
TOO_MANY_NAMES: Final = "54000"  # program_limit_exceeded
_NONCE: Final = b"vigie_refused_"
_STATEMENT: Final = b'prepared statement "%b"'
_UNNAMED: Final = b"unnamed prepared statement"
_HINT: Final = "Select only the patients you need; ask who runs Vigie about a planned export."
_LATER: Final = "Ask who runs Vigie, and name the finding."


@dataclass(frozen=True, slots=True)
class Refusal:
    """One no. ``finding_id`` is also in the audit record, and in the server's own log."""

    finding_id: str
    sqlstate: str
    message: str
    detail: str = ""
    hint: str = ""
    restores: bytes | None = None  # the error passes as it is, with this in place of the nonce

    @property
    def nonce(self) -> bytes:
        """The word that cannot be a statement, nor the name of one."""
        return _NONCE + self.finding_id.encode()

    def answer(self, frame: bytes) -> bytes:
        """Return the ErrorResponse for the frontend, made from the backend's."""
        if self.restores is None:
            return self.to_error()
        body = frame[HEADER_BYTES:]
        if not self.restores:  # PostgreSQL says it so, in English
            body = body.replace(_STATEMENT % self.nonce, _UNNAMED)
        body = body.replace(self.nonce, self.restores)
        return frame_of(frame[0], body)

    def to_error(self, severity: str = "ERROR") -> bytes:
        """Return the ErrorResponse for the frontend."""
        return error_response(
            self.sqlstate, self.message, detail=self.detail, hint=self.hint, severity=severity
        )

    def query(self) -> bytes:
        """Return a Query that the backend refuses."""
        return query(self.nonce)

    def parse(self, name: bytes = b"") -> bytes:
        """Return a Parse that the backend refuses."""
        return parse(name, self.nonce)

    def bind(self) -> bytes:
        """Return a Bind of a prepared statement that does not exist."""
        return bind(b"", self.nonce)

    def execute_statement(self) -> bytes:
        """Return a Query that executes a prepared statement that does not exist."""
        return query(b"EXECUTE " + self.nonce)

    def fetch(self) -> bytes:
        """Return a Query that fetches from a cursor that does not exist."""
        return query(b"FETCH FROM " + self.nonce)

    def execute(self) -> bytes:
        """Return an Execute of a portal that does not exist."""
        return execute(self.nonce)

    def is_answer(self, body: bytes) -> bool:
        """Whether this ErrorResponse is what the backend said to our substitute."""
        return self.nonce in body


def by_finding(finding_id: str, finding: Finding | None, score: int) -> Refusal:
    """Return the refusal of a statement by a rule, or by its score alone."""
    if finding is None:
        return Refusal(finding_id, REFUSED, f"query refused: score {score}", hint=_HINT)
    return Refusal(
        finding_id,
        REFUSED,
        f"query refused: {finding.explanation}",
        f"Rule {finding.rule}, finding {finding_id}.",
        finding.hint or _HINT,
    )


def by_budget(finding_id: str, budget: Budget) -> Refusal:
    """Return the end of a result for which no budget is left."""
    return Refusal(
        finding_id,
        SPENT,
        f"result cut: {budget.explanation}",
        f"Budget {budget.id}, finding {finding_id}.",
        _LATER,
    )


def by_spent(finding_id: str, budget: Budget) -> Refusal:
    """Return the refusal of a statement for which no budget is left."""
    return Refusal(
        finding_id,
        SPENT,
        f"query refused: {budget.explanation}",
        f"Budget {budget.id}, finding {finding_id}.",
        _LATER,
    )


def by_error(finding_id: str) -> Refusal:
    """Return the refusal of a statement that Vigie failed on."""
    return Refusal(
        finding_id,
        INTERNAL,
        "query refused: internal error of Vigie",
        f"Finding {finding_id}.",
        _LATER,
    )


def malformed(finding_id: str, what: str) -> Refusal:
    """Return the refusal of a message that the backend would refuse as well."""
    return Refusal(finding_id, MALFORMED, f"invalid message format: {what}")


def too_many(finding_id: str, what: str) -> Refusal:
    """Return the refusal of one more name than are kept of a session."""
    return Refusal(
        finding_id,
        TOO_MANY_NAMES,
        f"too many {what} in this session",
        hint=f"Close or deallocate those that are no longer used: {MAX_NAMES} are kept,"
        f" of {MAX_NAMES_BYTES >> 20} MiB in all.",
    )


def refused_start(refusal: Refusal) -> str:
    """Return the message of a refusal that ends a connection before it began."""
    return refusal.message.replace("query refused", "connection refused", 1)


def missing(finding_id: str, name: str) -> Refusal:
    """Return what stands for a name that does not exist: the backend's own error will do."""
    return Refusal(finding_id, "", "", restores=name.encode("ascii", "replace"))
