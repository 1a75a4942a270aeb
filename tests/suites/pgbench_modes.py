"""Every mode of pgbench, and what the database holds after it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tests.suites.shell import must, outcome, run

if TYPE_CHECKING:
    from tests.suites.outcome import Outcome, Outcomes
    from tests.suites.place import Place

_PIPELINE: Final = r"""
\set aid random(1, 100000)
\startpipeline
select abalance from pgbench_accounts where aid = :aid;
update pgbench_accounts set abalance = abalance + 1 where aid = :aid;
select abalance from pgbench_accounts where aid = :aid;
\endpipeline
"""
_SETS: Final = r"""
\set aid random(1, 100000)
begin;
select abalance as a from pgbench_accounts where aid = :aid \gset
select :a + 1 as b \gset
update pgbench_accounts set abalance = :b where aid = :aid;
commit;
"""
_COMPOUND: Final = r"""
\set aid random(1, 100000)
begin \; select abalance as a from pgbench_accounts where aid = :aid \; select 2 as b \aset
update pgbench_accounts set abalance = :a + :b where aid = :aid \; commit;
"""
_RETRIED: Final = r"""
\set bid random(1, 2)
begin isolation level serializable;
update pgbench_branches set bbalance = bbalance + 1 where bid = :bid;
select sum(bbalance) from pgbench_branches;
end;
"""


def pgbench(place: Place) -> Outcomes:
    """Run a fixed number of transactions in each mode."""
    found: dict[str, Outcome] = {
        "init": outcome(run(place, "pgbench", "-i", "-s2", "-q", "--foreign-keys"), answer=""),
        "init server side": outcome(run(place, "pgbench", "-i", "-s2", "-IdtGvp"), answer=""),
        "init partitioned": outcome(
            run(place, "pgbench", "-i", "-s2", "--partitions=4", "--no-vacuum"), answer=""
        ),
    }
    scripts = {"pipeline": _PIPELINE, "sets": _SETS, "compound": _COMPOUND, "retried": _RETRIED}
    for file, text in scripts.items():
        (place.folder / file).write_text(text)
    for mode in ("simple", "extended", "prepared"):
        how = ("-M", mode, "-c4", "-j2", "-t250")
        found |= {
            f"{mode} -S": _bench(place, *how, "-S"),
            f"{mode} tpcb": _bench(place, *how),
            f"{mode} -N": _bench(place, *how, "-N"),
            f"{mode} -C": _bench(place, "-M", mode, "-c4", "-t25", "-C", "-S"),
            f"{mode} sets": _bench(place, *how, "-f", "sets"),
        }
        serializable = (*how, "--max-tries=1000", "-f", "retried")
        found[f"{mode} serializable"] = _bench(place, *serializable)
    found["simple compound"] = _bench(place, "-c4", "-j2", "-t250", "-f", "compound")
    for mode in ("extended", "prepared"):
        how = ("-M", mode, "-c4", "-j2", "-t250")
        found[f"{mode} pipeline"] = _bench(place, *how, "-f", "pipeline")
    return found


def _bench(place: Place, *options: str) -> Outcome:
    must(
        place,
        [
            "update pgbench_branches set bbalance = 0; update pgbench_accounts set abalance = 0;",
            "truncate pgbench_history;",
        ],
    )
    done = run(place, "pgbench", "--random-seed=7", *options)
    kept = run(
        place,
        "psql",
        *("-Xqc", "select count(*), sum(delta) from pgbench_history"),
        *("-c", "select count(*), sum(bbalance) from pgbench_branches"),
    )
    counts = re.findall(rb"(?m)^number of (?:transactions a|failed).*$", done.stdout)
    aborted = [line for line in done.stderr.splitlines() if b"error" in line or b"abort" in line]
    return outcome(done, answer=b"\n".join([*counts, *aborted, kept.stdout]))
