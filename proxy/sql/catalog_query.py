"""The one text that reads what Vigie knows of a database.

Ten SELECTs in one simple Query, for any role on PostgreSQL 13 to 18. Every name and operator is
qualified, so that nothing on a session's search_path takes part.
"""

from __future__ import annotations

from typing import Final

_EQ: Final = "OPERATOR(pg_catalog.=)"
_GE: Final = "OPERATOR(pg_catalog.>=)"
_GT: Final = "OPERATOR(pg_catalog.>)"
_NE: Final = "OPERATOR(pg_catalog.<>)"
_LONGEST_BODY: Final = 16384  # bytes: what is parsed in the relay itself
_USER: Final = f"{_GE} '16384'::pg_catalog.oid"

_SESSION: Final = (
    "SELECT pg_catalog.array_to_string(pg_catalog.current_schemas(true), E'\\n'),"
    " CURRENT_USER::pg_catalog.text,"
    " pg_catalog.current_setting('server_version_num')"
)
_RELATIONS: Final = (
    "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.reltuples::pg_catalog.int8"
    " FROM pg_catalog.pg_class c"
    f" JOIN pg_catalog.pg_namespace n ON n.oid {_EQ} c.relnamespace"
    f" WHERE c.oid {_USER}"
    f" AND c.relkind {_EQ} ANY ('{{r,v,m,f,p,S}}'::pg_catalog.\"char\"[])"
    " ORDER BY c.oid"
)
_COLUMNS: Final = (
    "SELECT a.attrelid, a.attnum, a.attname, a.atttypid"
    " FROM pg_catalog.pg_attribute a"
    f" JOIN pg_catalog.pg_class c ON c.oid {_EQ} a.attrelid"
    f" WHERE a.attrelid {_USER} AND a.attnum {_GT} 0::pg_catalog.int2 AND NOT a.attisdropped"
    f" AND c.relkind {_EQ} ANY ('{{r,v,m,f,p}}'::pg_catalog.\"char\"[])"
    " ORDER BY a.attrelid, a.attnum"
)
_SOURCES: Final = (
    "SELECT DISTINCT r.ev_class, d.refobjid"
    " FROM pg_catalog.pg_rewrite r"
    f" JOIN pg_catalog.pg_depend d ON d.objid {_EQ} r.oid"
    f" AND d.classid {_EQ} '2618'::pg_catalog.oid"
    f" AND d.refclassid {_EQ} '1259'::pg_catalog.oid"
    f" WHERE r.ev_class {_USER} AND d.refobjid {_NE} r.ev_class"
    " ORDER BY r.ev_class, d.refobjid"
)
_CHILDREN: Final = (
    "SELECT i.inhparent, i.inhrelid FROM pg_catalog.pg_inherits i"
    f" JOIN pg_catalog.pg_class c ON c.oid {_EQ} i.inhrelid"
    f" WHERE c.relkind {_EQ} ANY ('{{r,f,p}}'::pg_catalog.\"char\"[])"
    " ORDER BY i.inhparent, i.inhrelid"
)
_FUNCTIONS: Final = (
    "SELECT p.oid, n.nspname, p.proname, p.prokind, p.provolatile, l.lanname, p.prosecdef,"
    " COALESCE(e.extname::pg_catalog.text, ''), pg_catalog.pg_get_userbyid(p.proowner),"
    " CASE WHEN e.extname IS NULL"
    f" AND l.lanname {_EQ} ANY ('{{sql,plpgsql}}'::pg_catalog.name[])"
    f" AND p.prokind {_EQ} ANY ('{{f,p}}'::pg_catalog.\"char\"[])"
    f" AND pg_catalog.octet_length(p.prosrc) OPERATOR(pg_catalog.<=) {_LONGEST_BODY}"
    " THEN pg_catalog.pg_get_functiondef(p.oid) END,"
    " (SELECT pg_catalog.string_agg(t.tgrelid::pg_catalog.oid::pg_catalog.text, ' ')"
    f" FROM pg_catalog.pg_trigger t WHERE t.tgfoid {_EQ} p.oid AND NOT t.tgisinternal)"
    " FROM pg_catalog.pg_proc p"
    f" JOIN pg_catalog.pg_namespace n ON n.oid {_EQ} p.pronamespace"
    f" JOIN pg_catalog.pg_language l ON l.oid {_EQ} p.prolang"
    f" LEFT JOIN pg_catalog.pg_depend d ON d.classid {_EQ} '1255'::pg_catalog.oid"
    f" AND d.objid {_EQ} p.oid AND d.refclassid {_EQ} '3079'::pg_catalog.oid"
    f" AND d.deptype {_EQ} 'e'::pg_catalog.\"char\""
    f" LEFT JOIN pg_catalog.pg_extension e ON e.oid {_EQ} d.refobjid"
    f" WHERE p.oid {_USER} ORDER BY p.oid"
)
_VIEW_FUNCTIONS: Final = (
    "SELECT DISTINCT r.ev_class, d.refobjid"
    " FROM pg_catalog.pg_rewrite r"
    f" JOIN pg_catalog.pg_depend d ON d.objid {_EQ} r.oid"
    f" AND d.classid {_EQ} '2618'::pg_catalog.oid"
    f" AND d.refclassid {_EQ} '1255'::pg_catalog.oid"
    f" WHERE r.ev_class {_USER} ORDER BY r.ev_class, d.refobjid"
)
_OPERATORS: Final = (
    "SELECT n.nspname, o.oprname, COALESCE(e.extname::pg_catalog.text, '')"
    " FROM pg_catalog.pg_operator o"
    f" JOIN pg_catalog.pg_namespace n ON n.oid {_EQ} o.oprnamespace"
    f" LEFT JOIN pg_catalog.pg_depend d ON d.classid {_EQ} '2617'::pg_catalog.oid"
    f" AND d.objid {_EQ} o.oid AND d.refclassid {_EQ} '3079'::pg_catalog.oid"
    f" AND d.deptype {_EQ} 'e'::pg_catalog.\"char\""
    f" LEFT JOIN pg_catalog.pg_extension e ON e.oid {_EQ} d.refobjid"
    f" WHERE o.oid {_USER} ORDER BY o.oid"
)
_BUILTINS: Final = (
    "SELECT pg_catalog.string_agg(DISTINCT p.proname::pg_catalog.text, ' ')"
    " FROM pg_catalog.pg_proc p"
    f" WHERE p.pronamespace {_EQ} '11'::pg_catalog.oid"
    " AND p.oid OPERATOR(pg_catalog.<) '16384'::pg_catalog.oid"
)
_REFERENCES: Final = (
    "SELECT c.conrelid, pg_catalog.array_to_string(c.conkey, ' '),"
    " c.confrelid, pg_catalog.array_to_string(c.confkey, ' ')"
    f" FROM pg_catalog.pg_constraint c WHERE c.contype {_EQ} 'f'::pg_catalog.\"char\""
    " ORDER BY c.oid"
)

# What a session may change without changing the database; one row, for the first field.
SESSION_QUERY: Final = _SESSION
_SELECTS: Final = (
    _SESSION,
    _RELATIONS,
    _COLUMNS,
    _SOURCES,
    _CHILDREN,
    _FUNCTIONS,
    _VIEW_FUNCTIONS,
    _OPERATORS,
    _BUILTINS,
    _REFERENCES,
)
CATALOG_QUERY: Final = ";\n".join(_SELECTS)
