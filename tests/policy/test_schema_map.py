"""The schema map of a site."""

from __future__ import annotations

import pytest

from proxy.errors import ConfigurationError
from proxy.policy import Policy, load_policy
from proxy.terms.column_class import ColumnClass
from proxy.terms.relation import Column, Function, Relation
from proxy.terms.schema_map import MappedFunction
from tests.policy.texts import TODAY, WHOLE

PATIENT = Relation("lab", "patient")
WHOLE_MAP = """format: 1
schema_map:
  subject: patient
  bytes_per_subject: 4
  relations:
    lab.patient:
      columns:
        id: {class: key, key: patient.id}
        nir: {class: identity, key: patient.nir}
        sex: quasi
    lab.stats: {columns: {n: none}}
  functions:
    lab.age: harmless
    lab.file: {subject_argument: 1, key: patient.id}
    lab.search: {columns: {nir: {class: identity, key: patient.nir}, sex: quasi}}
    lab.all: {columns_of: lab.patient}
"""


def load(text: str) -> Policy:
    return load_policy({"base/a.yaml": WHOLE["base/a.yaml"], "site/s.yaml": text}, today=TODAY)


def test_a_whole_map() -> None:
    """Classes, keys and functions come out as they were written."""
    found = load(WHOLE_MAP).schema_map

    keys = {"id": "patient.id", "nir": "patient.nir"}
    classes = {"id": ColumnClass.KEY, "nir": ColumnClass.IDENTITY, "sex": ColumnClass.QUASI}
    assert found.subject_relations == {PATIENT}
    assert found.bytes_per_subject == 4
    assert found.keys == {Column(PATIENT, name): space for name, space in keys.items()}
    assert found.classes == {
        **{Column(PATIENT, name): column_class for name, column_class in classes.items()},
        Column(Relation("lab", "stats"), "n"): ColumnClass.NONE,
    }
    assert found.functions == {
        Function("lab", "age"): MappedFunction(harmless=True),
        Function("lab", "file"): MappedFunction(subject_argument=1, key_space="patient.id"),
        Function("lab", "search"): MappedFunction(
            columns={"nir": ColumnClass.IDENTITY, "sex": ColumnClass.QUASI},
            keys={"nir": "patient.nir"},
        ),
        Function("lab", "all"): MappedFunction(columns=classes, keys=keys),
    }


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("sex: quasi\n    lab.st", "sex: key\n    lab.st", "10:14: key 'sex' has no key space"),
        ("sex: quasi\n", "sex: quassi\n", "10:14: 'sex' is 'quassi', did you mean 'quasi'?"),
        (
            "id: {class: key, key: patient.id}",
            "id: {class: key}",
            "8:9: key 'id' has no key space, expected key: ...",
        ),
        ("{class: key, key: patient.id}", "{key: patient.id}", "8:13: 'class' is missing"),
        (
            "class: key, key: patient.id}",
            "class: key, kee: patient.id}",
            "8:26: unknown key 'kee', did you mean 'key'?",
        ),
        (
            "{n: none}",
            "{n: {class: none, key: a.b}}",
            "11:27: 'n' is a key, expected another class than none",
        ),
        ("lab.stats:", "stats:", "11:5: name 'stats', expected schema.name"),
        ("lab.age:", "lab.a.b:", "13:5: name 'lab.a.b', expected schema.name"),
        ("harmless", "harmles", "13:14: 'lab.age' is 'harmles', did you mean 'harmless'?"),
        (
            "argument: 1, key: patient.id",
            "argument: 1, key: patient.idd",
            "14:5: key space 'patient.idd' of no column, did you mean 'patient.id'?",
        ),
        (
            "{columns_of: lab.patient}",
            "{columns_of: lab.patent}",
            "16:15: unknown relation 'lab.patent', did you mean 'lab.patient'?",
        ),
        (
            "{columns_of: lab.patient}",
            "{}",
            "16:5: expected one of subject_argument, columns, columns_of",
        ),
        (
            "{columns_of: lab.patient}",
            "{columns_of: lab.patient, key: patient.id}",
            "16:40: 'key' without subject_argument",
        ),
        (
            "bytes_per_subject: 4",
            "bytes_per_subject: 0",
            "4:22: 'bytes_per_subject' is 0, expected at least 1",
        ),
    ],
)
def test_wrong_maps(old: str, new: str, problem: str) -> None:
    """What a map gets wrong is said with its place."""
    assert old in WHOLE_MAP

    with pytest.raises(ConfigurationError) as caught:
        load(WHOLE_MAP.replace(old, new, 1))

    assert f"site/s.yaml:{problem}" in caught.value.problems
