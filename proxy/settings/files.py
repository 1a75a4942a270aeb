"""Reading the files of settings and policy. The one module here that touches the disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proxy.errors import ConfigurationError
from proxy.settings.load import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.settings.settings import Settings

DEFAULT_NAME: Final = "vigie.yaml"
VARIABLE: Final = "VIGIE_CONFIG"
_PACKAGE: Final = Path(__file__).resolve().parents[1]


def shipped_rules() -> Path:
    """Return the folder of the shipped rules: in the installed package, else in the checkout."""
    installed = _PACKAGE / "_rules"
    return installed if installed.is_dir() else _PACKAGE.parent / "rules"


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
    named = path or (Path(environ[VARIABLE]) if environ.get(VARIABLE) else None)
    if named is None and Path(DEFAULT_NAME).is_file():
        named = Path(DEFAULT_NAME)
    text = None if named is None else _read(named)
    return load_settings(text, str(named or DEFAULT_NAME), environ, overrides)


def read_policy_files(settings: Settings) -> dict[str, str]:
    """Return the texts of the rule files by name: the shipped ones first, then the site's.

    Errors: ConfigurationError.
    """
    rules = settings.rules or shipped_rules()
    base = rules / "base"
    folders = [base if base.is_dir() else rules, *([settings.site] if settings.site else [])]
    found: dict[str, str] = {}
    for folder in folders:
        paths = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
        if not paths:
            raise ConfigurationError([f"{folder}: no rule files, expected a folder with *.yaml"])
        found.update((str(path), _read(path)) for path in paths)
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path}: is not UTF-8 at byte {error.start}"]) from None
