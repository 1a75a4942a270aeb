"""The leak bound: random statements in random sessions, and the sequences that once broke it.

``make prove`` runs as many sequences as it is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.prove import laboratory as prove
from tests.prove.conversation import Elsewhere, Extended, Sent, converse
from tests.prove.machine import Ground, machine_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.prove.laboratory import KeptVigie, PlantedLaboratory

pytestmark = pytest.mark.integration

SEQUENCES = 40
SETTINGS = settings(
    max_examples=SEQUENCES,
    stateful_step_count=15,
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def planted() -> Iterator[PlantedLaboratory]:
    """The laboratory whose patients carry marks."""
    with prove.opened() as opened:
        yield opened


@pytest.fixture(scope="module")
def vigie(planted: PlantedLaboratory) -> Iterator[KeptVigie]:
    """A Vigie that refuses no shape of statement: the budgets alone stand in the way."""
    with prove.running_vigie(planted.laboratory) as running:
        yield running


def test_no_sequence_gets_more_than_its_budget(
    planted: PlantedLaboratory, vigie: KeptVigie
) -> None:
    """Whatever is sent, in whatever pieces, over whatever sessions."""
    ground = Ground(planted, vigie)

    run_state_machine_as_test(machine_on(ground), settings=SETTINGS)

    assert ground.counts["statements"] > SEQUENCES
    assert ground.counts["budgets spent"] > 0


def test_without_vigie_the_machine_finds_a_leak(planted: PlantedLaboratory) -> None:
    """The same sequences sent directly break the bound: the test can fail."""
    ground = Ground(planted, None)
    unshrunk = settings(SETTINGS, phases=[Phase.generate])

    with pytest.raises(AssertionError, match=r"received \d+"):
        run_state_machine_as_test(machine_on(ground), settings=unshrunk)


def test_no_sequence_gets_a_value_that_is_masked(planted: PlantedLaboratory) -> None:
    """No rule and no budget stands in the way of somebody to whom every patient is masked."""
    with prove.running_vigie(planted.laboratory, masks="whole") as vigie:
        ground = Ground(planted, vigie, most=0)

        run_state_machine_as_test(machine_on(ground), settings=SETTINGS)

    assert ground.counts["rows"] > SEQUENCES


# Each was found by the machine, and names what was wrong.
COUNTEREXAMPLES: dict[str, list[Sent]] = {
    "rows of a function of the schema map were free": [
        Extended("select a.* from lab.f_inline('1900-01-01') a where a.id = $1", ("910049",)),
        "select nir from lab.patient",
    ],
    "health values beside a key that was computed were no patient's": [
        "select value_text, patient_id::text from lab.resultat",
    ],
    "a key was forgotten in a union with health values": [
        """select renseignements, patient_id::text from lab.prescription
           union select analyse_code, length(flag)::text from lab.resultat""",
    ],
    "identities in a column that nobody counts": [
        "insert into lab.audit (action, patient_id) select nir, id from lab.patient",
        "select action from lab.audit",
    ],
    "another patient's identity in one's own row": [
        f"update lab.patient set address = (select nir from lab.patient where id = {number})"
        " where id = 910007; select * from lab.patient where id = 910007"
        for number in range(910_014, 910_084, 7)
    ],
    "a birth date was forgotten in a union with health values": [
        "select birth_date::text from lab.patient union select flag from lab.resultat",
    ],
}


@pytest.mark.parametrize("sent", COUNTEREXAMPLES.values(), ids=COUNTEREXAMPLES.keys())
def test_a_sequence_that_once_leaked(
    sent: list[Sent], planted: PlantedLaboratory, vigie: KeptVigie
) -> None:
    """It stays within the budget, and directly it would not."""
    direct = converse(planted, planted.laboratory.port, sent)
    planted.restore()

    through = converse(planted, vigie.port, sent)
    planted.restore()

    assert len(direct.patients) > prove.BUDGET
    assert len(through.patients) <= prove.BUDGET


FORMS = """
    nir
    last_name
    birth_date
    phone
    upper(email)
    reverse(nir)
    reverse(last_name)
    md5(nir)
    encode(nir::bytea, 'hex')
    encode(convert_to(address, 'UTF8'), 'base64')
    convert_to(city, 'UTF8')
    to_jsonb(p)
    nir::bigint
    nir::numeric
    array[nir, nir]
    (select texte from lab.commentaire_pathologie c where c.patient_id = p.id limit 1), id
"""


@pytest.mark.parametrize("form", [line.strip() for line in FORMS.strip().splitlines()])
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_the_oracle_reads_every_form(form: str, binary: bool, planted: PlantedLaboratory) -> None:
    """One patient, in the forms that the grammar makes of a value."""
    sent = Extended(f"select {form} from lab.patient p where id = 910014", binary=binary)

    books = converse(planted, planted.laboratory.port, [sent])

    assert books.patients == {1}


def test_the_oracle_does_not_see_what_is_not_there(planted: PlantedLaboratory) -> None:
    """Keys alone, health values alone and what many have are nobody's."""
    sent: list[Sent] = [
        "select id, sex, postcode, medecin_id from lab.patient",
        "select texte, cim10 from lab.commentaire_pathologie",
        Elsewhere("select count(*), max(length(nir)) from lab.patient"),
    ]

    books = converse(planted, planted.laboratory.port, sent)

    assert books.patients == set()
    assert books.rows > prove.PATIENTS
