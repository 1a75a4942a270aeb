"""Time to a verdict: statements never seen before, of a known template, and seen before."""

from __future__ import annotations

import itertools
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from psycopg.pq import ExecStatus

from bench.model import BenchError, Measure, Metric, percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psycopg.pq.abc import PGconn

    from bench.model import Scale, Values
    from bench.targets import Target

UNSEEN: Final = Metric("unseen_us", "round trip, never seen", "us")
UNSEEN_P99: Final = Metric("unseen_p99_us", "the same, p99", "us")
TEMPLATE: Final = Metric("template_us", "round trip, known template", "us")
SEEN: Final = Metric("seen_us", "round trip, same text", "us")
OWN: Final = Metric("analysis_us", "Vigie's own figure, never seen", "us")
CPU_UNSEEN: Final = Metric("cpu_us", "proxy's CPU, never seen", "us/statement")
_SHORT: Final = (
    "select p.id, p.last_name as name_{name}, p.first_name, p.birth_date from lab.patient p "
    "where p.id = {key} and p.sex in ('F', 'M') order by p.id limit 10"
)
_LONG: Final = (
    "select p.id as patient_{name}, p.nir, p.last_name, p.first_name, p.birth_date, p.sex, "
    "e.barcode, e.collected_at, r.analyse_code, a.libelle, r.value, r.value_text, r.unit, "
    "r.ref_low, r.ref_high, r.flag, case when r.value > r.ref_high then 'high' "
    "when r.value < r.ref_low then 'low' else 'normal' end as reading, "
    "coalesce(m.last_name, 'unknown') as doctor "
    "from lab.patient p join lab.prescription o on o.patient_id = p.id "
    "join lab.echantillon e on e.prescription_id = o.id "
    "join lab.resultat r on r.echantillon_id = e.id and r.patient_id = p.id "
    "join lab.analyse a on a.code = r.analyse_code "
    "left join lab.medecin m on m.id = o.medecin_id "
    "where p.id = {key} and p.id < 0 and o.prescribed_on >= date '2020-01-01' "
    "and (r.status = 'validated' or r.status = 'to_validate') order by r.id limit 50"
)
TEXTS: Final = {"under-300-bytes": _SHORT, "under-1-kb": _LONG}
_names: Final = itertools.count(1)  # of the whole run: what was unseen once is not unseen again


def measures(scale: Scale) -> Iterator[Measure]:
    """Give one measure for each length of text."""
    for length, form in TEXTS.items():
        yield Measure(
            f"verdict-{length}",
            "verdict",
            (UNSEEN, UNSEEN_P99, TEMPLATE, SEEN, OWN, CPU_UNSEEN),
            partial(ask, form=form, count=scale.statements),
        )


def ask(target: Target, *, form: str, count: int) -> Values:
    """Send ``count`` statements of each sort, one after the other; return times in us.

    A statement is unseen by its template: a column has a name of its own.
    """
    with target.database.connect(target.port) as connection:
        pgconn = connection.pgconn
        _time(pgconn, form.format(name="first", key=1))
        before, used = target.counters(), target.cpu_seconds()
        unseen = _times(pgconn, lambda key: form.format(name=next(_names), key=key), count)
        used = target.cpu_seconds() - used
        after = target.counters()
        template = _times(pgconn, lambda key: form.format(name="first", key=key + 1), count)
        seen = _times(pgconn, lambda _key: form.format(name="first", key=1), count)
    values = {
        "unseen_us": statistics.median(unseen),
        "unseen_p99_us": percentile(unseen, 0.99),
        "template_us": statistics.median(template),
        "seen_us": statistics.median(seen),
    }
    if target.process:
        values["cpu_us"] = used / count * 1e6
    name = "vigie_analysis_seconds"
    if after.get(f"{name}_count", 0) > before.get(f"{name}_count", 0):
        number = after[f"{name}_count"] - before[f"{name}_count"]
        values["analysis_us"] = (after[f"{name}_sum"] - before[f"{name}_sum"]) / number * 1e6
    return values


def _times(pgconn: PGconn, text: Callable[[int], str], count: int) -> list[float]:
    return [_time(pgconn, text(key)) for key in range(1, count + 1)]


def _time(pgconn: PGconn, text: str) -> float:
    """Return the round trip of a Query in us. Errors: BenchError if it fails."""
    command = text.encode()
    began = time.perf_counter()
    result = pgconn.exec_(command)
    took = time.perf_counter() - began
    if result.status != ExecStatus.TUPLES_OK:
        raise BenchError(f"a statement failed: {result.error_message.decode(errors='replace')}")
    return took * 1e6
