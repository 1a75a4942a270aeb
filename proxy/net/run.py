"""``vigie run``: everything put together, from the first listener to the last session."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import secrets
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from proxy import accel
from proxy.content.canaries import CanaryWatch
from proxy.errors import ConfigurationError
from proxy.metrics import Metrics
from proxy.net import clock
from proxy.net.ending import end_sessions
from proxy.net.http import serve_http
from proxy.net.idle import IdleWatch
from proxy.net.listener import CannotListenError, Listener, cannot_listen
from proxy.net.notify import Notifier
from proxy.net.orders import OrderWatch
from proxy.net.relay import SPARE, Surroundings, accept
from proxy.net.reload import CERTIFICATES, Reload
from proxy.net.sinks import AuditLog, Sinks
from proxy.net.state import open_state
from proxy.net.tls import Tls
from proxy.net.upstreams import Upstreams
from proxy.net.workers import Workers
from proxy.session import Admission, Context, Route
from proxy.settings.canary_file import read_canary_file
from proxy.sql import Analyser

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.net.reload import Reread
    from proxy.policy import Policy
    from proxy.settings.address import Address
    from proxy.settings.settings import Limits, Settings, Upstream

FILES: Final = 64  # beside those of sessions
_log: Final = logging.getLogger("vigie")


def serve(settings: Settings, policy: Policy, reread: Reread) -> int:
    """Run until SIGTERM or SIGINT; return the exit status.

    Args:
        settings: how it is set up.
        policy: what is in force.
        reread: returns both as their sources say them at SIGHUP.

    Errors: none; what keeps it from starting is one line on the standard error.
    """
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    try:
        _runner()(_serve(settings, policy, reread))
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


class _Signals:
    """What the process was told: to end (twice: at once), to read its files again."""

    def __init__(self) -> None:
        self.stop, self.hurry, self.reload = asyncio.Event(), asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)

    def _end(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()


async def _serve(settings: Settings, policy: Policy, reread: Reread) -> None:
    signals = _Signals()
    systemd = Notifier(os.environ)
    async with contextlib.AsyncExitStack() as stack:
        surroundings = _surroundings(settings, policy, stack)
        await _expect_logins(settings, surroundings.tls)
        upstreams = Upstreams(surroundings.upstreams)
        reload = Reload(surroundings, settings, reread)
        reload.further.append((CERTIFICATES, partial(_reload_certificates, surroundings.tls)))
        limits, sinks, keeper = settings.limits, surroundings.sinks, surroundings.keeper
        loop = asyncio.get_running_loop()
        keeping = loop.create_task(keeper.run())
        context = surroundings.context
        watch = OrderWatch(settings.orders, context, sinks)
        watching = loop.create_task(watch.run())
        stack.callback(watching.cancel)
        stack.callback(keeping.cancel)
        idle = IdleWatch(
            limits.idle_session_timeout_seconds, limits.idle_in_transaction_timeout_seconds
        )
        for work in (
            surroundings.workers.warm_up(),
            upstreams.probe(),
            idle.watch(surroundings.relays),
            _reload_when_told(reload, signals.reload, systemd),
            systemd.stay_alive(),
        ):
            stack.callback(loop.create_task(work).cancel)

        def readiness() -> list[str]:
            stopping = ["Vigie is stopping"] if signals.stop.is_set() else []
            lost = [*upstreams.readiness(), *sinks.readiness(), *keeper.readiness()]
            return [*stopping, *lost]

        listeners: list[Listener] = []
        for address in settings.listen:
            begin = partial(accept, surroundings, listener=address)
            mode = settings.unix_socket_mode
            listeners.append(Listener(address, begin, option="--listen", mode=mode))
            stack.callback(listeners[-1].close)
        if settings.http is not None:  # only now: it may say that Vigie is ready
            await _serve_http(settings.http, sinks, readiness, upstreams.lost, stack)
        for listener in listeners:
            for shown in listener.shown:
                _log.info("listening on %s", shown)
        _log.info("kernel %s", accel.IMPLEMENTATION)
        _log.info("policy %s, mode %s", policy.version, settings.mode.value)
        gc.collect()
        gc.freeze()  # what is there now stays: to look through it again and again stalls everybody
        systemd.tell(ready=1, status=f"policy {policy.version}, mode {settings.mode.value}")
        await signals.stop.wait()
        systemd.tell(stopping=1, status="waiting for transactions to end")
        _log.info("stopping: %d sessions are open", len(surroundings.relays))
        for listener in listeners:
            listener.close()
        await end_sessions(surroundings, limits.drain_timeout_seconds, signals.hurry)
        keeper.stop()
        await keeping


async def _reload_when_told(reload: Reload, told: asyncio.Event, systemd: Notifier) -> None:
    while True:
        await told.wait()
        told.clear()  # told again meanwhile, it begins again
        systemd.tell(reloading=1, monotonic_usec=int(clock.now() * 1e6))
        succeeded = await reload.reload()
        status = "reloaded" if succeeded else "not all could be reloaded, see the log"
        systemd.tell(ready=1, status=status)


def _surroundings(
    settings: Settings, policy: Policy, stack: contextlib.AsyncExitStack
) -> Surroundings:
    metrics = Metrics(kernel=accel.IMPLEMENTATION)
    rules = [(rule.id, rule.severity) for rule in policy.rules]
    metrics.policy_loaded(rules, policy.budgets, policy.version, at=clock.wall())
    metrics.mode(settings.mode)
    ledger, keeper, secret, catalogs = open_state(settings, metrics, stack)
    tls = Tls(settings.frontend_tls, settings.backend_tls)
    _tell_warnings(tls)
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
        analyser=Analyser(policy.schema_map, cut=accel.cut_literals),
        ledger=ledger,
        secret=secret,
        random_bytes=secrets.token_bytes,
        stopwatch=clock.stopwatch,
        wall=clock.wall,
        mode=settings.mode,
        on_internal_error=settings.on_internal_error,
        max_statement_bytes=settings.limits.max_statement_bytes,
        catalog_refresh_seconds=settings.catalog_refresh_seconds,
        catalogs=catalogs,
        plan_seconds=settings.plan_refresh_seconds,
        routes=[_route(one) for one in settings.upstreams],
        admission=_admission(settings.limits),
        canaries=None
        if settings.canaries is None
        else CanaryWatch(read_canary_file(settings.canaries)),
    )
    return Surroundings(
        context,
        {"": settings.upstream, **{str(one.address): one.address for one in settings.upstreams}},
        Sinks(metrics, audit, ledger, context.lane_counts),
        workers,
        settings.limits.login_timeout_seconds,
        settings.limits.connect_timeout_seconds,
        keeper,
        tls,
    )


def _reload_certificates(tls: Tls) -> None:
    tls.reload()
    _tell_warnings(tls)


def _tell_warnings(tls: Tls) -> None:
    for warning in tls.warnings:
        _log.warning("%s", warning)


async def _expect_logins(settings: Settings, tls: Tls) -> None:
    """Refuse to start where TLS would let nobody log in, or nobody with libpq's defaults.

    Errors: ConfigurationError.
    """
    seconds = settings.limits.connect_timeout_seconds
    databases = dict.fromkeys([settings.upstream, *(one.address for one in settings.upstreams)])
    found = await asyncio.gather(*(tls.problem_with(one, seconds) for one in databases))
    problems = [problem for problem in found if problem is not None]
    if problems:
        raise ConfigurationError(problems)


def _route(upstream: Upstream) -> Route:
    listen = upstream.listen
    listeners = None if listen is None else frozenset(map(str, listen))
    return Route(str(upstream.address), upstream.databases, listeners)


def _admission(limits: Limits) -> Admission:
    """Return the limits of sessions, and let the process have as many files as they need."""
    per_address, per_role = limits.connections_per_address, limits.connections_per_role
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * limits.connections + SPARE + FILES if limits.connections else hard
    possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft not in {resource.RLIM_INFINITY, possible} and soft < possible:
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
        soft = possible
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return Admission(limits.connections, per_address, per_role)
    fits = max(1, (soft - SPARE - FILES) // 2)
    _log.warning(
        "limits.connections is %d, but the system gives %d files, enough for %d sessions",
        *(limits.connections, soft, fits),
    )
    return Admission(fits, per_address, per_role)


async def _serve_http(
    address: Address,
    sinks: Sinks,
    readiness: Callable[[], list[str]],
    remarks: Callable[[], list[str]],
    stack: contextlib.AsyncExitStack,
) -> None:
    try:
        listener = await serve_http(
            address.host,
            address.port,
            sinks.metrics,
            readiness,
            remarks=remarks,
            refresh=sinks.refresh,
        )
    except OSError as error:
        raise cannot_listen(address, error, "--http") from None
    stack.callback(listener.close)
