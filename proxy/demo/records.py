"""What the laboratory did for its patients: orders, samples, results, invoices, comments.

Four in ten patients have an order of the last three years (three results each), two in ten a
result in the archive. Everything agrees with the patient: PSA for men, hCG for women of the age.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from proxy.demo import analyses
from proxy.demo.people import DOCTORS

if TYPE_CHECKING:
    from datetime import date

    from proxy.demo.people import People

STAFF: Final = 40
BIOLOGISTS: Final = 10
DAYS_BACK: Final = 1095
ORDERS_TODAY: Final = 40  # at least, if there are that many orders
UNPAID_DAYS: Final = 60
RESULTS_PER_ORDER: Final = 5  # at most: a result's number is 5 times its order's, and more
URGENT_FROM: Final = 100_000_000
_ROLES: Final = ("secretary", "biologist", "billing", "technician")
_COMMENTS: Final = (
    ("Anemie ferriprive, contrôle de la ferritine a 3 mois", "D50"),
    ("Diabete de type 2 desequilibre", "E11"),
    ("Suivi de carcinome mammaire, traitement en cours", "C50"),
    ("Serologie VIH positive connue, charge virale indetectable", "B24"),
    ("Hypothyroidie sous levothyrox", "E03"),
    ("Leucemie lymphoide chronique", "C91"),
    ("Insuffisance renale chronique stade 3", "N18"),
)


class Records:
    """Makes the rows that belong to patients already made.

    Args:
        people: the patients; ``count`` of them will exist.
        seed, today: as for ``People``.
    """

    def __init__(self, people: People, count: int, seed: int, today: date) -> None:
        chance = random.Random(seed + 1)  # noqa: S311 - the point is to get the same again
        self.orders = count * 2 // 5
        self.archived = count // 5
        self.comments = count // 20
        self.urgent = min(2000, count // 50)
        self.audited = min(2000, count // 10)
        self._people, self._count, self._today, self._chance = people, count, today, chance
        self._days = [self._day(n) for n in range(DAYS_BACK + 1)]
        self._panels = [analyses.values(panel, chance) for panel in analyses.PANELS]
        self._prices = ["\t".join(reversed(analyses.price(panel))) for panel in analyses.PANELS]
        self._choices: dict[tuple[int, int], list[int]] = {}

    def block(self, first: int, last: int) -> dict[str, str]:
        """Return the rows of orders ``first`` to ``last`` by table; call in order."""
        bits, people, today = self._chance.getrandbits, self._people, self._today.year
        orders, samples, results, invoices = [], [], [], []
        for number in range(first, last + 1):
            r = bits(96)
            patient = 1 + (r & 0xFFFFFFFF) % self._count
            back = (r >> 32 & 0xFFFF) * (r >> 48 & 0xFFFF) * DAYS_BACK >> 32  # more of the recent
            day, month, unpaid = self._days[0 if number <= ORDERS_TODAY else back]
            choices = self._panels_for(people.female[patient], today - people.births[patient])
            which = choices[(r >> 64 & 255) % len(choices)]
            panel = analyses.PANELS[which]
            doctor, minute, urgent = 1 + (r >> 72 & 4095) % DOCTORS, r >> 84 & 127, r >> 91 == 0
            at = f"{day} {7 + minute // 32:02d}:{minute % 60:02d}"
            fresh = number <= ORDERS_TODAY or back == 0
            orders.append(f"{number}\t{patient}\t{doctor}\t{day}\t{panel.reason}\t{'ft'[urgent]}\n")
            samples.append(
                f"{number}\t{number}\t{patient}\tBC{number:010d}\t{panel.sample}\t{at}\t"
                f"{day} 12:00\t{'received' if fresh else 'closed'}\n"
            )
            end = f"to_validate\t{1 + number % STAFF}\t\\N\t\\N\n"
            if not fresh:
                biologist, validated = 1 + number % BIOLOGISTS, f"{day} 17:{minute % 60:02d}"
                end = f"validated\t{1 + number % STAFF}\t{biologist}\t{validated}\n"
            identity = number * RESULTS_PER_ORDER
            for fields in self._panels[which][r >> 88]:
                results.append(f"{identity}\t{patient}\t{number}\t{fields}\t{end}")
                identity += 1
            invoices.append(
                f"{number}\t{patient}\t{number}\t{month}\t{self._prices[which]}\t"
                f"{('CPAM56', 'CPAM35', 'CPAM29', 'MGEN')[number & 3]}\t{unpaid}\n"
            )
        return {
            "prescription": "".join(orders),
            "echantillon": "".join(samples),
            "resultat": "".join(results),
            "facture": "".join(invoices),
        }

    def rest(self) -> dict[str, str]:
        """Return the rows of the small tables and of the archive, by table."""
        return {
            "commentaire_pathologie": self._comment_rows(),
            "resultat_archive": self._archive_rows(),
            "resultat_urgent": self._urgent_rows(),
            "audit": self._audit_rows(),
            "qc_mesure": self._quality_rows(),
        }

    def _panels_for(self, female: int, age: int) -> list[int]:
        found = self._choices.get((female, age))
        if found is None:
            sex = "F" if female else "M"
            found = self._choices[female, age] = [
                which
                for which, panel in enumerate(analyses.PANELS)
                if panel.sex in {"", sex} and panel.ages[0] <= age <= panel.ages[1]
                for _ in range(panel.share)
            ]
        return found

    def _day(self, back: int) -> tuple[str, str, str]:
        day = self._today - timedelta(days=back)
        return str(day), str(day.replace(day=1)), "payee" if back > UNPAID_DAYS else "a_emettre"

    def _any_patient(self) -> int:
        return 1 + self._chance.getrandbits(32) % self._count

    def _comment_rows(self) -> str:
        lines = []
        for number in range(1, self.comments + 1):
            text, code = _COMMENTS[self._chance.getrandbits(16) % len(_COMMENTS)]
            day = self._days[number % DAYS_BACK][0]
            patient = self._any_patient()
            author = 1 + number % BIOLOGISTS
            lines.append(
                f"{number}\t{patient}\t{author}\t{text} (dossier {number})\t{code}\t{day}\n"
            )
        return "".join(lines)

    def _archive_rows(self) -> str:
        first = self._today.replace(year=2019, month=1, day=1)
        days = [str(first + timedelta(days=n)) for n in range(1400)]
        bits, count = self._chance.getrandbits, self._count
        lines = []
        for number in range(1, self.archived + 1):
            r = bits(48)
            value = 11.5 + (r >> 32 & 63) / 10
            day = days[(r >> 38) % 1400]
            lines.append(
                f"{number}\t{1 + (r & 0xFFFFFFFF) % count}\t718-7\t{value:.1f}\tg/dL\t{day} 17:00\n"
            )
        return "".join(lines)

    def _urgent_rows(self) -> str:
        lines = []
        for number in range(1, self.urgent + 1):
            patient, value = self._any_patient(), 20 + number % 180
            day = self._days[number % 90][0]
            lines.append(
                f"{URGENT_FROM + number}\t{patient}\t\\N\t1988-5\t{value}\t\\N\tmg/L\t0\t5\tH\t"
                f"validated\t1\t1\t{day} {number % 24:02d}:10\tsamu\n"
            )
        return "".join(lines)

    def _audit_rows(self) -> str:
        lines = []
        for number in range(1, self.audited + 1):
            patient = self._any_patient()
            day = self._days[number % 30][0]
            detail = f'{{"dossier": {patient}, "nir": "{self._people.keys[patient]}"}}'
            lines.append(
                f"{day} 09:{number % 60:02d}\tlims_app\tconsultation\t{patient}\t{detail}\n"
            )
        return "".join(lines)

    def _quality_rows(self) -> str:
        machines = (
            ("XN1000", "718-7", 13.5, 0.2),
            ("COBAS", "2345-7", 0.95, 0.02),
            ("ARCHITECT", "3016-3", 2.1, 0.1),
        )
        lines = []
        for number in range(1, min(3000, self._count) + 1):
            machine, code, target, deviation = machines[number % 3]
            value = self._chance.gauss(target, deviation)
            day = self._days[number // 24 % DAYS_BACK][0]
            lines.append(
                f"{number}\t{machine}\t{code}\t{1 + number % 3}\t{value:.3f}\t{target}\t"
                f"{deviation}\t{day} {number % 24:02d}:00\n"
            )
        return "".join(lines)


def staff_rows() -> str:
    """Return the rows of ``lab.app_user``; the hashes are of nothing."""
    return "".join(
        f"{n}\tu{n}\t{_ROLES[n % len(_ROLES)]}\tAgent {n}\tsynthetic-{n:032x}\tt\n"
        for n in range(1, STAFF + 1)
    )
