"""Settings from a file's text, the environment and the command line; the later ones win.

Environment: ``VIGIE_`` and the key in capitals, two underscores between a section and its key
(``VIGIE_LIMITS__LOGIN_TIMEOUT_SECONDS=30``); lists by commas. An empty variable counts as unset.
Lists of mappings (``upstreams``) stand in the file alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from proxy.errors import ConfigurationError
from proxy.policy.problems import show, suggest, word_for
from proxy.policy.yaml_marks import read_document
from proxy.settings.address import Address, parse_address
from proxy.settings.settings import AuditSettings, Limits, Orders, Settings, SettingsData
from proxy.settings.tls_settings import backend_tls, frontend_tls
from proxy.settings.upstreams import read_database, read_upstreams
from proxy.terms.finding import Action, Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.policy.yaml_marks import Document

PREFIX: Final = "VIGIE_"
SECRET: Final = "VIGIE_SECRET"  # noqa: S105 - the name of a variable
MEMORY: Final = "memory"
_ELSEWHERE: Final = frozenset({SECRET, "VIGIE_CONFIG", "VIGIE_STRICT", "VIGIE_PG_BIN"})
# Kubernetes and Docker set these for a service that is called vigie.
_OF_ORCHESTRATORS: Final = ("VIGIE_PORT", "VIGIE_SERVICE_")
_IN_FILE: Final = frozenset({"upstreams"})  # too much for a variable
_Path = tuple[str, ...]
_LISTS: Final = (("listen",), ("frontend_tls", "plaintext"))
_OPTIONS: Final = {"audit.path": "--audit"}  # named otherwise than their keys


def load_settings(
    text: str | None,
    name: str,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings that these sources give together.

    Args:
        text: of vigie.yaml; None: there is no file.
        name: of the file, for messages.
        environ: the environment; only ``VIGIE_*`` is looked at.
        overrides: from the command line, by key (``listen``, ``limits.max_statement_bytes``);
            a value of None counts as not given.

    Errors: ConfigurationError with all problems: ``file:line:column: ...``, ``VIGIE_X: ...`` or
    ``--x: ...``.
    """
    loader = _Loader()
    if text is not None:
        loader.take_file(text, name)
    loader.take_environment(environ)
    loader.take_overrides(overrides or {})
    return loader.build(environ)


def variable_names() -> dict[str, tuple[str, ...]]:
    """Return the environment variables that are settings, each with its path in vigie.yaml."""
    return {PREFIX + "__".join(path).upper(): path for path in _paths()}


class _Loader:
    """Merges the sources, and remembers for each value where it came from."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._values: dict[str, Any] = {}
        self._sources: dict[_Path, str] = {}
        self._document: Document | None = None

    def take_file(self, text: str, name: str) -> None:
        """Take vigie.yaml."""
        try:
            document = read_document(text, name)
        except ConfigurationError as error:
            self.problems.extend(error.problems)
            return
        self._document = document
        if document.value is None:
            return
        if not isinstance(document.value, dict):
            self.problems.append(
                f"{document.at(())}: is {show(document.value)}, expected a mapping"
            )
            return
        self._values = {**document.value}
        if "secret" in self._values:
            del self._values["secret"]
            place = document.at(("secret",), key=True)
            self.problems.append(
                f"{place}: a secret in a file of settings, expected {SECRET} or secret_file"
            )

    def take_environment(self, environ: Mapping[str, str]) -> None:
        """Take the variables that begin with ``VIGIE_``."""
        known = variable_names()
        for name in sorted(environ):
            ignored = name in _ELSEWHERE or name.startswith(_OF_ORCHESTRATORS)
            if not name.startswith(PREFIX) or ignored or not environ[name]:
                continue
            path = known.get(name)
            if path is None:
                self.problems.append(f"{name}: unknown variable, {suggest(name, known)}")
                continue
            self._put(path, _convert(path, environ[name]), name)

    def take_overrides(self, overrides: Mapping[str, Any]) -> None:
        """Take what the command line says."""
        for name, value in overrides.items():
            if value is not None:
                shown = isinstance(value, tuple)
                path = tuple(name.split("."))
                plain = f"--{name.replace('.', '-').replace('_', '-')}"
                option = _OPTIONS.get(name, plain)
                self._put(path, list(value) if shown else _plain(value), option)

    def _put(self, path: _Path, value: Any, source: str) -> None:
        where = self._values
        for part in path[:-1]:
            inner = where.get(part)
            where[part] = {**inner} if isinstance(inner, dict) else {}
            where = where[part]
        where[path[-1]] = value
        self._sources[path] = source

    def _at(self, location: tuple[str | int, ...], *, key: bool = False) -> str:
        """Return where a value came from."""
        names = tuple(part for part in location if isinstance(part, str))
        for length in range(len(names), 0, -1):
            if names[:length] in self._sources:
                return self._sources[names[:length]]
        return self._document.at(location, key=key) if self._document else "vigie.yaml"

    def build(self, environ: Mapping[str, str]) -> Settings:
        """Return the settings. Errors: ConfigurationError."""
        try:
            data = SettingsData.model_validate(self._values)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                extra = detail["type"] == "extra_forbidden"
                place = self._at(detail["loc"], key=extra)
                self.problems.append(f"{place}: {word_for(detail, SettingsData)}")
            wrong = {detail["loc"][0] for detail in error.errors(include_url=False)}
            rest = {name: value for name, value in self._values.items() if name not in wrong}
            self._settings(SettingsData.model_validate(rest), environ)  # tells what else is wrong
            raise ConfigurationError(self.problems) from None
        settings = self._settings(data, environ)
        if self.problems:
            raise ConfigurationError(self.problems)
        return settings

    def _settings(self, data: SettingsData, environ: Mapping[str, str]) -> Settings:
        secret = environ.get(SECRET) or None
        state = self._default_state(environ) if data.state is None else data.state
        if state != MEMORY and ("://" in state or not {"/", "."} & {*state}):
            self.problems.append(
                f"{self._at(('state',))}: state '{state}' is no path, expected memory or a path "
                "such as ./vigie.sqlite"
            )
        if secret is not None and data.secret_file is not None:
            place = self._at(("secret_file",))
            self.problems.append(f"{place}: secret_file and {SECRET}, expected one of them")
        listen = [self._address(one, "listen", i) for i, one in enumerate(data.listen)]
        upstream = read_database(data.upstream, ("upstream",), self._complain)
        upstreams = read_upstreams(data.upstreams, listen, self._complain)
        databases = [upstream, *(one.address for one in upstreams)]
        http = None if data.http is None else self._address(data.http, "http")
        if http is not None and http.path:
            self.problems.append(f"{self._at(('http',))}: is a Unix socket, expected host:port")
        return Settings(
            listen=tuple(listen),
            upstream=upstream,
            upstreams=upstreams,
            mode=Mode(data.mode),
            rules=_path(data.rules),
            site=_path(data.site),
            state=state,
            http=http,
            audit=AuditSettings(_path(data.audit.path)),
            log_level=data.log.level,
            limits=Limits(**data.limits.model_dump()),
            catalog_refresh_seconds=data.catalog_refresh_seconds,
            plan_refresh_seconds=data.plan_refresh_seconds,
            on_internal_error=Action[data.on_internal_error.upper()],
            secret_file=_path(data.secret_file),
            secret=secret,
            state_share_percent=data.state_share_percent,
            state_memory_mib=data.state_memory_mib,
            orders=Orders(_path(data.orders.folder), _path(data.orders.public_key)),
            unix_socket_mode=int(data.unix_socket_mode, 8),
            frontend_tls=frontend_tls(data.frontend_tls, listen, self._complain),
            backend_tls=backend_tls(data.backend_tls, databases, self._complain),
            canaries=_path(data.canaries),
        )

    def _complain(self, location: tuple[str | int, ...], what: str) -> None:
        self.problems.append(f"{self._at(location)}: {what}")

    @staticmethod
    def _default_state(environ: Mapping[str, str]) -> str:
        """Return where state is kept unless said otherwise: where the system keeps it."""
        if environ.get("STATE_DIRECTORY"):  # of a systemd unit
            return f"{environ['STATE_DIRECTORY'].partition(':')[0]}/state.sqlite"
        home = environ.get("XDG_STATE_HOME") or f"{environ.get('HOME', '.')}/.local/state"
        return f"{home}/vigie/state.sqlite"

    def _address(self, text: str, *location: str | int) -> Address:
        try:
            return parse_address(text)
        except ValueError as error:
            self.problems.append(f"{self._at(location)}: {error}")
            return Address("", 1)


def _paths() -> list[_Path]:
    found: list[_Path] = []
    for name, field in SettingsData.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found.extend((name, key) for key in inner.model_fields)
        elif name not in _IN_FILE:
            found.append((name,))
    return found


def _convert(path: _Path, text: str) -> Any:
    """Return what a variable means: a list, an integer where one is due, else the text."""
    if path in _LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    model: type[BaseModel] = SettingsData
    if len(path) > 1:
        section = model.model_fields[path[0]].annotation
        assert isinstance(section, type)
        assert issubclass(section, BaseModel)
        model = section
    is_integer = model.model_fields[path[-1]].annotation is int
    return int(text) if is_integer and text.isascii() and text.isdigit() else text


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path | Mode | Address) else value


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
