"""Reading the files of settings and policy. The one module here that touches the disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proxy.errors import ConfigurationError
from proxy.policy.yaml_marks import read_document
from proxy.settings.load import PREFIX, load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.settings.settings import Settings

DEFAULT_NAME: Final = "vigie.yaml"
VARIABLE: Final = "VIGIE_CONFIG"
_FOLDERS: Final = ("rules", "site")
_PACKAGE: Final = Path(__file__).resolve().parents[1]


def shipped_rules() -> Path:
    """Return the folder of the shipped rules: in the installed package, else in the checkout."""
    installed = _PACKAGE / "_rules"
    return installed if installed.is_dir() else _PACKAGE.parent / "rules"


def find_settings_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file of the settings: ``path``, else ``VIGIE_CONFIG``, else ./vigie.yaml if there.

    One that is named is returned whether or not it is there.
    """
    if path is not None or environ.get(VARIABLE):
        return path or Path(environ[VARIABLE])
    return Path(DEFAULT_NAME) if Path(DEFAULT_NAME).is_file() else None


def read_settings(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings of a file (``VIGIE_CONFIG``, else ./vigie.yaml), environment and options.

    Args:
        path: of the file; None: look for one, and do without if there is none.
        environ: the environment.
        overrides: see ``load_settings``.

    Errors: ConfigurationError.
    """
    named = find_settings_file(path, environ)
    text = None if named is None else _read(named)
    return load_settings(text, str(named or DEFAULT_NAME), environ, overrides)


def read_folders(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> Settings | None:
    """Return settings of which only ``rules`` and ``site`` are as the sources say.

    For settings with problems: those of the rules can then be told at the same time. None: where
    the site is cannot be had. Args: as for ``read_settings``. Errors: none.
    """
    named = find_settings_file(path, environ)
    try:
        value = None if named is None else read_document(_read(named), str(named)).value
        given = value if isinstance(value, dict) else {}
        for name in _FOLDERS:
            said = (overrides or {}).get(name), environ.get(PREFIX + name.upper())
            given = {**given, name: said[0] or said[1] or given.get(name)}
        folders = {name: one for name in _FOLDERS if isinstance(one := given[name], str | Path)}
        found = load_settings(None, DEFAULT_NAME, {}, folders)
    except ConfigurationError:
        return None
    return found if found.site else None


def read_policy_files(settings: Settings) -> dict[str, str]:
    """Return the texts of the rule files by name: the shipped ones first, then the site's.

    Errors: ConfigurationError with each folder and file that cannot be read.
    """
    rules = settings.rules or shipped_rules()
    base = rules / "base"
    folders = [base if base.is_dir() else rules, *([settings.site] if settings.site else [])]
    found: dict[str, str] = {}
    problems: list[str] = []
    for folder in folders:
        paths = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
        if not paths:
            problems.append(f"{folder}: no rule files, expected a folder with *.yaml")
        for path in paths:
            try:
                found[str(path)] = _read(path)
            except ConfigurationError as error:
                problems.extend(error.problems)
    if problems:
        raise ConfigurationError(problems)
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path}: is not UTF-8 at byte {error.start}"]) from None
