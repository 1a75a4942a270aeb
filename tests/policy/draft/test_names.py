"""What a column's name says, however it is written."""

from __future__ import annotations

import pytest

from proxy.policy.draft.names import (
    Meaning,
    is_of_others,
    meaning_of,
    names_staff,
    names_subject,
    words_of,
)

TOLD = {
    Meaning.NIR: ["nir", "NUM_SS", "numSecu", "no_ss", "Numéro_SS", "NUMEROSS", "patient_nir"],
    Meaning.LAST_NAME: ["nom", "NOM_NAIS", "nomDeNaissance", "nom_jf", "lastName", "family_name"],
    Meaning.FIRST_NAME: ["Prénom", "PRENOM1", "PRN1", "givenNames", "first_name"],
    Meaning.BIRTH_DATE: ["DDN", "date_naissance", "dateNaissance", "DT_NAIS", "dob", "né_le"],
    Meaning.PHONE: ["TEL_DOM", "telephonePortable", "mobile", "phone2"],
    Meaning.EMAIL: ["e_mail", "courriel", "MEL", "contact_email"],
    Meaning.ADDRESS: ["ADR1", "adresse", "homeAddress"],
    Meaning.POSTCODE: ["CP", "CODPOST", "code_postal", "zip"],
    Meaning.SEX: ["SEXE", "gender", "CIV"],
    Meaning.HEALTH: ["valeur_num", "CODE_ANALYSE", "icd10Code", "renseignements"],
    Meaning.RPPS: ["NUM_RPPS", "adeli"],
}
NOTHING = ["id", "created_at", "montant", "statut", "barcode", "unit", "ref_low", "niveau", ""]


@pytest.mark.parametrize(
    ("name", "meaning"), [(name, meaning) for meaning, all_ in TOLD.items() for name in all_]
)
def test_a_name_tells(name: str, meaning: Meaning) -> None:
    """French or English, with accents, cut short, in capitals or camelCase."""
    found = meaning_of(name)

    assert found is not None
    assert found[0] is meaning


@pytest.mark.parametrize("name", NOTHING)
def test_a_name_that_tells_nothing(name: str) -> None:
    """What any table has is nothing of a patient."""
    assert meaning_of(name) is None


def test_whose_it_is() -> None:
    """A table of doctors is no table of patients, and a doctor's name no patient's."""
    assert [names_subject(one) for one in ("T_PAT", "patients", "T_MED")] == [True, True, False]
    assert [names_staff(one) for one in ("T_MED", "app_user", "T_PAT")] == [True, True, False]
    assert [is_of_others(one) for one in ("nom_medecin", "nom", "nom_patient")] == [
        True,
        False,
        False,
    ]


def test_words_of_a_name() -> None:
    """Capitals, underscores and accents part a name; a number at the end says nothing."""
    assert words_of("DateNaissancePatient2") == ("date", "naissance", "patient")
    assert words_of("NOM_NÉE") == ("nom", "nee")
