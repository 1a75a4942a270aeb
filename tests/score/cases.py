"""The corpus: attacks and work as values, read from YAML and checked before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

CORPUS: Final = Path(__file__).resolve().parents[1] / "corpus"
ATTACKS: Final = CORPUS / "attacks.yaml"
BENIGN: Final = CORPUS / "benign.yaml"

Step = str | dict[str, Any]  # a statement, or one of the forms that attacks.yaml explains
Id = Annotated[str, StringConstraints(pattern=r"^[A-Z]\d{3}$")]


class Case(BaseModel):
    """What both kinds have. Fields that are not named here are for readers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Id
    title: str
    role: str
    protocol: Literal["simple", "extended", "copy", "cursor", "fastpath"]
    statements: tuple[Step, ...] = Field(min_length=1)
    startup: dict[str, str] = {}


class Attack(Case):
    """SQL that takes patients out. ``patients_leaked``: how many with nothing in between."""

    technique: str
    channel: str
    decode: str = "raw"
    leak_key: str = "nir"
    patients_leaked: int = Field(ge=1)
    setup: tuple[str, ...] = ()
    cleanup: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """Return every role that logs in; each has a budget of its own."""
        more: list[str] = []
        for step in self.statements:
            if isinstance(step, dict):
                more += [step["user"]] if "user" in step else []
                more += step.get("users", [])
        return tuple(dict.fromkeys([self.role, *more]))


class Benign(Case):
    """Work. ``expected``: whether it may be flagged; it passes either way."""

    category: str
    expected: Literal["allow", "flag"]


def read_attacks(path: Path = ATTACKS) -> list[Attack]:
    """Return the attacks of a file. Errors: OSError, YAMLError, pydantic's ValidationError."""
    return TypeAdapter(list[Attack]).validate_python(_read(path))


def read_benign(path: Path = BENIGN) -> list[Benign]:
    """Return the work of a file. Errors: as ``read_attacks``."""
    return TypeAdapter(list[Benign]).validate_python(_read(path))


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))
