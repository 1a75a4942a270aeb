"""Options to settings and policy, or to every problem in both at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.errors import ConfigurationError
from proxy.policy import load_policy
from proxy.settings import (
    find_settings_file,
    read_folders,
    read_policy_files,
    read_settings,
    shipped_rules,
)

if TYPE_CHECKING:
    from proxy.cli.options import Options
    from proxy.policy import Policy
    from proxy.settings import Settings

_NO_MAP: Final = "policy: no schema_map"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is in force. ``source``: the file of the settings; None: there is none."""

    settings: Settings
    policy: Policy
    source: Path | None


def load(options: Options) -> Loaded:
    """Return the settings and the policy that options, environment and files give.

    Errors: ConfigurationError with the problems of the settings and those of the rules.
    """
    problems: list[str] = []
    policy = settings = None
    try:
        settings = read_settings(options.config, os.environ, options.overrides)
    except ConfigurationError as error:
        problems += error.problems
    folders = settings or read_folders(options.config, os.environ, options.overrides)
    if folders is not None:
        try:
            policy = load_policy(read_policy_files(folders), today=datetime.now(tz=UTC).date())
        except ConfigurationError as error:
            problems += error.problems if folders.site else _name_site(error.problems)
    if settings is None or policy is None:
        raise ConfigurationError(problems)
    return Loaded(settings, policy, find_settings_file(options.config, os.environ))


def _name_site(problems: list[str]) -> list[str]:
    """Say first what has to be given, instead of what is missing without it."""
    if not any(problem.startswith(_NO_MAP) for problem in problems):
        return problems
    example = shipped_rules() / "sites" / "lab-demo"
    if example.is_relative_to(Path.cwd()):
        example = example.relative_to(Path.cwd())
    wanted = f"expected --site FOLDER or 'site' in vigie.yaml; {example} is an example"
    others = [problem for problem in problems if not problem.startswith(_NO_MAP)]
    return [f"site: no folder is named, {wanted}", *others]
