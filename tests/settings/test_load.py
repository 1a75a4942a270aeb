"""Settings from the file, the environment and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.errors import ConfigurationError
from proxy.settings import (
    Address,
    AuditSettings,
    BackendTls,
    FrontendTls,
    Limits,
    Orders,
    Settings,
    Upstream,
    load_settings,
)
from proxy.settings.load import variable_names
from proxy.terms.finding import Action, Mode

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = Settings(
    listen=(Address("127.0.0.1", 6432),),
    upstream=Address("127.0.0.1", 5432),
    state="./.local/state/vigie/state.sqlite",  # there is no home in an empty environment
    http=Address("127.0.0.1", 9187),
)


def test_nothing_said() -> None:
    """Without file, variables and options there are defaults, and they enforce."""
    assert load_settings(None, "vigie.yaml", {}) == DEFAULTS
    assert load_settings("# only a comment\n", "vigie.yaml", {}) == DEFAULTS
    assert DEFAULTS.mode is Mode.ENFORCE
    assert DEFAULTS.on_internal_error is Action.BLOCK
    assert DEFAULTS.limits == Limits(64 * 1024 * 1024, 60, 10)


def test_the_commented_file_holds_the_defaults() -> None:
    """vigie.yaml says what holds without it; only the site is the demonstration's."""
    found = load_settings((ROOT / "vigie.yaml").read_text("utf-8"), "vigie.yaml", {})

    assert found.site == Path("rules/sites/lab-demo")
    assert (
        Settings(
            **{
                name: getattr(found, name)
                for name in Settings.__dataclass_fields__
                if name != "site"
            }
        )
        == DEFAULTS
    )


def test_every_key() -> None:
    """Every key of the file arrives."""
    text = """
listen: ["0.0.0.0:6432", "[::1]:6432"]
upstream: db:5433
upstreams: [{address: "other:5434", databases: [a, b], listen: ["[::1]:6432"]}]
mode: observe
rules: /r
site: /s
state: memory
http: null
audit: {path: /a}
log: {level: debug}
limits:
  max_statement_bytes: 1024
  login_timeout_seconds: 1
  connect_timeout_seconds: 2
  idle_session_timeout_seconds: 3
  idle_in_transaction_timeout_seconds: 4
  drain_timeout_seconds: 5
  connections: 6
  connections_per_address: 7
  connections_per_role: 8
catalog_refresh_seconds: 5
on_internal_error: allow
secret_file: /k
orders: {folder: /o, public_key: /p}
unix_socket_mode: "0777"
frontend_tls:
  certificate: /c
  key: /q
  plaintext: ["[::1]:6432"]
  verify: optional
  ca: /a
  crl: /l
  channel_binding: unused
  scram_verifiers: /v
backend_tls: {mode: verify-full, negotiation: direct, ca: /b, crl: /m, certificate: /d, key: /e}
state_share_percent: 5
state_memory_mib: 64
"""

    assert load_settings(text, "vigie.yaml", {}) == Settings(
        listen=(Address("0.0.0.0", 6432), Address("::1", 6432)),  # noqa: S104 - a text
        upstream=Address("db", 5433),
        upstreams=(
            Upstream(
                Address("other", 5434), frozenset({"a", "b"}), frozenset({Address("::1", 6432)})
            ),
        ),
        mode=Mode.OBSERVE,
        rules=Path("/r"),
        site=Path("/s"),
        http=None,
        audit=AuditSettings(Path("/a")),
        log_level="debug",
        limits=Limits(1024, *range(1, 9)),
        catalog_refresh_seconds=5,
        on_internal_error=Action.ALLOW,
        secret_file=Path("/k"),
        orders=Orders(Path("/o"), Path("/p")),
        unix_socket_mode=0o777,
        frontend_tls=FrontendTls(
            certificate=Path("/c"),
            key=Path("/q"),
            plaintext=frozenset({Address("::1", 6432)}),
            verify="optional",
            ca=Path("/a"),
            crl=Path("/l"),
            needs_channel_binding=False,
            scram_verifiers=Path("/v"),
        ),
        backend_tls=BackendTls(
            "verify-full", "direct", Path("/b"), Path("/m"), Path("/d"), Path("/e")
        ),
        state_share_percent=5,
        state_memory_mib=64,
    )


@pytest.mark.parametrize(
    ("environ", "state"),
    [
        ({"STATE_DIRECTORY": "/var/lib/vigie:/other", "HOME": "/h"}, "/var/lib/vigie/state.sqlite"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/vigie/state.sqlite"),
        ({"HOME": "/h"}, "/h/.local/state/vigie/state.sqlite"),
        ({"HOME": "/h", "VIGIE_STATE": "./here.sqlite"}, "./here.sqlite"),
    ],
)
def test_state_is_kept_where_the_system_keeps_it(environ: dict[str, str], state: str) -> None:
    """Of a unit of systemd, of a user, or where it is said."""
    assert load_settings(None, "vigie.yaml", environ).state == state


def test_the_environment_wins_over_the_file_and_options_over_both() -> None:
    """The later source wins, key by key."""
    text = "mode: observe\nlimits: {login_timeout_seconds: 1, connect_timeout_seconds: 2}\n"
    environ = {
        "VIGIE_LISTEN": "a:1, b:2",
        "VIGIE_MODE": "enforce",
        "VIGIE_LIMITS__LOGIN_TIMEOUT_SECONDS": "30",
        "VIGIE_SITE": "",
        "HOME": "/",
    }

    found = load_settings(text, "vigie.yaml", environ, {"listen": ("c:3",), "site": None})

    assert found.listen == (Address("c", 3),)
    assert found.mode is Mode.ENFORCE
    assert found.limits == Limits(login_timeout_seconds=30, connect_timeout_seconds=2)
    assert found.site is None
    assert load_settings(text, "f", environ).listen == (Address("a", 1), Address("b", 2))


def test_options_of_every_kind() -> None:
    """Options may be paths and modes as the command line has read them."""
    found = load_settings(
        None,
        "vigie.yaml",
        {},
        {"site": Path("s"), "mode": Mode.OBSERVE, "limits.max_statement_bytes": 2048},
    )

    assert (found.site, found.mode) == (Path("s"), Mode.OBSERVE)
    assert found.limits.max_statement_bytes == 2048


def test_secrets_come_by_environment_and_are_not_shown() -> None:
    """A secret never stands in the file, nor in what is printed of the settings."""
    found = load_settings(None, "vigie.yaml", {"VIGIE_SECRET": "hush"})

    assert found.secret == "hush"
    assert "hush" not in repr(found)


def test_variables_of_others_are_left_alone() -> None:
    """Kubernetes sets VIGIE_PORT for a service called vigie; tests and demo have theirs."""
    environ = {
        "VIGIE_PORT": "tcp://10.0.0.1:6432",
        "VIGIE_PORT_6432_TCP_ADDR": "10.0.0.1",
        "VIGIE_SERVICE_HOST": "10.0.0.1",
        "VIGIE_STRICT": "1",
        "VIGIE_PG_BIN": "/x",
        "VIGIE_CONFIG": "f",
    }

    assert load_settings(None, "vigie.yaml", environ) == DEFAULTS


BAD: list[tuple[str | None, dict[str, str], dict[str, Any], str]] = [
    ("mod: enforce", {}, {}, "v.yaml:1:1: unknown key 'mod', did you mean 'mode'?"),
    ("mode: off", {}, {}, "v.yaml:1:7: 'mode' is 'off', expected one of enforce, observe"),
    (
        "limits:\n  max_statement_byte: 5",
        {},
        {},
        "v.yaml:2:3: unknown key 'max_statement_byte', did you mean 'max_statement_bytes'?",
    ),
    (
        "limits:\n  login_timeout_seconds: 0",
        {},
        {},
        "v.yaml:2:26: 'login_timeout_seconds' is 0, expected at least 1",
    ),
    (
        "limits: {login_timeout_seconds: 1_0}",
        {},
        {},
        "v.yaml:1:33: 'login_timeout_seconds' is '1_0', expected an integer",
    ),
    ("listen: 127.0.0.1:6432", {}, {}, "v.yaml:1:9: 'listen' is '127.0.0.1:6432', expected a list"),
    ("listen: []", {}, {}, "v.yaml:1:9: 'listen' is an empty list, expected something"),
    (
        "listen: ['a:1', b]",
        {},
        {},
        "v.yaml:1:17: 'b' is no address, expected host:port or unix:/path",
    ),
    ("upstream: db:0", {}, {}, "v.yaml:1:11: port 0, expected the database's own"),
    (
        "state: redis",
        {},
        {},
        "v.yaml:1:8: state 'redis' is no path, expected memory or a path such as ./vigie.sqlite",
    ),
    (
        "mode: enforce\nmode: observe",
        {},
        {},
        "v.yaml:2:1: key 'mode' is written twice, first in line 1",
    ),
    ("- mode", {}, {}, "v.yaml:1:1: is a list, expected a mapping"),
    (
        "secret: hush",
        {},
        {},
        "v.yaml:1:1: a secret in a file of settings, expected VIGIE_SECRET or secret_file",
    ),
    (
        "secret_file: k",
        {"VIGIE_SECRET": "x"},
        {},
        "v.yaml:1:14: secret_file and VIGIE_SECRET, expected one of them",
    ),
    (None, {"VIGIE_MOD": "x"}, {}, "VIGIE_MOD: unknown variable, did you mean 'VIGIE_MODE'?"),
    (None, {"VIGIE_MODE": "x"}, {}, "VIGIE_MODE: 'mode' is 'x', expected one of enforce, observe"),
    (
        "limits: {login_timeout_seconds: 5}",
        {"VIGIE_LIMITS__LOGIN_TIMEOUT_SECONDS": "soon"},
        {},
        (
            "VIGIE_LIMITS__LOGIN_TIMEOUT_SECONDS: 'login_timeout_seconds' is 'soon',"
            " expected an integer"
        ),
    ),
    (
        None,
        {"VIGIE_LISTEN": "a:1,b"},
        {},
        "VIGIE_LISTEN: 'b' is no address, expected host:port or unix:/path",
    ),
    (
        None,
        {"VIGIE_UPSTREAM": "db"},
        {},
        "VIGIE_UPSTREAM: 'db' is no address, expected host:port or unix:/path",
    ),
    (
        "state: memory",
        {},
        {"state": "sqlite"},
        "--state: state 'sqlite' is no path, expected memory or a path such as ./vigie.sqlite",
    ),
    (None, {}, {"audit.path": ""}, "--audit: 'path' is '', expected something"),
    (
        None,
        {},
        {"http": "x"},
        "--http: 'x' is no address, expected host:port or unix:/path",
    ),
]


@pytest.mark.parametrize(
    ("text", "environ", "overrides", "problem"), BAD, ids=[problem for *_, problem in BAD]
)
def test_wrong_settings(
    text: str | None, environ: dict[str, str], overrides: dict[str, Any], problem: str
) -> None:
    """What is wrong is said with the place it came from: file, variable or option."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(text, "v.yaml", environ, overrides)

    assert caught.value.problems == [problem]


def test_all_problems_are_told_at_once() -> None:
    """One start names what is wrong in file, environment and options."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings("mod: x\nhttp: 5", "v.yaml", {"VIGIE_X": "1"}, {"mode": "x"})

    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        "VIGIE_X",
        "--mode",
        "v.yaml:2:7",
        "v.yaml:1:1",
    ]


def test_a_wrong_form_hides_no_wrong_address() -> None:
    """What can be told of the other values is told at the same time."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(
            "mode: x\nstate: redis\nlimits: {max_statement_byte: 1}",
            "v.yaml",
            {},
            {"upstream": "db"},
        )

    assert caught.value.problems == [
        "v.yaml:1:7: 'mode' is 'x', expected one of enforce, observe",
        "v.yaml:3:10: unknown key 'max_statement_byte', did you mean 'max_statement_bytes'?",
        "v.yaml:2:8: state 'redis' is no path, expected memory or a path such as ./vigie.sqlite",
        "--upstream: 'db' is no address, expected host:port or unix:/path",
    ]


def test_every_setting_has_a_variable() -> None:
    """The names of variables follow from the keys."""
    names = variable_names()

    assert names["VIGIE_AUDIT__PATH"] == ("audit", "path")
    assert names["VIGIE_CATALOG_REFRESH_SECONDS"] == ("catalog_refresh_seconds",)
    assert names["VIGIE_BACKEND_TLS__MODE"] == ("backend_tls", "mode")
    assert names["VIGIE_PLAN_REFRESH_SECONDS"] == ("plan_refresh_seconds",)
    assert len(names) == 42


@pytest.mark.parametrize(
    ("upstreams", "problem"),
    [
        (
            "[{address: 'a:1'}]",
            "vigie.yaml:1:13: takes every session, expected databases or listen",
        ),
        (
            "[{address: 'a:0', databases: [x]}]",
            "vigie.yaml:1:23: port 0, expected the database's own",
        ),
        (
            "[{address: 'a:1', listen: ['b:2']}]",
            "vigie.yaml:1:39: nobody listens on b:2, expected one of 127.0.0.1:6432",
        ),
        (
            "[{address: 'a:1', databases: [x, y]}, {address: 'b:2', databases: [y]}]",
            "vigie.yaml:1:50: takes no session that a:1 has not taken",
        ),
        ("[{address: 'a:1', databases: []}]", "vigie.yaml:1:41: "),
        ("[{address: 'a:1', database: x}]", "vigie.yaml:1:30: "),
    ],
)
def test_an_upstream_that_nobody_or_everybody_would_use_is_a_problem(
    upstreams: str, problem: str
) -> None:
    """Each by its place: what would never be chosen, or always, was not meant."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(f"upstreams: {upstreams}\n", "vigie.yaml", {})

    assert caught.value.problems[0].startswith(problem), caught.value.problems


def test_upstreams_are_no_variable() -> None:
    """They are more than a variable can hold; whoever tries is told."""
    with pytest.raises(ConfigurationError, match="VIGIE_UPSTREAMS: unknown variable"):
        load_settings(None, "vigie.yaml", {"VIGIE_UPSTREAMS": "a:1"})
