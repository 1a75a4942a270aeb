"""Options to settings and policy, or to every problem in both at once."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.errors import ConfigurationError
from proxy.policy import load_policy
from proxy.settings import (
    BackendTls,
    FrontendTls,
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
    """What is in force. ``source``: the file of the settings; None: there is none.

    ``warnings``: what will be wrong soon.
    """

    settings: Settings
    policy: Policy
    source: Path | None
    warnings: tuple[str, ...] = ()


def load(options: Options, *, with_certificates: bool = False) -> Loaded:
    """Return the settings and the policy that options, environment and files give.

    Args:
        options: what the command line says.
        with_certificates: read the files of TLS too.

    Errors: ConfigurationError with the problems of the settings and those of the rules.
    """
    problems: list[str] = []
    warnings: tuple[str, ...] = ()
    policy = settings = None
    try:
        settings = read_settings(options.config, os.environ, options.overrides)
        if with_certificates:
            warnings = _read_certificates(settings)
    except ConfigurationError as error:
        problems += error.problems
    folders = settings or read_folders(options.config, os.environ, options.overrides)
    if folders is not None:
        try:
            policy = load_policy(read_policy_files(folders), today=datetime.now(tz=UTC).date())
        except ConfigurationError as error:
            problems += error.problems if folders.site else _name_site(error.problems)
    if settings is None or policy is None or problems:
        raise ConfigurationError(problems)
    source = find_settings_file(options.config, os.environ)
    return Loaded(settings, policy, source, warnings)


def _read_certificates(settings: Settings) -> tuple[str, ...]:
    """Return the warnings about the files of TLS.

    The database is asked for its certificate, if it can be reached: logins depend on it.

    Errors: ConfigurationError.
    """
    if settings.frontend_tls == FrontendTls() and settings.backend_tls == BackendTls():
        return ()
    from proxy.net.tls import Tls  # noqa: PLC0415 - only those need it who ask for TLS

    tls = Tls(settings.frontend_tls, settings.backend_tls)
    seconds = settings.limits.connect_timeout_seconds
    databases = dict.fromkeys([settings.upstream, *(one.address for one in settings.upstreams)])
    found = [asyncio.run(tls.problem_with(one, seconds)) for one in databases]
    problems = [problem for problem in found if problem is not None]
    if problems:
        raise ConfigurationError(problems)
    return tuple(tls.warnings)


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
