"""A small policy that loads, and a short way to policies that differ from it."""

from __future__ import annotations

from datetime import date
from typing import Final

from proxy.policy import Policy, load_policy

TODAY: Final = date(2026, 11, 24)
RULE: Final = """
  - id: EX101
    title: Whole read
    severity: high
    when: {subject_filter: {is: none}}
    action: block
    explain: reads every row of {relations}
    why: because
"""
BUDGET: Final = """
budgets:
  - id: EX201
    title: Subjects
    severity: critical
    measure: distinct_subjects
    window_seconds: 3600
    limit: 100
    why: because
"""
MAP: Final = """
schema_map:
  subject: patient
  relations:
    lab.patient: {columns: {id: {class: key, key: patient.id}, last_name: identity}}
"""
WHOLE: Final = {
    "base/a.yaml": f"format: 1\nrules:{RULE}{BUDGET}",
    "site/s.yaml": f"format: 1{MAP}",
}


def load_with(text: str, *, name: str = "site/x.yaml") -> Policy:
    """Return the small policy with one more file of the site."""
    return load_policy({**WHOLE, name: f"format: 1\n{text}"}, today=TODAY)


def load_when(when: str, *, rule: str = "action: block", unless: str = "") -> Policy:
    """Return the small policy with one more rule, EX150, with this condition."""
    lines = ["rules:", "  - id: EX150", "    title: t", "    severity: low", f"    {rule}"]
    lines += ["    explain: e", "    why: w", f"    when: {when}"]
    lines += [f"    unless: {unless}"] if unless else []
    return load_with("\n".join(lines) + "\n")
