"""Synthetic patients and prescribers, as lines of COPY's text format.

Each row is made by looking up small tables with the bits of one random number, which is what
lets 491,840 of them be made in seconds. The NIR says what the row says: sex, year and month of
birth; its department is one of a Breton lab's patients; its key is right.

Phone numbers are of the blocks the French regulator keeps for fiction; the e-mail domain is
reserved for examples.
"""

from __future__ import annotations

import random
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from proxy.demo import names
from proxy.demo.nir import luhn_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

T = TypeVar("T")
DOCTORS: Final = 300
OLDEST: Final = 97  # years
ADULT: Final = 18
WOMEN: Final = 134  # of 256: women have more blood tests
CORSICA_SPLIT: Final = 1976  # born there before: department 20, without a letter
SPECIALITIES: Final = ("generaliste", "gynecologue", "cardiologue", "oncologue", "pediatre")
_FICTION: Final = ("0639980", "0639981", "0639982", "0261910")


@dataclass(frozen=True, slots=True)
class Birthplace:
    """A department: ``start`` plus 1 to ``communes`` is its five digits in a NIR."""

    start: int
    communes: int
    letters: str = ""


class People:
    """Makes patients in order, and keeps of each what the other tables have to agree with.

    ``female``, ``births`` (year) and ``keys`` (NIR) are by id, which starts at 1.

    Args:
        seed: the same seed and day give the same patients, however they are cut into blocks.
        today: the day on which the laboratory's data ends.
    """

    def __init__(self, seed: int, today: date) -> None:
        self.female = bytearray(1)
        self.births = [0]
        self.keys = [""]
        self._random = random.Random(seed)  # noqa: S311 - the point is to get the same again
        self._taken: set[int] = set()
        self._today = today
        self._years = self._birth_years()
        self._days = _days()
        self._places = _places()
        self._last_names = _pairs(names.LAST_NAMES, 256)
        self._first_names = [
            [_pairs(sex, 16) for sex in generation] for generation in names.FIRST_NAMES
        ]
        self._towns = _spread([f"{code}\t{town}" for code, town in names.TOWNS], 64)
        self._insurers = _spread(names.INSURERS, 8)
        self._created = [str(today - timedelta(days=30 + 7 * n % 330)) for n in range(1024)]

    def block(self, first: int, last: int) -> str:
        """Return the rows of patients ``first`` to ``last``, both included; call in order."""
        bits, taken, lines = self._random.getrandbits, self._taken, []
        for number in range(first, last + 1):
            r = bits(120)
            woman = (r & 255) < WOMEN
            year, generation = self._years[r >> 8 & 1023]
            month, day = self._days[r >> 18 & 511]
            place = self._places[r >> 27 & 255]
            base = ((200 if woman else 100) + year % 100) * 100 + month
            start = 20_000 if place.letters and year < CORSICA_SPLIT else place.start
            base = base * 100_000 + start + 1 + (r >> 35 & 1023) % place.communes
            order = 1 + (r >> 45 & 1023) % 999
            while (body := base * 1000 + order) in taken:
                order = 1 + order % 999
            taken.add(body)
            nir = f"{body}{97 - body % 97:02d}"
            if place.letters and year >= CORSICA_SPLIT:
                nir = f"{nir[:5]}{place.letters}{nir[7:]}"
            last_name, plain_last = self._last_names[r >> 55 & 255]
            first_name, plain_first = self._first_names[generation][not woman][r >> 63 & 15]
            lines.append(
                f"{number}\t{nir}\t{last_name}\t{first_name}\t{year}-{day}\t"
                f"{'F' if woman else 'M'}\t{1 + (r >> 67 & 127)} {names.STREETS[r >> 74 & 31]}\t"
                f"{self._towns[r >> 79 & 63]}\t"
                f"{_FICTION[r >> 85 & 3]}{(r >> 87 & 4095) % 1000:03d}\t"
                f"{plain_first}.{plain_last}{number}@example.test\t{self._insurers[r >> 101 & 7]}\t"
                f"{1 + (r >> 104 & 16383) % DOCTORS}\t{self._created[number & 1023]}\n"
            )
            self.female.append(woman)
            self.births.append(year)
            self.keys.append(nir)
        return "".join(lines)

    def doctors(self) -> str:
        """Return the rows of the prescribers, each with the Luhn key its RPPS number needs."""
        lines = []
        for number in range(1, DOCTORS + 1):
            rpps = f"10{(number * 317_351 + 5_173_00) % 100_000_000:08d}"
            last_name, _ = self._last_names[number * 37 % 256]
            first_name, _ = self._first_names[1 + number % 2][number % 2][number % 16]
            town = self._towns[number % 64].split("\t")[1]
            speciality = SPECIALITIES[0 if number % 3 else number // 3 % len(SPECIALITIES)]
            lines.append(
                f"{number}\t{rpps}{luhn_key(rpps)}\t{last_name}\t{first_name}\t{speciality}\t"
                f"{town}\t{_FICTION[3]}{number:03d}\tdr{number}@example.test\n"
            )
        return "".join(lines)

    def _birth_years(self) -> list[tuple[int, int]]:
        # A laboratory's patients: few children, many of the old, who come often.
        ages = [age for age in range(1, OLDEST) for _ in range(2 if age < ADULT else 4)]
        ages += [age for age in range(25, 45) for _ in range(3)]  # pregnancies
        ages += [age for age in range(55, 85) for _ in range(9)]
        chosen = self._random.choices(ages, k=1024)
        years = [self._today.year - age for age in chosen]
        return [(year, names.generation(year)) for year in years]


def plain(name: str) -> str:
    """Return a name as it stands in an e-mail address: ``Maëlle`` gives ``maelle``."""
    letters = unicodedata.normalize("NFD", name.lower())
    return "".join(letter for letter in letters if letter.isascii() and letter.isalpha())


def _pairs(of: Sequence[str], size: int) -> list[tuple[str, str]]:
    shown = [name.replace("\v", " ") for name in of]
    return _spread([(name, plain(name)) for name in shown], size)


def _spread(of: Sequence[T], size: int) -> list[T]:
    """Repeat values to a table of ``size``, a power of two that bits can index."""
    return [of[n % len(of)] for n in range(size)]


def _days() -> list[tuple[int, str]]:
    longest = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    days = [
        (month, f"{month:02d}-{day:02d}")
        for month, length in enumerate(longest, 1)
        for day in range(1, length + 1)
    ]
    return _spread([days[n * 107 % len(days)] for n in range(512)], 512)


def _places() -> list[Birthplace]:
    places = []
    for department, communes, weight in names.BIRTHPLACES:
        if department in {"2A", "2B"}:  # counted as 19 and 18 by the key's rule
            place = Birthplace((19 if department == "2A" else 18) * 1000, communes, department)
        elif len(department) == 3:  # noqa: PLR2004 - overseas: two digits are left for the commune
            place = Birthplace(int(department) * 100, communes)
        else:
            place = Birthplace(int(department) * 1000, communes)
        places += [place] * weight
    return _spread(places, 256)
