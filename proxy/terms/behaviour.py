"""What a principal's statements are together, beside what each is alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Facts over time about the principal, as they stand at one statement. Defaults are usual.

    Small numbers are 0: they would tell nobody anything, and make facts differ.
    """

    catalog_steps: int = 0  # of a walk through definitions that this statement goes on with
    catalog_templates: int = 0  # different ones within an hour that read definitions
    wrong_statements: int = 0  # within an hour: bad syntax, or names that do not exist
    new_template: bool = False  # none of this form came before, and the principal is known
    burst: int = 0  # how many times the usual of a minute this minute is
    off_hours: bool = False  # outside of the working hours of its role
    new_end_users: int = 0  # named within an hour, and never before


USUAL: Final = Behaviour()
