"""Ways out that are not rows: each is seen, and the everyday neighbours are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.terms.facts import StatementFacts

    Facts = Callable[[str], StatementFacts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select pg_read_file('x')", "file"),
        ("select pg_catalog.pg_ls_dir('.')", "file"),
        ("copy patient to '/tmp/x'", "file"),
        ("copy patient to program 'x'", "program"),
        ("copy qc_mesure from program 'x'", "program"),
        ("select lo_get(1)", "large_object"),
        ("select lo_export(1,'x')", "file large_object"),
        ("select loid from pg_largeobject", "large_object"),
        ("select * from dblink('x','select 1') t(a int)", "remote"),
        ("create server s foreign data wrapper postgres_fdw", "remote"),
        ("create foreign table f(a int) server s", "remote"),
        ("import foreign schema lab from server s into staging", "remote"),
        ("select query_to_xml('select 1',true,false,'')", "sql_text"),
        ("select * from ts_stat('select 1')", "sql_text"),
        ("select * from crosstab('select 1') t(a text)", "sql_text"),
        ("select data from pg_logical_slot_get_changes('s',null,null)", "replication"),
        ("select histogram_bounds from pg_stats", "statistics"),
        ("select * from pg_statistic", "statistics"),
        ("select s from pg_stats s", "statistics"),
        ("copy pg_statistic to stdout", "statistics"),
        ("select get_raw_page('patient',0)", "raw_pages"),
        ("select chunk_data from pg_toast.pg_toast_16406", "raw_pages"),
        ("select pg_notify('c', (select nir from patient limit 1))", "notify"),
        ("set standard_conforming_strings=off", "lexer_setting"),
        ("set backslash_quote=on", "lexer_setting"),
        ("alter role x set standard_conforming_strings=off", "lexer_setting"),
        ("alter database d set standard_conforming_strings to 'off'", "lexer_setting"),
        ("set client_encoding='SJIS'", "lexer_setting"),
        ("set names 'GBK'", "lexer_setting"),
        ("select set_config('standard_conforming_strings','off',false)", "lexer_setting"),
        ("select set_config('standard_'||'x','off',false)", "setting_channel"),
        ("select set_config(name,'off',false) from pg_settings", "setting_channel"),
        ("select set_config('application_name',(select nir from patient limit 1),false)",
         "setting_channel"),
        ("set role dba", "session_identity"),
        ("set session authorization export_job", "session_identity"),
    ],
)  # fmt: skip
def test_a_side_door_is_seen(facts: Facts, text: str, expected: str) -> None:
    """Each way out is named, by whatever spelling."""
    assert {door.value for door in facts(text).side_doors} == set(expected.split())


@pytest.mark.parametrize(
    "text",
    [
        "set standard_conforming_strings to on",
        "set client_encoding to 'UTF8'",
        "set names 'latin1'",
        "set role none",
        "reset role",
        "set session authorization default",
        "set application_name='x'",
        "notify c, 'x'",
        "select pg_notify('c','x')",
        "select pg_notify($1,$2)",
        "select set_config('search_path','',false)",
        "select set_config(name, 'view, foreign-table', false) from pg_settings",
        "select attname, n_distinct from pg_stats",
        "copy patient to stdout",
        "copy analyse from stdin",
    ],
)
def test_everyday_statements_open_none(facts: Facts, text: str) -> None:
    """What drivers and backup tools send is no side door."""
    assert facts(text).side_doors == frozenset()
