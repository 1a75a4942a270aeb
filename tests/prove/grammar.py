"""Random SQL over the laboratory's schema: what an attacker who knows it well might send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from tests.prove.laboratory import PATIENTS
from tests.prove.oracle import FIRST_ID, ID_STEP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Draw = Callable[[st.SearchStrategy[Any]], Any]

NAMES: Final = ("n1", "n2")  # of cursors, prepared statements and temporary tables: they shall meet
_DEEP: Final = 2


@dataclass(frozen=True, slots=True)
class Item:
    """Something to select from: its text, alias, columns, and the one that is the patient's key."""

    text: str
    alias: str
    columns: tuple[str, ...]
    key: str | None

    def column(self, name: str) -> str:
        """Return a column's full name."""
        return f"{self.alias}.{name}"


_PATIENT: Final = (
    "nir", "last_name", "first_name", "birth_date", "address", "city", "phone", "email", "mutuelle",
    "sex", "medecin_id",
)  # fmt: skip
_RESULT: Final = ("value", "value_text", "analyse_code", "flag")
_SOURCES: Final[tuple[tuple[str, tuple[str, ...], str | None], ...]] = (
    ("lab.patient", _PATIENT, "id"),
    ("patient", _PATIENT, "id"),
    ("lab.resultat", _RESULT, "patient_id"),
    ("only lab.resultat_urgent", _RESULT, "patient_id"),
    ("lab.resultat_archive", ("value", "analyse_code"), "patient_id"),
    ("lab.prescription", ("renseignements", "medecin_id", "id"), "patient_id"),
    ("lab.echantillon", ("barcode", "nature", "prescription_id"), "patient_id"),
    ("lab.commentaire_pathologie", ("texte", "cim10"), "patient_id"),
    ("lab.facture", ("acte_codes", "montant"), "patient_id"),
    ("lab.audit", ("detail", "action"), "patient_id"),
    ("lab.v_patient_resultat", ("nir", "last_name", "value_text"), "patient_id"),
    ("lab.v_worklist", ("last_name", "first_name", "barcode"), None),
    ("lab.v_stock_tubes", ("ref_tube", "libelle_tube"), None),
    ("lab.mv_patient", ("nir", "last_name", "phone", "birth_date"), "id"),
    ("lab.search_patient('L')", ("nir", "last_name", "first_name", "birth_date"), "id"),
    ("lab.f_inline('1900-01-01')", _PATIENT, "id"),
    ("lab.medecin", ("rpps", "last_name"), None),
    ("generate_series(1, 3)", (), None),
)


def _lines(text: str) -> tuple[str, ...]:
    """Return the lines of a block: one alternative each."""
    return tuple(line.strip() for line in text.strip().splitlines())


# {0} is a value, {1} another of the same row.
_FORMS: Final = _lines("""
    {0}
    {0}
    {0}
    {0}::text
    upper({0}::text)
    lower({0}::text)
    reverse({0}::text)
    md5({0}::text)
    encode({0}::text::bytea, 'hex')
    encode(convert_to({0}::text, 'UTF8'), 'base64')
    convert_to({0}::text, 'UTF8')
    left({0}::text, 40)
    {0}::text || '/' || {1}::text
    concat({0}, {1})
    format('%s', {0})
    coalesce({0}::text, {1}::text)
    greatest({0}::text, {1}::text)
    nullif({0}::text, '')
    case when random() < 2 then {0} end
    (select {0})
    array[{0}::text, {1}::text]
    row({0}, {1})
    to_json({0})
    json_build_object('k', {0})
    jsonb_build_array({0}, {1})
    regexp_replace({0}::text, '^x', '')
    translate({0}::text, 'y', 'y')
    quote_literal({0}::text)
    cast({0} as varchar(30))
    length({0}::text)
""")
_FOLDS: Final = _lines("""
    count(*)
    count(distinct {0})
    sum(length({0}::text))
    max({0}::text)
    min({0}::text)
    string_agg({0}::text, ',')
    string_agg({0}::text, ',') over ()
    array_agg({0})
    array_to_string(array_agg({0}), '-')
    json_agg({0})
    jsonb_object_agg({0}::text, {1}::text)
    xmlagg(xmlforest({0} as k))
    mode() within group (order by {0}::text)
    percentile_disc(0.5) within group (order by {0}::text)
    first_value({0}) over (order by {1})
    lag({0}, 2) over (order by {1})
""")
# {key} is a key, {one} and {two} are patients, {few} some with commas.
_CONDITIONS: Final = _lines("""
    {key} = {one}
    {key} in ({few})
    {key} = any(array[{few}])
    {key} = any('{{{few}}}'::bigint[])
    {key} between least({one}, {two}) and greatest({one}, {two})
    {key} between {one} and {two}
    {key} > {one}
    {key} % 3 = 1
    ({key} = {one} or {key} = {two})
    ({key} = {one} or true)
    not ({key} = {one})
    {key} <> {one}
    {key} = {one} + 7
    {key} in (select patient_id from lab.facture where patient_id > {one})
    exists (select 1 from lab.prescription e where e.patient_id = {key})
    {key} in (select {one} union select {two})
    {key} = (select min(patient_id) from lab.resultat where patient_id > {one})
    coalesce({key}, 0) = {one}
    true
""")
# {query} is a SELECT, {name} one of NAMES.
_AROUND: Final = _lines("""
    select ({query})
    select array({query})
    select exists ({query})
    select x from ({query}) x
    select json_agg(x) from ({query}) x
    select count(*) from ({query}) x
    select row_to_json(x) from ({query}) x
    select n, x.* from generate_series(1, 2) n, ({query}) x
    with recursive r(n) as (select 1 union all select n + 1 from r where n < 3) \
        select * from r, ({query}) x
""")
_MAKING: Final = _lines("""
    declare {name} cursor for {query}
    declare {name} scroll cursor for {query}
    declare {name} binary cursor for {query}
    declare {name} cursor with hold for {query}
    begin; declare {name} cursor for {query}
    begin; declare {name} scroll cursor with hold for {query}
    prepare {name} as {query}
    prepare {name}(bigint) as select * from lab.patient where id = $1
    create temp table {name} as {query}
    create temp table {name} (a text, b text, c text)
    create temp view {name} as {query}
    select * into temp {name} from ({query}) z
    insert into {name} select * from ({query}) z
    create table staging.{name} as {query}
    explain (analyze, costs off) {query}
    explain verbose {query}
""")
_SESSION: Final = _lines("""
    begin
    begin
    commit
    rollback
    rollback
    savepoint v
    rollback to v
    fetch {number} from {name}
    fetch {number} from {name}
    fetch {number} in {name}
    move {number} from {name}
    close {name}
    close all
    execute {name}
    execute {name}
    execute {name}({one})
    deallocate {name}
    select * from {name}
    table {name}
    drop table if exists {name}
    discard all
    reset all
    set search_path = lab
    set application_name = 'other'
    set datestyle = 'German'
    set bytea_output = 'escape'
    select pg_notify('c', 'x')
    listen c
    show all
""")
# {column} and {other} are columns of lab.patient.
_WRITES: Final = _lines("""
    update lab.patient set {column} = {column} where id = {one}{returning}
    update lab.patient set sex = sex where id > {one}{returning}
    update lab.patient set {column} = (select {other} from lab.patient where id = {two}) \
        where id = {one}{returning}
    update lab.patient p set {column} = q.{other} from lab.patient q \
        where p.id = {one} and q.id = {two}
    update lab.medecin set city = (select {other} from lab.patient where id = {two})
    insert into lab.audit (action, patient_id, detail) \
        select {other}, {one}, to_jsonb(p) from lab.patient p where id = {two}
    insert into lab.audit (action, patient_id) select {other}, id from lab.patient
    insert into lab.commentaire_pathologie (id, patient_id, texte) \
        select {two}, {one}, {other} from lab.patient where id = {two}
    with d as (delete from lab.facture where patient_id = {one} returning *) \
        select p.nir from d join lab.patient p on p.id = d.patient_id
    merge into lab.patient p using lab.patient q on p.id = {one} and q.id = {two} \
        when matched then update set {column} = q.{other}
""")
_ERRORS: Final = _lines("""
    cast({0}::text as int)
    ({0}::text)::date
    ({0}::text)::uuid
    ({0}::text)::json
    ({0}::text)::inet
    to_date({0}::text, 'YYYY')
    1 / (length({0}::text) - length({0}::text))
""")
_COPY_OPTIONS: Final = _lines("""

    (format csv)
    (format csv, header)
    (format csv, force_quote *)
    (format binary)
    (delimiter '|')
""")
_COPIED: Final = _lines("""
    lab.patient
    lab.patient (nir)
    lab.patient (id, phone)
    lab.commentaire_pathologie
    lab.audit (detail)
    lab.facture
""")
_WHOLES: Final = ("{a}", "{a}.*", "row_to_json({a})", "to_jsonb({a})", "{a}::text", "({a}).*")

patients: Final = st.integers(0, PATIENTS - 1).map(lambda n: FIRST_ID + ID_STEP * n)


def _pick(draw: Draw, options: Sequence[Any]) -> Any:
    return draw(st.sampled_from(options))


def _chance(draw: Draw, percent: int) -> bool:
    return bool(draw(st.integers(0, 99)) >= 100 - percent)


def _item(draw: Draw, alias: str, depth: int) -> Item:
    if depth > 0 and _chance(draw, 15):
        inner = _item(draw, f"{alias}i", 0)
        columns = tuple(f"k{n}" for n in range(draw(st.integers(1, 3))))
        key = inner.key and draw(st.booleans())
        values = [f"{_value(draw, [inner])} as {name}" for name in columns]
        values += [f"{inner.column(inner.key)} as key"] if key and inner.key else []
        where = _where(draw, [inner])
        text = f"(select {', '.join(values)} from {inner.text} {inner.alias}{where})"
        return Item(text, alias, columns, "key" if key else None)
    name, own, key = _pick(draw, _SOURCES)
    if not own:
        return Item(name, alias, (alias,), None)
    return Item(name, alias, own, key)


def _column(draw: Draw, items: Sequence[Item]) -> str:
    item = _pick(draw, items)
    if item.columns == (item.alias,):
        return str(item.alias)
    names = [*item.columns, item.key] if item.key else item.columns
    return str(item.column(_pick(draw, names)))


def _value(draw: Draw, items: Sequence[Item]) -> str:
    form = _pick(draw, _FORMS)
    return str(form.format(_column(draw, items), _column(draw, items)))


def _output(draw: Draw, items: Sequence[Item], depth: int) -> str:
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return "1"
    if kind == 1 and depth > 0:
        return _scalar(draw, items)
    if kind == 2:
        return str(_pick(draw, _WHOLES).format(a=_pick(draw, items).alias))
    return _value(draw, items)


def _scalar(draw: Draw, items: Sequence[Item]) -> str:
    """Return a scalar subquery, related to what is around it or not."""
    inner = _item(draw, "s", 0)
    keys = [item.column(item.key) for item in items if item.key]
    where = ""
    if inner.key and keys and draw(st.booleans()):
        shift = _pick(draw, ("", f" + {ID_STEP}"))
        where = f" where {inner.column(inner.key)} = {_pick(draw, keys)}{shift}"
    value = (_pick(draw, _FOLDS) if draw(st.booleans()) else _pick(draw, _FORMS)).format(
        _column(draw, [inner]), _column(draw, [inner])
    )
    limit = _pick(draw, (" limit 1", " offset 3 limit 1", ""))
    return f"(select {value} from {inner.text} {inner.alias}{where}{limit})"


def _condition(draw: Draw, items: Sequence[Item]) -> str:
    keyed = [item for item in items if item.key]
    if not keyed:
        return str(_pick(draw, ("true", "random() < 2", f"{_column(draw, items)} is not null")))
    item = _pick(draw, keyed)
    few = draw(st.lists(patients, min_size=1, max_size=4, unique=True))
    return str(
        _pick(draw, _CONDITIONS).format(
            key=item.column(item.key),
            one=draw(patients),
            two=draw(patients),
            few=",".join(map(str, few)),
        )
    )


def _where(draw: Draw, items: Sequence[Item]) -> str:
    conditions = [_condition(draw, items) for _ in range(draw(st.integers(0, 2)))]
    return f" where {' and '.join(conditions)}" if conditions else ""


def _from(draw: Draw, depth: int) -> tuple[str, list[Item], list[str]]:
    """Return the text of FROM, what is in it, and conditions that join."""
    first = _item(draw, "a", depth)
    if not _chance(draw, 40):
        return f"{first.text} {first.alias}", [first], []
    second = _item(draw, "b", depth)
    items = [first, second]
    joined = "true"
    if first.key and second.key and _chance(draw, 75):
        joined = f"{first.column(first.key)} = {second.column(second.key)}"
    join = _pick(draw, ("join", "join", "left join", "full join", ",", "lateral"))
    if join == ",":
        return f"{first.text} a, {second.text} b", items, [joined]
    if join == "lateral":
        limit = _pick(draw, (" limit 1", ""))
        inner = f"(select * from {second.text} b where {joined}{limit})"
        return f"{first.text} a cross join lateral {inner} b", items, []
    return f"{first.text} a {join} {second.text} b on {joined}", items, []


def _tail(draw: Draw) -> str:
    order = _pick(draw, ("", "", " order by 1", " order by random()"))
    limit = _pick(draw, ("", "", " limit 1", " limit 5", " limit 30", " limit all"))
    offset = _pick(draw, ("", "", "", " offset 2", " offset 20"))
    return f"{order}{limit}{offset}"


def _core(draw: Draw, depth: int) -> str:
    text, items, joined = _from(draw, depth)
    conditions = joined + [_condition(draw, items) for _ in range(draw(st.integers(0, 2)))]
    where = f" where {' and '.join(conditions)}" if conditions else ""
    group = ""
    if _chance(draw, 20):
        outputs = [
            _pick(draw, _FOLDS).format(_column(draw, items), _column(draw, items))
            for _ in range(draw(st.integers(1, 2)))
        ]
        if draw(st.booleans()):
            by = _column(draw, items)
            outputs.append(by)
            group = f" group by {by}" + _pick(draw, ("", " having count(*) > 0"))
    else:
        outputs = [_output(draw, items, depth) for _ in range(draw(st.integers(1, 3)))]
    distinct = _pick(draw, ("", "", "", "distinct "))
    return f"select {distinct}{', '.join(outputs)} from {text}{where}{group}{_tail(draw)}"


def _texts(draw: Draw, count: int) -> str:
    """Return a SELECT of so many texts, to be put together with others."""
    text, items, joined = _from(draw, 0)
    conditions = joined + [_condition(draw, items) for _ in range(draw(st.integers(0, 1)))]
    where = f" where {' and '.join(conditions)}" if conditions else ""
    outputs = [f"({_value(draw, items)})::text" for _ in range(count)]
    return f"select {', '.join(outputs)} from {text}{where}"


def _query(draw: Draw, depth: int = _DEEP) -> str:
    """Return any SELECT."""
    kind = draw(st.integers(0, 11)) if depth > 0 else 0
    match kind:
        case 6:
            count = draw(st.integers(1, 2))
            operator = _pick(draw, ("union all", "union", "except", "intersect"))
            return f"{_texts(draw, count)} {operator} {_texts(draw, count)}"
        case 7:
            hint = _pick(draw, ("", " materialized", " not materialized"))
            return f"with w as{hint} ({_query(draw, depth - 1)}) select * from w{_tail(draw)}"
        case 8:
            return f"select * from ({_query(draw, depth - 1)}) x{_tail(draw)}"
        case 9:
            return str(_pick(draw, _AROUND).format(query=_query(draw, depth - 1)))
        case 10:
            return f"table {_pick(draw, ('lab.patient', 'lab.mv_patient', *NAMES))}"
        case 11:
            return f"select * from {_pick(draw, NAMES)}{_tail(draw)}"
        case _:
            return _core(draw, depth)


def _copy(draw: Draw) -> str:
    copied = f"({_query(draw)})" if draw(st.booleans()) else _pick(draw, _COPIED)
    return f"copy {copied} to stdout {_pick(draw, _COPY_OPTIONS)}"


def _error(draw: Draw) -> str:
    """Return a statement whose error quotes a value."""
    inner = _item(draw, "a", 0)
    failing = _pick(draw, _ERRORS).format(_column(draw, [inner]))
    return f"select {failing} from {inner.text} a{_where(draw, [inner])}"


def _write(draw: Draw) -> str:
    column = _pick(draw, ("address", "city", "email", "mutuelle"))
    returning = _pick(draw, ("", f" returning {column}", " returning *", " returning id, nir"))
    return str(
        _pick(draw, _WRITES).format(
            column=column,
            other=_pick(draw, ("nir", "last_name", "phone", "email")),
            one=draw(patients),
            two=draw(patients),
            returning=returning,
        )
    )


def _session(draw: Draw) -> str:
    number = _pick(draw, ("1", "3", "all", "forward 4", "backward 2", "absolute 5", "relative 2"))
    name = _pick(draw, NAMES)
    return str(_pick(draw, _SESSION).format(name=name, one=draw(patients), number=number))


def _making(draw: Draw) -> str:
    return str(_pick(draw, _MAKING).format(name=_pick(draw, NAMES), query=_query(draw, 1)))


@st.composite
def statements(draw: Draw) -> str:
    """Any one statement."""
    kind = draw(st.integers(0, 19))
    if kind < 11:
        return _query(draw)
    made: dict[int, Callable[[Draw], str]] = {11: _copy, 12: _copy, 13: _error, 14: _write}
    made |= {15: _making, 16: _making, 17: _making}
    return str(made.get(kind, _session)(draw))


@st.composite
def parametrised(draw: Draw) -> tuple[str, tuple[str, ...]]:
    """A statement with parameters, and their values in text."""
    one, few = draw(patients), draw(st.lists(patients, min_size=1, max_size=3, unique=True))
    limit = str(draw(st.integers(0, 30)))
    listed = "{" + ",".join(map(str, few)) + "}"
    item = _item(draw, "a", 0)
    outputs = ", ".join(_output(draw, [item], 1) for _ in range(draw(st.integers(1, 3))))
    read = f"select {outputs} from {item.text} a"
    if not item.key:
        return f"{read} limit $1", (limit,)
    key = item.column(item.key)
    return _pick(  # type: ignore[no-any-return]
        draw,
        (
            (f"{read} where {key} = $1", (str(one),)),
            (f"{read} where {key} = any($1::bigint[])", (listed,)),
            (f"{read} where {key} in ($1, $2)", (str(one), str(few[0]))),
            (f"{read} where {key} > $1 order by {key} limit $2", (str(one), limit)),
            (f"{read} limit $1", (limit,)),
            (f"{read} where {key} = $1 or $2", (str(one), "t")),
            (f"{read} where {key} between $1 and $2", (str(min(few)), str(one))),
        ),
    )
