"""What the laboratory measures: analyses with LOINC and NABM codes, and the panels ordered.

Values lie about the reference ranges, about one in seven outside; those of one panel agree with
each other (a low haemoglobin has a low haematocrit).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

HCG: Final = "19080-1"
INSTANCES: Final = 256  # made of each panel, then drawn from
_LETTER_B: Final = 0.25  # euros of a coefficient


@dataclass(frozen=True, slots=True)
class Analysis:
    """One entry of the catalogue; without range it is qualitative."""

    code: str  # LOINC
    label: str
    unit: str
    low: float | None
    high: float | None
    act: str  # NABM
    coefficient: int


@dataclass(frozen=True, slots=True)
class Panel:
    """What is ordered together, and for whom."""

    codes: tuple[str, ...]
    reason: str
    sample: str = "sang"
    sex: str = ""  # empty: both
    ages: tuple[int, int] = (0, 120)
    share: int = 1


_ROWS: Final = """
718-7|Hemoglobine|g/dL|12|16|1104|27
4544-3|Hematocrite|%|36|46|1104|27
6690-2|Leucocytes|10*9/L|4|10|1104|27
777-3|Plaquettes|10*9/L|150|400|1104|27
2345-7|Glucose|g/L|0.7|1.1|0552|5
4548-4|HbA1c|%|4|6|1577|28
2160-0|Creatinine|mg/L|6|12|0592|7
2093-3|Cholesterol total|g/L|1.4|2.4|0585|7
2571-8|Triglycerides|g/L|0.4|1.5|0590|7
1742-6|ALAT|U/L|5|40|0522|7
1920-8|ASAT|U/L|5|40|0516|7
3016-3|TSH|mUI/L|0.4|4|1208|27
2857-1|PSA|ng/mL|0|4|7318|43
1988-5|CRP|mg/L|0|5|1804|9
94500-6|SARS-CoV-2 PCR||||5271|85
75622-1|HIV 1+2 Ag+Ab||||0388|52
5196-1|HBs Ag||||0322|65
19080-1|hCG|UI/L|0|5|7402|55
2276-4|Ferritine|ng/mL|20|300|0888|38
30522-7|CRP us|mg/L|0|3|1804|9
"""

PANELS: Final = (
    Panel(("718-7", "4544-3", "6690-2", "777-3"), r"\N", share=5),
    Panel(("718-7", "4544-3", "2276-4"), "suspicion anemie", share=2),
    Panel(("2345-7", "4548-4", "2160-0"), "suivi diabete", ages=(25, 120), share=3),
    Panel(("2093-3", "2571-8", "2345-7"), r"\N", ages=(25, 120), share=3),
    Panel(("1742-6", "1920-8", "1988-5"), r"\N", share=2),
    Panel(("3016-3",), "suivi levothyrox", ages=(18, 120), share=2),
    Panel(("2857-1", "2160-0"), r"\N", sex="M", ages=(50, 120), share=3),
    Panel(("19080-1", "718-7"), "grossesse", sex="F", ages=(15, 49), share=3),
    Panel(("94500-6",), "contact", sample="naso-pharynge", share=2),
    Panel(("75622-1", "5196-1"), "depistage", ages=(16, 80), share=1),
    Panel(("718-7", "6690-2", "777-3", "2160-0", "1988-5"), "suivi oncologique", ages=(30, 120)),
)
_POSITIVE: Final = {"94500-6": 0.12, "75622-1": 0.004, "5196-1": 0.006}


def catalogue() -> dict[str, Analysis]:
    """Return the analyses by LOINC code."""
    found = {}
    for line in _ROWS.split("\n")[1:-1]:
        code, label, unit, low, high, act, coefficient = line.split("|")
        low_value, high_value = (float(low), float(high)) if unit else (None, None)
        found[code] = Analysis(code, label, unit, low_value, high_value, act, int(coefficient))
    return found


def catalogue_rows() -> str:
    """Return the rows of ``lab.analyse`` in COPY's text format."""
    lines = [line.split("|") for line in _ROWS.split("\n")[1:-1]]
    return "".join("\t".join(field or r"\N" for field in line) + "\n" for line in lines)


def price(panel: Panel) -> tuple[str, str]:
    """Return the acts of a panel as an array literal, and its price in euros."""
    known = catalogue()
    acts = {known[code].act: known[code] for code in panel.codes}
    cost = 5.0 + sum(analysis.coefficient for analysis in acts.values()) * _LETTER_B
    return "{" + ",".join(acts) + "}", f"{cost:.2f}"


def values(panel: Panel, chance: random.Random) -> list[tuple[str, ...]]:
    """Return ``INSTANCES`` of a panel, each the fields of ``lab.resultat`` from code to flag."""
    of = [catalogue()[code] for code in panel.codes]
    made = []
    for _ in range(INSTANCES):
        severity = chance.gauss(0, 1)  # one patient, one state of health
        made.append(tuple(_value(analysis, severity, chance) for analysis in of))
    return made


def _value(analysis: Analysis, severity: float, chance: random.Random) -> str:
    if analysis.low is None or analysis.high is None:
        found = "positif" if chance.uniform(0, 1) < _POSITIVE[analysis.code] else "negatif"
        return f"{analysis.code}\t\\N\t{found}\t\\N\t\\N\t\\N\t\\N"
    low, high = analysis.low, analysis.high
    if analysis.code == HCG and severity > 0:
        value = 500 * chance.expovariate(0.02)  # pregnant
    elif low == 0:  # what is nearly absent in health
        value = chance.expovariate(1.9 / high)
    else:
        deviation = 0.8 * severity + 0.6 * chance.gauss(0, 1)
        value = max(low / 4, (low + high) / 2 + deviation * (high - low) / 2.9)
    digits = 0 if high >= 100 else 2 if high < 10 else 1  # noqa: PLR2004 - as printed on reports
    shown = f"{value:.{digits}f}"
    flag = "H" if float(shown) > high else "L" if float(shown) < low else "N"
    return f"{analysis.code}\t{shown}\t\\N\t{analysis.unit}\t{low:g}\t{high:g}\t{flag}"
