"""A login by SCRAM on each leg: the frontend proves its password to Vigie, Vigie to the backend.

Needed where TLS ends at Vigie with a certificate of its own, and possible where the site has given
it the verifier of the role. What a frontend sees is what PostgreSQL would say.

    frontend                 Vigie                    backend
                             <- AuthenticationSASL    (its mechanisms)
    <- AuthenticationSASL    (ours)
    SASLInitialResponse ->   SASLInitialResponse ->
                             <- SASLContinue          (its verifier is ours?)
    <- SASLContinue
    SASLResponse ->          SASLResponse ->
                             <- SASLFinal
    <- SASLFinal
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import WireError
from proxy.session.commands import LoginFailed
from proxy.wire.backend import SASL_CONTINUE, SASL_FINAL
from proxy.wire.encode import (
    authentication,
    authentication_sasl,
    sasl_initial_response,
    sasl_response,
)
from proxy.wire.frontend import decode_sasl_initial_response
from proxy.wire.scram import NONCE_BYTES, Accepting, Beginning, WrongProofError

if TYPE_CHECKING:
    from proxy.session.state import State
    from proxy.wire.scram import Verifier

_HINT: Final = (
    "The password was changed: write the file of frontend_tls.scram_verifiers anew, and send"
    " SIGHUP to Vigie."
)


class ScramRelay:
    """One login.

    Args:
        state: of the session.
        role: that logs in.
        verifier: of the role.
        ours: hash of the certificate that the frontend sees.
        theirs: hash of the certificate that the backend presents; empty: it offers no binding.
    """

    def __init__(
        self, state: State, role: str, verifier: Verifier, *, ours: bytes, theirs: bytes
    ) -> None:
        chance = state.context.random_bytes
        self._state = state
        self._role = role
        self._frontend = Accepting(verifier, chance(NONCE_BYTES), ours)
        self._backend = Beginning(verifier, chance(NONCE_BYTES), theirs)
        self._asked: tuple[bytes, bytes] | None = None  # mechanism and message of the frontend
        self._challenged = False
        self._farewell: bytes | None = None  # for the frontend, when the backend has agreed

    def begin(self) -> bytes:
        """Return what the frontend is offered."""
        return authentication_sasl(self._frontend.mechanisms)

    def frontend_says(self, body: bytes) -> None:
        """Take a SASL message of the frontend. Errors: WireError."""
        state = self._state
        if self._asked is None:
            self._asked = decode_sasl_initial_response(body)
            first = self._backend.first_message
            state.to_backend(sasl_initial_response(self._backend.mechanism, first))
        elif self._challenged and self._farewell is None:
            try:
                key, self._farewell = self._frontend.accept(body)
            except WrongProofError:
                self._refuse("28P01", f'password authentication failed for user "{self._role}"')
                return
            state.to_backend(sasl_response(self._backend.prove(key)))
        else:
            raise WireError("SASL message that answers nothing")

    def backend_says(self, kind: int, carried: bytes) -> None:
        """Take an Authentication message of the backend's. Errors: WireError."""
        state = self._state
        if kind == SASL_CONTINUE and self._asked is not None and not self._challenged:
            if not self._backend.has_same_verifier(carried):
                self._refuse(
                    "28000",
                    f'the SCRAM verifier of "{self._role}" that Vigie has is not the database\'s',
                    hint=_HINT,
                )
                return
            self._challenged = True
            challenge = self._frontend.challenge(*self._asked)
            state.to_frontend(authentication(SASL_CONTINUE, challenge))
        elif kind == SASL_FINAL and self._farewell is not None:
            self._backend.expect_proof(carried)
            state.to_frontend(authentication(SASL_FINAL, self._farewell))
        else:
            raise WireError(f"Authentication message of kind {kind} within SCRAM")

    def _refuse(self, sqlstate: str, message: str, *, hint: str = "") -> None:
        self._state.out.append(LoginFailed())
        self._state.fail(sqlstate, message, hint=hint)
