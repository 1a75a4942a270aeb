"""How sensitive a column is."""

from __future__ import annotations

from enum import StrEnum


class ColumnClass(StrEnum):
    """The class of a column in the schema map; whatever the map does not name is ``NONE``."""

    NONE = "none"  # of no subject
    KEY = "key"  # names a subject without saying who it is (a surrogate id)
    QUASI = "quasi"  # identifies in combination: birth date, sex, post code
    IDENTITY = "identity"  # says who it is: name, NIR, address, phone, e-mail
    HEALTH = "health"  # results, pathologies, prescriptions
    UNKNOWN = "unknown"  # counts as identity
