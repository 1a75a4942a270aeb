"""``vigie schema draft``: a first schema map, from the live database, as YAML to review."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from proxy.cli.live_schema import read_live_schema
from proxy.errors import ConfigurationError
from proxy.policy.draft.propose import propose_tables
from proxy.policy.draft.views import propose_views
from proxy.policy.draft.write import draft_as_json, write_draft
from proxy.sql import build_catalog

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from proxy.policy.draft.live_schema import LiveSchema
    from proxy.policy.draft.propose import Draft

_SUBJECT: Final = re.compile(r"[a-z][a-z0-9_]*")


def draft_schema(
    url: str,
    *,
    subject: str,
    seconds: float,
    samples: bool,
    output: Path | None,
    as_json: bool,
) -> int:
    """Write a draft; 1 if nothing in the database seems to be about subjects.

    Args:
        url: of the database.
        subject: what a person is called; the first part of key spaces.
        seconds: for all samples together.
        samples: whether values are looked at.
        output: a file that is not there yet; None: standard output.
        as_json: JSON instead of YAML.

    Errors: ConfigurationError.
    """
    if not _SUBJECT.fullmatch(subject):
        raise ConfigurationError([f"--subject: '{subject}', expected a word in lower case"])
    today = datetime.now(tz=UTC).date()
    draft, schema = draft_of(url, today, subject=subject, seconds=seconds, samples=samples)
    if not draft.relations:
        said = "nothing that the role can see is named or looks like a patient's"
        raise ConfigurationError([f"--against: {said}; expected a role that may read the tables"])
    text = write_draft(draft, schema)
    if as_json:
        text = json.dumps(draft_as_json(draft, schema), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        sys.stdout.write(text)
        return 0
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        said = f"--output: {output} cannot be written: {error.strerror}"
        raise ConfigurationError([f"{said}, expected a file that is not there yet"]) from None
    return 0


def draft_of(
    url: str, today: date, *, subject: str = "patient", seconds: float = 30.0, samples: bool = True
) -> tuple[Draft, LiveSchema]:
    """Return a draft and what it was made from. Errors: ConfigurationError."""
    live = read_live_schema(url, today, seconds=seconds, samples=samples)
    draft = propose_tables(live.schema, subject)
    propose_views(live.schema, draft, live.definitions, partial(build_catalog, live.results))
    return draft, live.schema
