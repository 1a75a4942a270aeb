"""pgbench: throughput, latency and the proxy's CPU time per transaction.

``-S`` reads an account, of nobody; ``lims-...`` one patient by its key, which is charged.

All figures are of a window within the run, after the sessions have logged in: transactions are
counted from pgbench's own log, CPU time is read at both ends of the window.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.model import COPYING, CPU, DIRECT, BenchError, Measure, Metric, percentile
from bench.targets import AS_EVER, Wish
from proxy.net import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.model import Scale, Values
    from bench.targets import Target

PROTOCOLS: Final = ("simple", "extended", "prepared")
SESSIONS: Final = (1, 8, 32)
FEW_SESSIONS: Final = (1, 8)
BY_KEY: Final = """\\set id random(1, {patients})
select id, nir, last_name, first_name, birth_date from lab.patient where id = :id;
"""
TPS: Final = Metric("tps", "transactions", "/s", higher_is_better=True)
MEAN: Final = Metric("mean_ms", "mean latency", "ms")
P99: Final = Metric("p99_ms", "p99 latency", "ms")
CONNECTIONS: Final = Metric("tps", "connections", "/s", higher_is_better=True)
CONNECTION_CPU: Final = Metric("cpu_us", "proxy's CPU", "us/connection")
_LOGIN_SECONDS: Final = 0.5  # pgbench writes its log by the block, rarely if it is slow
_POLL_SECONDS: Final = 0.01
_WARM_SECONDS: Final = 0.1
_LAST_SECONDS: Final = 0.15
_GRACE_SECONDS: Final = 60.0
_CONNECTING_SESSIONS: Final = 4
_CONNECTS: Final = {
    "connect": AS_EVER,
    "connect-unpooled": Wish(reuses=False),
    "connect-tls": Wish(reuses=False, encrypts=True),
}


def measures(scale: Scale) -> Iterator[Measure]:
    """Give pgbench by protocol and number of sessions, then one connection a transaction."""
    for protocol in PROTOCOLS:
        for sessions in SESSIONS:
            yield Measure(
                f"{protocol}-{sessions}",
                "pgbench",
                (TPS, MEAN, P99, CPU),
                partial(run, protocol=protocol, sessions=sessions, scale=scale),
                _unfit if protocol == "prepared" else lambda _target: "",
            )
    for protocol in PROTOCOLS:
        for sessions in FEW_SESSIONS:
            yield Measure(
                f"lims-{protocol}-{sessions}",
                "lims",
                (TPS, MEAN, P99, CPU),
                partial(run, protocol=protocol, sessions=sessions, scale=scale, script=BY_KEY),
                _unfit if protocol == "prepared" else lambda _target: "",
            )
    for name, wish in _CONNECTS.items():
        yield Measure(
            name,
            "connect",
            (CONNECTIONS, CONNECTION_CPU),
            partial(connect, wish=wish, scale=scale),
            _in_the_clear if wish.encrypts else lambda _target: "",
        )


def connect(target: Target, *, wish: Wish, scale: Scale) -> Values:
    """Open one connection for each transaction; return tps and, of a proxy, cpu_us."""
    take = partial(
        run, protocol="simple", sessions=_CONNECTING_SESSIONS, scale=scale, options=("-C",)
    )
    if wish == AS_EVER:
        return take(target)
    with target.again(wish) as own:
        own.settle()
        return take(own)


def run(
    target: Target,
    *,
    protocol: str,
    sessions: int,
    scale: Scale,
    options: Sequence[str] = (),
    script: str = "",
) -> Values:
    """Run pgbench once and return tps, mean_ms, p99_ms and, of a proxy, cpu_us.

    ``script``: what a transaction is; nothing: ``-S``.

    Errors: BenchError if pgbench fails, with what it said.
    """
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as folder:
        source = ["-S"]
        if script:
            path = Path(folder) / "script"
            path.write_text(script.format(patients=scale.patients))
            source = ["-f", str(path)]
        command = [
            *(target.database.program("pgbench"), *source, "-n", "-M", protocol),
            *("-c", str(sessions), "-j", str(min(sessions, 2)), "-T", str(scale.pgbench_seconds)),
            *("--log", "--log-prefix", f"{folder}/log", *options),
        ]
        running = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=target.environment,
        )
        try:
            _await_transactions(Path(folder))
            time.sleep(_WARM_SECONDS)
            first, used = clock.wall(), target.cpu_seconds()
            time.sleep(scale.pgbench_seconds - _WARM_SECONDS - _LAST_SECONDS)
            last, used = clock.wall(), target.cpu_seconds() - used
            said, _ = running.communicate(timeout=scale.pgbench_seconds + _GRACE_SECONDS)
        finally:
            running.kill()
            running.wait()
        if running.returncode:
            raise BenchError(f"pgbench failed: {' '.join(said.split())[-300:]}")
        latencies = list(_latencies(Path(folder), first, last))
    if not latencies:
        raise BenchError("pgbench ended no transaction in time")
    values = {
        "tps": len(latencies) / (last - first),
        "mean_ms": sum(latencies) / len(latencies) / 1e3,
        "p99_ms": percentile(latencies, 0.99) / 1e3,
    }
    if target.process:
        values["cpu_us"] = used / len(latencies) * 1e6
    return values


def _await_transactions(folder: Path) -> None:
    """Return when the first transactions are in the log, or after a while."""
    deadline = time.monotonic() + _LOGIN_SECONDS
    while time.monotonic() < deadline:
        if any(path.stat().st_size for path in folder.glob("log*")):
            return
        time.sleep(_POLL_SECONDS)


def _latencies(folder: Path, first: float, last: float) -> Iterator[float]:
    """Yield the latency (us) of each transaction that ended between the two times."""
    for path in folder.glob("log*"):
        with path.open(encoding="ascii") as lines:
            for line in lines:
                _, _, latency, _, seconds, microseconds = line.split()[:6]
                if first <= int(seconds) + int(microseconds) / 1e6 <= last:
                    yield float(latency)


def _in_the_clear(target: Target) -> str:
    return "no TLS there" if target.name in {DIRECT, COPYING} else ""


def _unfit(target: Target) -> str:
    if target.keeps_prepared_statements:
        return ""
    return "this pgbouncer keeps no prepared statements in transaction mode"
