"""An attack that is written otherwise is judged no milder.

Comments, case, quoting, WITH, views of it, aliases, casts, other statements around it: the verdict
of the mutant is at least that of the attack. Of everyday statements comments and case change none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from proxy.policy import judge
from proxy.sql import Analyser, build_catalog
from proxy.terms.finding import Action
from proxy.terms.principal import Principal
from tests.data.lab_catalog import LAB_RESULTS
from tests.rules.test_stories import LAB, POLICY

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.sql import Catalog

ATTACKS: Final = [
    "select * from patient",
    "select nir, last_name from lab.patient",
    "select nir from patient where id > 0",
    "select nir from patient where sex = 'F' or sex <> 'F'",
    "select nir, last_name from patient limit 100000",
    "select string_agg(nir, ',') from patient",
    "select json_agg(p) from patient p",
    "select array(select nir from patient)",
    "select md5(nir) from patient",
    "select p.nir, r.value from patient p join resultat r on r.patient_id = p.id",
    "select ref_tube from v_stock_tubes",
    "select nir from patient union all select 'x'",
    "select (select nir from patient x where x.id = p.id) from patient p",
    "select max(nir) from patient group by id",
    "select query_to_xml('select * from lab.patient', true, true, '')",
    "select pg_read_file('x')",
    "select lab.nobody_knows(nir) from patient where id = 7",
    "select lo_get(1)",
    "select 1 from patient where id = 7 and substr(nir, 3, 1) > '4'",
    "select most_common_vals::text from pg_stats where tablename = 'patient'",
    "update patient set sex = sex returning nir",
    "delete from patient returning nir",
    "insert into lab.analyse (code) select nir from patient",
]
EVERYDAY: Final = [
    "select nir, last_name from patient where id = 7",
    "select count(*) from patient",
    "select id, last_name from patient where last_name like 'mar%' limit 20",
    "select libelle from lab.analyse where code = 'GLU'",
    "delete from lab.facture where patient_id = 7",
    "select analyse_code, avg(value) from resultat group by 1",
]
_PARTS: Final = re.compile(r"'[^']*'|\w+|\s+|.", re.DOTALL)
_ROLE: Final = Principal("lims_app", "lab")


def _each(text: str, change: Callable[[str], str]) -> str:
    """Return the text with a change made to each of its parts outside of strings."""
    parts = _PARTS.findall(text)
    return "".join(one if one.startswith("'") else change(one) for one in parts)


def _quoted(part: str) -> str:
    return f'"{part}"' if part in {"patient", "nir", "resultat", "ref_tube"} else part


SPELLINGS: Final[dict[str, Callable[[str], str]]] = {
    "comments": lambda text: _each(text, lambda part: "/**/ /* ' */" if part.isspace() else part),
    "lines": lambda text: _each(text, lambda part: "--x'\n\t" if part.isspace() else part),
    "nested": lambda text: _each(text, lambda part: "/*/*$a$*/*/\f" if part.isspace() else part),
    "upper": lambda text: _each(text, str.upper),
    "mixed": lambda text: _each(text, str.title),
    "quoted": lambda text: _each(text, _quoted),
    "semicolons": lambda text: f";; {text} ; ",
    "escapes": lambda text: re.sub(r"'([a-z]+)'", lambda found: f"E'{found[1]}'", text),
    "dollars": lambda text: re.sub(r"'([^']*)'", r"$x$\1$x$", text),
    "unicode": lambda text: (
        re.sub(r"\bpatient\b(?!')", r'U&"p\\0061tient"', text)
        if "lab.patient'" not in text
        else text
    ),
    "operators": lambda text: re.sub(r" (=|>) ", r" operator(pg_catalog.\1) ", text),
}
WRAPPERS: Final = {
    "subquery": "select * from ({}) as s",
    "lateral": "select s.* from (values (1)) v, lateral ({}) s",
    "with": "with s as ({}) select * from s",
    "named as the table": "with patient as ({}) select * from patient",
    "materialized": "with s as materialized ({}) table s",
    "aliased": "select * from (select s.* from ({}) as s) as t",
    "row": "select s from ({}) as s",
    "folded": "select json_agg(s) from ({}) as s",
    "union": "({}) union all ({})",
    "ordered": "select * from ({}) s order by 1",
    "joined": "select s.* from ({}) s cross join (select 1) t",
    "cursor": "declare c cursor for {}",
    "prepared": "prepare p as {}",
    "copied out": "copy ({}) to stdout",
    "copied": "create temp table t as {}",
    "view": "create view v as {}",
}


# The attack is the body of a function, or in it; and how it is called.
BODIES: Final = {
    "last": ("SETOF record", "sql", "{}", "select * from lab.wrapped() as w(a text)"),
    "behind": ("SETOF record", "sql", "select 1; {}", "select lab.wrapped()"),
    "returned": ("SETOF record", "plpgsql", "begin return query {}; end",
                 "select * from lab.wrapped() as w(a text)"),
    "executed": ("SETOF record", "plpgsql", "begin return query execute $q${}$q$; end",
                 "select * from lab.wrapped() as w(a text)"),
    "looped": ("SETOF record", "plpgsql",
               "declare r record; begin for r in {} loop return next r; end loop; end",
               "select lab.wrapped()"),
    "gathered": ("text", "plpgsql",
                 ("declare r record; a text; begin for r in {} loop a := concat(a, r); end loop;"
                 " return a; end"), "select lab.wrapped()"),
    "fetched": ("text", "plpgsql",
                ("declare c cursor for {}; r record; a text; begin open c; loop fetch c into r;"
                " exit when not found; a := concat(a, r); end loop; return a; end"),
                "select lab.wrapped()"),
    "shown": ("void", "plpgsql",
              "declare r record; begin for r in {} loop raise notice '%', r; end loop; end",
              "select lab.wrapped()"),
    "caught": ("text", "plpgsql",
               ("declare r record; begin for r in {} loop perform r::text::int; end loop;"
               " return ''; exception when others then return sqlerrm; end"),
               "select lab.wrapped()"),
    "copied": ("void", "plpgsql", "begin create table lab.c as {}; end", "select lab.wrapped()"),
    "called": ("SETOF record", "sql", "{}", "select * from lab.outer() as w(a text)"),
}  # fmt: skip


def with_function(result: str, language: str, body: str) -> Catalog:
    """Return the catalog with the function, and another that calls it."""
    results = [[[*row] for row in part] for part in LAB_RESULTS]
    made = f"CREATE FUNCTION lab.wrapped() RETURNS {result} LANGUAGE {language} AS $w$ {body} $w$"
    calls = (
        "CREATE FUNCTION lab.outer() RETURNS SETOF record LANGUAGE sql AS $w$"
        " select * from lab.wrapped() as w(a text) $w$"
    )
    for number, (name, text) in enumerate({"wrapped": made, "outer": calls}.items()):
        row = [str(50000 + number), "lab", name, "f", "v", language, "f", "", "dba", text]
        results[5].append([*row])
    return build_catalog(results, POLICY.schema_map)


def verdict(text: str, catalog: Catalog = LAB) -> Action:
    """Return the strongest verdict on the statements of a text."""
    found = Analyser(POLICY.schema_map).analyse(text.encode(), encoding="UTF8", catalog=catalog)
    return max(judge(POLICY, _ROLE, facts).verdict for facts in found)


@pytest.mark.parametrize("how", SPELLINGS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_another_spelling_is_no_milder(attack: str, how: str) -> None:
    """The lexical forms that PostgreSQL takes for the same."""
    assert verdict(SPELLINGS[how](attack)) >= verdict(attack) >= Action.BLOCK


@pytest.mark.parametrize("how", WRAPPERS)
@pytest.mark.parametrize("attack", [one for one in ATTACKS if one.startswith("select")])
def test_another_statement_around_it_is_no_milder(attack: str, how: str) -> None:
    """All that the attack gives is in what the mutant gives, opens, keeps or copies."""
    assert verdict(WRAPPERS[how].format(attack, attack)) >= Action.BLOCK


@pytest.mark.parametrize(
    ("attack", "how"),
    [
        (attack, how)
        for attack in ATTACKS
        for how in BODIES
        # there only an error text is returned, which is charged by its bytes
        if attack.startswith("select") and (attack[:9], how) != ("select 1 ", "caught")
    ],
)
def test_a_function_around_it_is_no_milder(attack: str, how: str) -> None:
    """Whatever a body does with the rows: what it returns, shows and keeps is of them."""
    result, language, body, call = BODIES[how]
    catalog = with_function(result, language, body.format(attack))
    assert verdict(call, catalog) >= Action.BLOCK


@pytest.mark.parametrize("attack", ATTACKS)
def test_company_makes_it_no_milder(attack: str) -> None:
    """Harmless statements before and behind it, in one text."""
    assert verdict(f"select 1; {attack}; select 2") >= Action.BLOCK
    assert verdict(f"set application_name = 'x'; {attack}") >= Action.BLOCK


@pytest.mark.parametrize("how", SPELLINGS)
@pytest.mark.parametrize("text", EVERYDAY)
def test_everyday_work_may_be_spelt_as_one_likes(text: str, how: str) -> None:
    """Comments, case and quotes accuse nobody."""
    assert verdict(SPELLINGS[how](text)) is Action.ALLOW
