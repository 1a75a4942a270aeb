"""PostgreSQL's client programs: dump, restore, vacuum, reindex, COPY, large objects, LISTEN."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from tests.suites.shell import must, outcome, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.suites.outcome import Outcome, Outcomes
    from tests.suites.place import Place

_SHOP: Final = """
create schema shop;
create type shop.mood as enum ('fine', 'so-so');
create domain shop.percent as numeric check (value between 0 and 100);
create table shop.item (
  id int generated always as identity primary key, name text not null, mood shop.mood,
  share shop.percent, tags text[], at timestamptz default '2026-01-01', raw bytea, doc jsonb
);
create index on shop.item (name);
create index on shop.item using gin (tags);
insert into shop.item (name, mood, share, tags, raw, doc)
  select 'item ' || n || E' \\u00e9\\t\\\\.\\n', case n % 2 when 0 then 'fine'::shop.mood end,
    n % 100, array['a', n::text], decode(md5(n::text), 'hex'), jsonb_build_object('n', n)
  from generate_series(1, 5000) n;
create table shop.part (id int, region text) partition by list (region);
create table shop.part_a partition of shop.part for values in ('a');
create table shop.part_b partition of shop.part default;
insert into shop.part select n, chr(97 + n % 3) from generate_series(1, 300) n;
create view shop.fine as select id, name from shop.item where mood = 'fine';
create materialized view shop.counted as select mood, count(*) from shop.item group by 1;
create sequence shop.ticket start 17;
create function shop.double(n int) returns int language sql immutable as 'select 2 * n';
create function shop.loud() returns trigger language plpgsql as
  $$ begin new.name := upper(new.name); return new; end $$;
create trigger loud before insert on shop.item for each row execute function shop.loud();
create procedure shop.nothing() language plpgsql as $$ begin commit; end $$;
comment on table shop.item is 'with ''quotes'' and -- dashes';
create role shop_reader;
grant select on shop.item to shop_reader;
create policy own on shop.item using (id > 0);
create publication everything for all tables;
create statistics shop.both on id, region from shop.part_a;
create collation shop.c from "C";
select lo_from_bytea(424242, decode(repeat('00ff', 5000), 'hex'));
"""
_RANDOM: Final = re.compile(rb"(?m)^\\(un)?restrict \w+$")  # a word that pg_dump makes up


def programs(place: Place) -> Outcomes:
    """Every program, on a database with one of everything."""
    must(place, ["create database shop;"])
    must(place, [_SHOP], "shop")
    return {
        **_dumps(place),
        **_upkeep(place),
        **_copies(place),
        **_large_objects(place),
        **_roles(place),
        "listen": _listen(place),
    }


def _dumps(place: Place) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for letter in "pct":
        target = f"shop.{letter}"
        done = run(place, "pg_dump", f"-F{letter}", "-f", target, database="shop")
        found[f"pg_dump -F{letter}"] = outcome(done)
    done = run(place, "pg_dump", "-Fd", "-j3", "-f", "shop.d", database="shop")
    found["pg_dump -Fd -j3"] = outcome(done)
    for name, options in {
        "--inserts": ["--inserts", "--rows-per-insert=100"],
        "--column-inserts": ["--column-inserts"],
        "--schema-only": ["--schema-only"],
        "--clean --create": ["--clean", "--create", "--if-exists"],
        "--serializable-deferrable": ["--serializable-deferrable"],
        "--table": ["--table=shop.p*"],
        "--enable-row-security": ["--enable-row-security"],
    }.items():
        done = run(place, "pg_dump", *options, database="shop")
        found[f"pg_dump {name}"] = outcome(done, answer=_text(done.stdout))
    everything = run(place, "pg_dumpall", "--no-role-passwords")
    found["pg_dumpall"] = outcome(everything, answer=_text(everything.stdout))
    for name, options in {
        "restore -Fc": ["shop.c"],
        "restore -Fc -j4": ["-j4", "shop.c"],
        "restore -Fd -j4": ["-j4", "shop.d"],
        "restore -Ft": ["shop.t"],
        "restore -Fc --single-transaction": ["-1", "shop.c"],
        "restore -Fc --section": ["--section=pre-data", "--section=data", "shop.c"],
    }.items():
        database = "again_" + str(len(found))
        must(place, [f"create database {database};"])
        done = run(place, "pg_restore", "-d", database, *options, database=database)
        again = run(place, "pg_dump", database=database)
        found[f"pg_{name}"] = outcome(done, answer=done.stderr + _text(again.stdout))
    must(place, ["create database plain;"])
    plain = place.folder / "shop.p"
    script = plain.read_bytes() if plain.exists() else b""
    done = run(place, "psql", "-qXv", "ON_ERROR_STOP=1", text=script, database="plain")
    again = run(place, "pg_dump", database="plain")
    found["psql < pg_dump -Fp"] = outcome(done, answer=_text(again.stdout))
    return found


def _upkeep(place: Place) -> dict[str, Outcome]:
    commands = {
        "vacuumdb": ["vacuumdb", "--all", "--analyze"],
        "vacuumdb --full": ["vacuumdb", "--full", "shop"],
        "vacuumdb -j": ["vacuumdb", "-j3", "shop"],
        "vacuumdb --analyze-in-stages": ["vacuumdb", "--analyze-in-stages", "shop"],
        "reindexdb": ["reindexdb", "--all"],
        "reindexdb -j": ["reindexdb", "-j3", "shop"],
        "reindexdb --concurrently": ["reindexdb", "--concurrently", "--table=shop.item", "shop"],
        "reindexdb --system": ["reindexdb", "--system", "shop"],
        "clusterdb": ["clusterdb", "--all"],
        "pg_isready": ["pg_isready"],
        "vacuumlo": ["vacuumlo", "--dry-run", "shop"],
        "pg_amcheck": ["pg_amcheck", "--install-missing", "shop"],
    }
    found = {}
    for name, (program, *arguments) in commands.items():
        if (place.binaries.folder / program).exists():  # the wheel has not all of them
            found[name] = outcome(run(place, program, *arguments))
    return found


def _copies(place: Place) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for name, options in {
        "text": "",
        "csv": "(format csv, header, force_quote *)",
        "binary": "(format binary)",
        "text with delimiter": "(delimiter '|', null 'nothing')",
        "csv in latin1": "(format csv, encoding 'latin1')",
    }.items():
        file = f"copy-{len(found)}"
        columns = "name, mood, share, tags, at, raw, doc"
        must(
            place,
            ["drop table if exists shop.again;", "create table shop.again (like shop.item);"],
            "shop",
        )
        text = f"""
\\copy (select {columns} from shop.item order by id) to '{file}' {options}
alter table shop.again alter id drop not null;
\\copy shop.again ({columns}) from '{file}' {options}
select count(*), md5(string_agg(a::text, '' order by name collate "C", at)) from shop.again a;
copy (select {columns} from shop.again order by name collate "C") to stdout
  with {options or "(format text)"};
"""
        done = run(place, "psql", "-X", text=text, database="shop")
        found[f"COPY {name}"] = outcome(done, answer=done.stdout + _digest(place.folder / file))
    wrong = "copy shop.again from stdin;\n1\ttoo\tfew\n\\.\nselect 1;\n"
    found["COPY that fails"] = outcome(run(place, "psql", "-X", text=wrong, database="shop"))
    return found


def _large_objects(place: Place) -> dict[str, Outcome]:
    (place.folder / "object").write_bytes(bytes(range(256)) * 4000)
    text = r"""
\lo_import object 'a comment'
\lo_list
\lo_export :LASTOID object-again
\lo_unlink :LASTOID
select lo_get(424242, 10, 20);
begin;
select lo_open(424242, x'60000'::int) as fd \gset
select loread(:fd, 8), lo_lseek64(:fd, 100, 0), lowrite(:fd, 'abc'), lo_tell64(:fd);
commit;
"""
    done = run(place, "psql", "-X", text=text, database="shop")
    numbers = re.sub(rb"(?m)^ *\d{5,}|lo_import \d+|lo_unlink \d+", b"N", done.stdout)
    same = _digest(place.folder / "object") == _digest(place.folder / "object-again")
    return {"large objects": outcome(done, answer=numbers + done.stderr + str(same).encode())}


def _roles(place: Place) -> dict[str, Outcome]:
    commands = {
        "createdb": ["createdb", "--template=template0", "--encoding=LATIN1", "made", "--locale=C"],
        "dropdb": ["dropdb", "--force", "made"],
        "createuser": ["createuser", "--createdb", "--no-login", "someone"],
        "dropuser": ["dropuser", "someone"],
    }
    return {
        name: outcome(run(place, program, *arguments))
        for name, (program, *arguments) in commands.items()
    }


def _listen(place: Place) -> Outcome:
    text = r"""
listen news;
notify news, 'first';
begin; select pg_notify('news', repeat('x', 7000)); commit;
select 1;
unlisten *;
notify news, 'nobody hears';
select 2;
"""
    done = run(place, "psql", "-X", text=text)
    return outcome(done)


def _text(script: bytes) -> bytes:
    return _RANDOM.sub(b"", script)


def _digest(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).hexdigest().encode() if file.exists() else b"none"
