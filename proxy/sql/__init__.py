"""Text of statements to facts. The only importer of sqlglot and of PostgreSQL's grammar."""

from __future__ import annotations

from proxy.sql.analyse import Analyser
from proxy.sql.catalog import Catalog
from proxy.sql.catalog_build import build_catalog
from proxy.sql.catalog_query import CATALOG_QUERY, SESSION_QUERY
from proxy.sql.definitions_read import reads_definitions
from proxy.sql.facts.bounds import bound_of_literal
from proxy.sql.replication import replication_command

__all__ = [
    "CATALOG_QUERY",
    "SESSION_QUERY",
    "Analyser",
    "Catalog",
    "bound_of_literal",
    "build_catalog",
    "reads_definitions",
    "replication_command",
]
