"""``vigie run``: everything put together, from the first listener to the last session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from proxy import accel
from proxy.errors import ConfigurationError
from proxy.metrics import Metrics
from proxy.net import clock
from proxy.net.dial import Dial
from proxy.net.http import serve_http
from proxy.net.listener import CannotListenError, Listener, cannot_listen
from proxy.net.relay import Surroundings, accept
from proxy.net.sinks import AuditLog, Sinks
from proxy.net.state import open_state
from proxy.net.tls import Tls
from proxy.net.workers import Workers
from proxy.session import Context
from proxy.session import events as e
from proxy.sql import Analyser

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.policy import Policy
    from proxy.settings.address import Address
    from proxy.settings.settings import Settings

PROBE_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 1.0  # as long as it cannot be reached
DRAIN_SECONDS: Final = 5.0
_log: Final = logging.getLogger("vigie")


def serve(settings: Settings, policy: Policy) -> int:
    """Run until SIGTERM or SIGINT; return the exit status.

    Errors: none; what keeps it from starting is one line on the standard error.
    """
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    try:
        _runner()(_serve(settings, policy))
    except (ConfigurationError, CannotListenError) as error:
        sys.stderr.write(f"vigie: {error}\n")
        return 1
    return 0


def _runner() -> Callable[..., object]:
    try:
        import uvloop  # noqa: PLC0415 - faster where it is there
    except ImportError:
        return asyncio.run
    run: Callable[..., object] = uvloop.run
    return run


async def _serve(settings: Settings, policy: Policy) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        surroundings = _surroundings(settings, policy, stack)
        await _expect_logins(settings, surroundings.tls)
        upstream = _Upstream(settings.upstream)
        probing = loop.create_task(upstream.probe())
        warming = loop.create_task(surroundings.workers.warm_up())
        keeping = loop.create_task(surroundings.keeper.run())
        stack.callback(warming.cancel)
        stack.callback(keeping.cancel)
        stack.callback(probing.cancel)
        sinks = surroundings.sinks

        def readiness() -> list[str]:
            stopping = ["Vigie is stopping"] if stop.is_set() else []
            state = surroundings.keeper.readiness()
            return [*stopping, *upstream.readiness(), *sinks.readiness(), *state]

        listeners: list[Listener] = []
        for address in settings.listen:
            begin = partial(accept, surroundings, listener=address)
            mode = settings.unix_socket_mode
            listeners.append(Listener(address, begin, option="--listen", mode=mode))
            stack.callback(listeners[-1].close)
        if settings.http is not None:  # only now: it may say that Vigie is ready
            await _serve_http(settings.http, sinks, readiness, stack)
        for listener in listeners:
            for shown in listener.shown:
                _log.info("listening on %s", shown)
        _log.info("kernel %s", accel.IMPLEMENTATION)
        _log.info("policy %s, mode %s", policy.version, settings.mode.value)
        await stop.wait()
        _log.info("stopping: %d sessions are open", len(surroundings.relays))
        for listener in listeners:
            listener.close()
        await _end_sessions(surroundings)
        surroundings.keeper.stop()
        await keeping


def _surroundings(
    settings: Settings, policy: Policy, stack: contextlib.AsyncExitStack
) -> Surroundings:
    metrics = Metrics(kernel=accel.IMPLEMENTATION)
    rules = [(rule.id, rule.severity) for rule in policy.rules]
    metrics.policy_loaded(rules, policy.budgets, policy.version, at=clock.wall())
    metrics.mode(settings.mode)
    ledger, keeper, secret = open_state(settings, metrics, stack)
    tls = Tls(settings.frontend_tls, settings.backend_tls)
    for warning in tls.warnings:
        _log.warning("%s", warning)
    try:
        audit = AuditLog(settings.audit.path)
    except OSError as error:
        raise ConfigurationError(
            [f"audit.path: {settings.audit.path} cannot be opened: {error.strerror}"]
        ) from None
    stack.callback(audit.close)
    workers = Workers()
    stack.callback(workers.close)
    context = Context(
        policy=policy,
        analyser=Analyser(policy.schema_map),
        ledger=ledger,
        secret=secret,
        random_bytes=secrets.token_bytes,
        stopwatch=clock.stopwatch,
        mode=settings.mode,
        on_internal_error=settings.on_internal_error,
        max_statement_bytes=settings.limits.max_statement_bytes,
        catalog_refresh_seconds=settings.catalog_refresh_seconds,
        plan_seconds=settings.plan_refresh_seconds,
    )
    return Surroundings(
        context,
        settings.upstream,
        Sinks(metrics, audit, ledger, context.lane_counts),
        workers,
        settings.limits.login_timeout_seconds,
        settings.limits.connect_timeout_seconds,
        keeper,
        tls,
    )


async def _expect_logins(settings: Settings, tls: Tls) -> None:
    """Refuse to start where TLS would let nobody log in, or nobody with libpq's defaults.

    Errors: ConfigurationError.
    """
    seconds = settings.limits.connect_timeout_seconds
    problem = await tls.problem_with(settings.upstream, seconds)
    if problem is not None:
        raise ConfigurationError([problem])


async def _serve_http(
    address: Address,
    sinks: Sinks,
    readiness: Callable[[], list[str]],
    stack: contextlib.AsyncExitStack,
) -> None:
    try:
        listener = await serve_http(
            address.host, address.port, sinks.metrics, readiness, refresh=sinks.refresh
        )
    except OSError as error:
        raise cannot_listen(address, error, "--http") from None
    stack.callback(listener.close)


async def _end_sessions(surroundings: Surroundings) -> None:
    """Tell every session to end, wait for what it still sends, then close what is left."""
    for relay in tuple(surroundings.relays):
        relay.happened(e.Shutdown())
    surroundings.emptied.clear()
    if surroundings.relays:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await surroundings.emptied.wait()
    for relay in tuple(surroundings.relays):
        relay.abort()


class _Upstream:
    """Whether the database can be reached."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._reason = "the database was not reached yet"

    async def probe(self) -> None:
        """Try a connection every few seconds; more often until there is one."""
        while True:
            await self._try()
            await asyncio.sleep(RETRY_SECONDS if self._reason else PROBE_SECONDS)

    async def _try(self) -> None:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                dialled = await Dial(self._address).open()
        except TimeoutError:
            self._reason = "the database does not answer"
        except OSError as error:
            # the errors of names have numbers of their own, and asyncio's text has the address
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            self._reason = f"the database cannot be reached: {why.lower()}"
        else:
            dialled.connected.close()
            self._reason = ""

    def readiness(self) -> list[str]:
        """Return why it cannot be used; nothing if it can."""
        return [self._reason] if self._reason else []
