"""Statements judged by Vigie's facts and by PostgreSQL's planner.

    python -m tests.integration.differential --url postgresql://lims_app@host/lab --site X < FILE

X is the site's folder. FILE holds statements, each ended by a semicolon at the end of its line, as
``sqlsmith --exclude-catalog --dry-run --max-queries=3000`` writes them. The status is 1 if one of
them reads a relation that is not in its facts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from proxy.cli.live import read_catalog
from proxy.cli.loading import load
from proxy.cli.options import Options
from proxy.sql import Analyser
from proxy.sql.planner import explain_text, read_plan
from proxy.terms.relation import Relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.sql import Catalog

# Misses that are none, by statement, with the reason. There are none.
EXPLAINED: Final[dict[str, str]] = {}


@dataclass(slots=True)
class Outcome:
    """What came of it. ``missed``: (statement, relation)."""

    planned: int = 0
    opaque: int = 0
    unknown: int = 0
    missed: list[tuple[str, str]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def judge(
        self,
        text: str,
        read: Iterable[tuple[str, str]],
        seen: frozenset[Relation],
        *,
        opaque: str | None,
        unknown: bool = False,
    ) -> None:
        """Count one statement that the planner took."""
        self.planned += 1
        if opaque is not None:
            self.opaque += 1
            self.reasons[opaque] += 1
        elif unknown:
            self.unknown += 1
        else:
            missed = {Relation(*names) for names in read} - seen
            self.missed += [(text, str(one)) for one in sorted(missed) if text not in EXPLAINED]


def compare_all(
    statements: Sequence[str], url: str, analyser: Analyser, catalog: Catalog
) -> Outcome:
    """Return what the planner and the facts say of these statements; none of them is run."""
    return asyncio.run(_compare(statements, url, analyser, catalog))


async def _compare(
    statements: Sequence[str], url: str, analyser: Analyser, catalog: Catalog
) -> Outcome:
    outcome = Outcome()
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        for text in statements:
            try:
                answer = await connection.fetchval(explain_text(text.encode()).decode())
            except asyncpg.PostgresError:
                continue
            plan = read_plan(answer if isinstance(answer, str) else json.dumps(answer))
            read = [
                (one.schema, one.name) for one in plan.relations if not one.schema.startswith("pg_")
            ]
            (facts,) = analyser.analyse(text.encode(), encoding="UTF8", catalog=catalog)
            outcome.judge(
                text,
                read,
                facts.relations | facts.unknown_relations,
                opaque=facts.opaque,
                unknown=bool(facts.unknown_functions),
            )
    finally:
        await connection.close()
    return outcome


def main() -> int:
    """Compare the statements of the standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--site", required=True)
    options = parser.parse_args()
    schema_map = load(Options(None, {"site": options.site})).policy.schema_map
    statements = [part.strip() for part in sys.stdin.read().split(";\n") if part.strip()]
    catalog = read_catalog(options.url, schema_map)
    found = compare_all(statements, options.url, Analyser(schema_map), catalog)
    out = sys.stdout.write
    out(f"{len(statements)} statements, {found.planned} planned, {found.opaque} opaque,")
    out(f" {found.unknown} with unknown functions, {len(found.missed)} misses\n")
    for text, relation in found.missed:
        out(f"missed {relation} in: {text}\n")
    for reason, count in found.reasons.most_common():
        out(f"opaque {count}: {reason}\n")
    return 1 if found.missed else 0


if __name__ == "__main__":
    sys.exit(main())
