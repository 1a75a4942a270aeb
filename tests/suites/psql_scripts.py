"""psql: its own commands, and the SQL of PostgreSQL's regression tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tests.suites.fetched import regression_scripts
from tests.suites.outcome import Outcome
from tests.suites.shell import must, outcome, run, settled

if TYPE_CHECKING:
    from pathlib import Path

    from tests.suites.outcome import Outcomes
    from tests.suites.place import Place

_OBJECTS: Final = """
create schema s; create table s.t (id int primary key, name text default 'x', unique (name));
create table s.child () inherits (s.t); create view s.v as select * from s.t;
create materialized view s.m as select 1 as one; create index i on s.t (name);
create function s.f(int) returns int language sql as 'select $1';
create aggregate s.total(int) (sfunc = int4pl, stype = int);
create type s.e as enum ('a', 'b'); create domain s.d as int check (value > 0);
create operator s.@@+ (leftarg = int, rightarg = int, function = int4pl);
create foreign data wrapper w; create server far foreign data wrapper w;
create foreign table s.ft (a int) server far; create publication p for table s.t;
create rule r as on insert to s.v do instead nothing; create sequence s.q;
create text search configuration s.c (copy = english); create statistics s.st on id, name from s.t;
insert into s.t select n, 'name ' || n from generate_series(1, 30) n;
"""
_DESCRIBES: Final = [
    r"\d",
    r"\d+",
    r"\dS",
    r"\da",
    r"\dA",
    r"\dAc",
    r"\dAf",
    r"\dAo",
    r"\dAp",
    r"\db",
    r"\dc",
    r"\dC",
    r"\dconfig",
    r"\dd",
    r"\dD",
    r"\ddp",
    r"\dE",
    r"\des",
    r"\det",
    r"\deu",
    r"\dew",
    r"\df",
    r"\df+",
    r"\dF",
    r"\dFd",
    r"\dFp",
    r"\dFt",
    r"\dg",
    r"\di",
    r"\di+",
    r"\dl",
    r"\dL",
    r"\dm",
    r"\dn",
    r"\dn+",
    r"\do",
    r"\dO",
    r"\dp",
    r"\dP",
    r"\drds",
    r"\dRp",
    r"\dRp+",
    r"\dRs",
    r"\ds",
    r"\dt",
    r"\dt+",
    r"\dT",
    r"\dT+",
    r"\du",
    r"\dv",
    r"\dv+",
    r"\dx",
    r"\dx+",
    r"\dX",
    r"\dy",
    r"\l",
    r"\l+",
    r"\z",
    r"\sf",
    r"\sv",
]
_SCRIPTS: Final = {
    "gset": "select 1 as a, 'two' as b \\gset\n\\echo :a :'b'\nselect :a + 1, :'b';\n",
    "gexec": "select format('create table g%s (a int)', n) from generate_series(1, 3) n \\gexec\n"
    "select format('insert into g1 values (%s)', n) from generate_series(1, 3) n \\gexec\n"
    "table g1;\n",
    "gdesc": "select 1 as a, now() as b, 'x'::char(3) as c \\gdesc\n",
    "gx": "select * from s.t where id < 3 \\gx\n",
    "crosstabview": "select id % 2 a, id % 3 b, count(*) from s.t group by 1, 2 order by 1, 2"
    " \\crosstabview\n",
    "bind": "select $1::int + $2::int \\bind 1 2 \\g\n",
    "semicolons": "select 1\\; select 2\\; select 1/0\\; select 3;\nselect 4;\n",
    "errors": "selec 1;\nselect 'open\n';\nselect * from nowhere;\nselect 1/0;\n\\errverbose\n",
    "transactions": "begin; select 1; selec; select 2; rollback; begin; savepoint a; select 1/0;"
    " rollback to a; select 3; commit; end; begin; commit and chain; rollback;\n",
    "on_error_rollback": "\\set ON_ERROR_ROLLBACK on\nbegin; select 1; select 1/0; select 2;"
    " commit;\n",
    "fetch_count": "\\set FETCH_COUNT 7\nselect * from s.t order by id;\nselect 1/(id-20) from s.t"
    " order by id;\n",
    "single step": "\\set AUTOCOMMIT off\nselect 1; insert into s.t values (100, 'n'); rollback;"
    " select count(*) from s.t;\n",
    "cursors": "begin; declare c scroll cursor for select id from s.t order by id; fetch 3 c;"
    " move 5 c; fetch prior c; fetch absolute 2 c; close c; fetch c; rollback;"
    " declare h cursor with hold for select 1; fetch all h; close all;\n",
    "prepare": "prepare p (int) as select $1 + 1; execute p(1); explain (costs off) execute p(2);"
    " prepare p as select 1; deallocate p; execute p(3); deallocate all;\n",
    "do": "do $$ begin raise notice 'loud %', 1; raise warning 'w' using hint = 'h'; end $$;"
    " do $$ begin raise exception 'no' using errcode = 'P0999', detail = 'd'; end $$;\n",
    "settings": "set search_path to s; table t limit 1; reset search_path; set role pg_monitor;"
    " select current_user; reset role; set client_encoding to 'latin1'; select 'é';"
    " set local statement_timeout = 1; show timezone; discard all; select 1;\n"
    "set standard_conforming_strings = off; select 'a\\\\b'; set standard_conforming_strings = on;"
    " select 'a\\\\b';\n",
    "timeout": "set statement_timeout = 50; select pg_sleep(5); reset statement_timeout;"
    " select 1;\n",
    "two-phase": "begin; insert into s.t values (200, 'two'); prepare transaction 'x';"
    " commit prepared 'x'; select count(*) from s.t;\n",
    "copy": "\\copy s.t to stdout\n\\copy (select 1, 2) to stdout csv header\n"
    'copy s.t from stdin;\n300\tthree\n\\.\ncopy s.t from stdin csv;\n301,"fo""ur"\n\\.\n'
    "copy s.t from stdin;\nbad\n\\.\nselect count(*) from s.t;\n"
    "copy s.t to stdout\\; select 5;\n",
    "empty": ";\n;;\n--\n/* only a comment */;\nselect;\n",
    "wide": "select " + ", ".join(f"{n} as c{n}" for n in range(1500)) + " \\gset\n\\echo :c1499\n",
    "long": "select length('" + "x" * 3_000_000 + "');\n",
    "many": "select 1;" * 2000 + "\n",
    "notices": "do $$ begin for n in 1..500 loop raise notice '%', n; end loop; end $$;\n",
    "unicode": "select U&'d\\0061t\\+000061', E'\\u00e9', 'é' as \"é\", $é$x$é$, $$y$$;\n",
    "types": "select '{1,2}'::int[], '[1,3)'::int4range, '1.5'::numeric, '{\"a\": [1]}'::jsonb,"
    " '10.0.0.1/8'::inet, '1 day'::interval, 'a b'::tsvector, '\\x00'::bytea, '(1,2)'::point,"
    " '<a/>'::text, row(1, null, 'x'), b'101', '1'::money, null;\n",
}
_QUIET: Final = ("-X", "-a", "-q", "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on")
_NUMBERS: Final = re.compile(
    r"pg_temp_\d+|pg_toast_(temp_)?\d+|pg_toast\.pg_toast_\d+|\b[1-9]\d{4,}\b"
    r"|(?<=0x)[0-9a-f]+|\b[0-9A-F]+/[0-9A-F]+\b"
)
_PLANS: Final = re.compile(r"(?m)^.*(Execution|Planning) Time.*$")


def psql(place: Place) -> Outcomes:
    """Commands of psql, and statements by the text as a person writes them."""
    must(place, [_OBJECTS])
    found = {}
    for command in _DESCRIBES:
        target = {"\\sf": " s.f", "\\sv": " s.v"}.get(command, "")
        done = run(place, "psql", "-XEa", text=f"{command}{target}\n{command} s.*\n")
        found[command] = _numberless(outcome(done))
    for name, text in _SCRIPTS.items():
        done = run(place, "psql", "-Xa", "-v", "VERBOSITY=verbose", text=text)
        found[name] = _numberless(outcome(done))
    found["watch"] = _watched(place)
    done = run(place, "psql", "-X1", "-c", "select 1", "-c", "select 2", "-c", "\\d s.t")
    found["-1 -c -c"] = outcome(done)
    found["-l"] = outcome(run(place, "psql", "-lX"))
    return found


def _watched(place: Place) -> Outcome:
    r"""What \watch shows until its statement fails."""
    text = "create sequence s.w;\nselect 3 / (4 - nextval('s.w')) as again \\watch 0.1\n"
    done = run(place, "psql", "-X", text=text, seconds=20)
    return outcome(done, answer=str(done.stdout.count(b"again")) + done.stderr.decode())


def regress(place: Place) -> Outcomes:
    """The regression scripts one by one, in the order of their schedule; what they print."""
    folder = regression_scripts()
    must(place, ["create database regression template template0;", _SETTINGS])
    found = {}
    for name in _schedule(folder):
        found[name] = _script(place, folder, name)
    return found


_SETTINGS: Final = """
alter database regression set lc_messages to 'C';
alter database regression set lc_monetary to 'C';
alter database regression set lc_numeric to 'C';
alter database regression set lc_time to 'C';
alter database regression set bytea_output to 'hex';
alter database regression set timezone_abbreviations to 'Default';
alter database regression set timezone to 'PST8PDT';
alter database regression set datestyle to 'Postgres, MDY';
alter database regression set intervalstyle to 'postgres_verbose';
"""


def _schedule(folder: Path) -> list[str]:
    lines = (folder / "parallel_schedule").read_text().splitlines()
    tests = [line.partition(":")[2].split() for line in lines if line.startswith("test:")]
    return [name for group in tests for name in group]


def _script(place: Place, folder: Path, name: str) -> Outcome:
    heads = f"\\setenv PG_ABS_SRCDIR {folder}\n\\setenv PG_ABS_BUILDDIR {place.folder}\n"
    text = heads + (folder / "sql" / f"{name}.sql").read_text("utf-8", "surrogateescape")
    raw = text.encode("utf-8", "surrogateescape")
    done = run(place, "psql", *_QUIET, text=raw, database="regression", seconds=300)
    return _numberless(outcome(done, answer=done.stdout + done.stderr))


def _numberless(found: Outcome) -> Outcome:
    answer = _PLANS.sub("", _NUMBERS.sub("N", found.answer))
    return Outcome(found.passed, settled(answer), found.output)
