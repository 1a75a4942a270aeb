"""The ``schema_map:`` of a site to a SchemaMap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.problems import suggest
from proxy.terms.column_class import ColumnClass
from proxy.terms.relation import Column, Function, Relation
from proxy.terms.schema_map import MappedFunction, SchemaMap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.policy.schema import ClassName, ColumnData, FunctionData, SchemaMapData
    from proxy.policy.yaml_marks import Document, Path

_Columns = dict[str, tuple[ColumnClass, str | None]]


def build_schema_map(data: SchemaMapData, document: Document, problems: list[str]) -> SchemaMap:
    """Return the schema map that a file describes.

    Args:
        data: under ``schema_map:``.
        document: where it stands, for places.
        problems: those found are appended.
    """
    builder = _Builder(data, document, problems)
    relations = builder.relations()
    classes: dict[Column, ColumnClass] = {}
    keys: dict[Column, str] = {}
    subjects: set[Relation] = set()
    for relation, columns in relations.items():
        for name, (column_class, key) in columns.items():
            column = Column(relation, name)
            classes[column] = column_class
            if key is not None:
                keys[column] = key
            if column_class is not ColumnClass.NONE:
                subjects.add(relation)
    functions = builder.functions(relations, frozenset(keys.values()))
    types = {
        Column(relation, name): said.type
        for relation, (_, one) in zip(relations, data.relations.items(), strict=True)
        for name, said in one.columns.items()
        if not isinstance(said, str) and said.type is not None
    }
    return SchemaMap(frozenset(subjects), classes, keys, functions, data.bytes_per_subject, types)


class _Builder:
    """Reads the parts of one map, and collects what is wrong with them."""

    def __init__(self, data: SchemaMapData, document: Document, problems: list[str]) -> None:
        self._data = data
        self._document = document
        self._problems = problems

    def _complain(self, path: Path, what: str, *, key: bool = True) -> None:
        self._problems.append(f"{self._document.at(('schema_map', *path), key=key)}: {what}")

    def _split(self, name: str, path: Path) -> tuple[str, str]:
        schema, dot, bare = name.partition(".")
        if not (dot and schema and bare) or "." in bare:
            self._complain(path, f"name '{name}', expected schema.name")
        return schema, bare

    def relations(self) -> dict[Relation, _Columns]:
        found: dict[Relation, _Columns] = {}
        for name, relation in self._data.relations.items():
            path: Path = ("relations", name)
            schema, bare = self._split(name, path)
            found[Relation(schema, bare)] = self._columns(relation.columns, (*path, "columns"))
        return found

    def _columns(self, columns: Mapping[str, ClassName | ColumnData], path: Path) -> _Columns:
        found: _Columns = {}
        for name, said in columns.items():
            if isinstance(said, str):
                if said == "key":
                    self._complain((*path, name), f"key '{name}' has no key space", key=False)
                found[name] = (ColumnClass(said), None)
                continue
            column_class = ColumnClass(said.column_class)
            if said.key is None and column_class is ColumnClass.KEY:
                self._complain((*path, name), f"key '{name}' has no key space, expected key: ...")
            if said.key is not None and column_class is ColumnClass.NONE:
                self._complain(
                    (*path, name), f"'{name}' is a key, expected another class than none"
                )
            found[name] = (column_class, said.key)
        return found

    def functions(
        self, relations: Mapping[Relation, _Columns], spaces: frozenset[str]
    ) -> dict[Function, MappedFunction]:
        found: dict[Function, MappedFunction] = {}
        for name, said in self._data.functions.items():
            path: Path = ("functions", name)
            function = Function(*self._split(name, path))
            if isinstance(said, str):
                found[function] = MappedFunction(harmless=True)
            else:
                found[function] = self._function(said, path, relations, spaces)
        return found

    def _function(
        self,
        said: FunctionData,
        path: Path,
        relations: Mapping[Relation, _Columns],
        spaces: frozenset[str],
    ) -> MappedFunction:
        ways = (said.subject_argument, said.columns, said.columns_of)
        if sum(way is not None for way in ways) != 1:
            self._complain(path, "expected one of subject_argument, columns, columns_of")
            return MappedFunction()
        if said.subject_argument is not None:
            if said.key not in spaces:
                hint = suggest(said.key or "", spaces)
                self._complain(path, f"key space '{said.key or ''}' of no column, {hint}")
            return MappedFunction(subject_argument=said.subject_argument, key_space=said.key)
        if said.key is not None:
            self._complain((*path, "key"), "'key' without subject_argument")
        if said.columns is not None:
            columns = self._columns(said.columns, (*path, "columns"))
        else:
            named = said.columns_of or ""
            schema, _, bare = named.partition(".")
            columns = relations.get(Relation(schema, bare), {})
            if not columns:
                hint = suggest(named, map(str, relations))
                self._complain((*path, "columns_of"), f"unknown relation '{named}', {hint}")
        classes = {name: column_class for name, (column_class, _) in columns.items()}
        keys = {name: key for name, (_, key) in columns.items() if key is not None}
        return MappedFunction(columns=classes, keys=keys)
