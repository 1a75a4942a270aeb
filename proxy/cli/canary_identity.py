"""An invented patient whose values agree with each other, and are nobody else's.

NIR, sex and birth date say the same; the phone number is of a block that the French regulator
keeps for fiction, the e-mail address of a domain kept for examples. The family name is made of
syllables that no known name is made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from proxy.demo import names
from proxy.demo.nir import nir_key
from proxy.demo.people import plain

if TYPE_CHECKING:
    import random

_BEGIN: Final = ("Bras", "Calv", "Drog", "Ferv", "Grin", "Jost", "Lanv", "Morv", "Pleg", "Trev")
_MIDDLE: Final = ("ade", "embi", "iru", "oli", "ouda", "uvi", "ansi", "erlo", "ingo", "astu")
_END: Final = ("bressac", "coulan", "drival", "fontec", "guelen", "magnol", "quival", "rostan")
_PHONES: Final = ("0639980", "0639981", "0639982")
# What a column is called, in French and English, and which value it takes.
_NAMES: Final = {
    "nir": ("nir", "insee", "ssn", "num_secu", "numero_secu", "ins", "matricule_ins"),
    "last_name": ("last_name", "lastname", "nom", "surname", "family_name", "nom_naissance"),
    "first_name": ("first_name", "firstname", "prenom", "given_name"),
    "birth_date": ("birth_date", "birthdate", "date_naissance", "dob", "ddn", "naissance"),
    "sex": ("sex", "sexe", "gender"),
    "address": ("address", "adresse", "street", "rue", "adresse1"),
    "postcode": ("postcode", "code_postal", "zip", "cp", "postal_code"),
    "city": ("city", "ville", "commune", "town"),
    "phone": ("phone", "telephone", "tel", "mobile", "portable"),
    "email": ("email", "mail", "courriel", "e_mail"),
}
_VALUE_OF: Final = {name: value for value, called in _NAMES.items() for name in called}
# Those of which one names the canary; a first name or a street is also somebody else's.
_MARKING: Final = ("nir", "last_name", "phone", "email")


@dataclass(frozen=True, slots=True)
class Identity:
    """The values, by what they are: ``nir``, ``last_name``, ``birth_date``, ..."""

    values: dict[str, str | date]

    def value_for(self, column: str) -> str | date | None:
        """Return the value for a column of this name; None: it is called otherwise."""
        return self.values.get(_VALUE_OF.get(column.lower(), ""))

    def marks_in(self, columns: frozenset[str]) -> tuple[str, ...]:
        """Return the values that name it alone, of those that these columns hold."""
        held = {_VALUE_OF.get(column.lower()) for column in columns}
        return tuple(str(self.values[name]) for name in _MARKING if name in held)


def invent(chance: random.Random, today: date) -> Identity:
    """Return one more identity. ``chance``: an unpredictable one, or it could be guessed."""
    woman = bool(chance.getrandbits(1))
    year = today.year - chance.randrange(25, 85)
    month, day = chance.randrange(1, 13), chance.randrange(1, 29)
    places = [(place, highest) for place, highest, _ in names.BIRTHPLACES if place.isdigit()]
    department, highest = chance.choice(places)
    commune = f"{department}{chance.randrange(1, highest + 1):0{5 - len(department)}d}"
    body = f"{2 if woman else 1}{year % 100:02d}{month:02d}{commune}{chance.randrange(700, 999)}"
    last_name = "".join(chance.choice(part) for part in (_BEGIN, _MIDDLE, _END))
    first_name = chance.choice(names.FIRST_NAMES[names.generation(year)][not woman])
    code, town = chance.choice(names.TOWNS)
    return Identity(
        {
            "nir": body + nir_key(body),
            "last_name": last_name.upper(),
            "first_name": first_name,
            "birth_date": date(year, month, day),
            "sex": "F" if woman else "M",
            "address": f"{chance.randrange(1, 120)} {chance.choice(names.STREETS)}",
            "postcode": code,
            "city": town,
            "phone": f"{chance.choice(_PHONES)}{chance.randrange(1000):03d}",
            "email": f"{plain(first_name)}.{plain(last_name)}@example.test",
        }
    )
