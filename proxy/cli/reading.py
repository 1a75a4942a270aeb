"""A text of SQL to facts, as the proxy would have them."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Final

from proxy.sql import Analyser
from proxy.sql.worker import WorkerOutcome, parse_in_worker

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from proxy.sql import Catalog
    from proxy.terms.facts import StatementFacts
    from proxy.terms.schema_map import SchemaMap

ENCODING: Final = "UTF8"
WORKER_SECONDS: Final = 20.0  # as the proxy waits
_FAILED: Final = WorkerOutcome(None, "worker failed")  # as the proxy says


def read_statements(
    raw: bytes, schema_map: SchemaMap, catalog: Catalog | None = None
) -> tuple[StatementFacts, ...]:
    """Return the facts of each statement of a text; a large one is parsed in another process."""
    analyser = Analyser(schema_map)
    task = analyser.parse_task(raw, ENCODING)
    if task is not None:
        analyser.accept(raw, ENCODING, parse_elsewhere(task))
    return analyser.analyse(raw, encoding=ENCODING, catalog=catalog)


def parse_elsewhere(text: str, *, seconds: float = WORKER_SECONDS) -> WorkerOutcome:
    """Return what a process of its own makes of a text; that it ended or was slow is an outcome."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    worker = context.Process(target=_parse, args=(text, theirs), daemon=True)
    worker.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            return _FAILED
        outcome = ours.recv()
        assert isinstance(outcome, WorkerOutcome)
    except EOFError:
        return _FAILED
    else:
        return outcome
    finally:
        worker.kill()
        worker.join()
        ours.close()


def _parse(text: str, answer: Connection) -> None:
    answer.send(parse_in_worker(text))
