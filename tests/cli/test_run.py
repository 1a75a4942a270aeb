"""``vigie run`` up to the point where the proxy takes over."""

from __future__ import annotations

import errno
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from proxy.errors import UpstreamError
from proxy.terms.finding import Mode
from tests.cli.conftest import SITE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proxy.policy import Policy
    from proxy.settings import Settings
    from tests.cli.conftest import Done

    Reread = Callable[[], tuple[Settings, Policy]]
    Served = list[tuple[Settings, Policy]]


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Put something else in the place of the proxy: nothing here opens a socket."""
    module = ModuleType("proxy.net.run")
    monkeypatch.setitem(sys.modules, "proxy.net.run", module)
    return module


@pytest.fixture
def served(net: ModuleType) -> Served:
    """Return what the proxy is started with; it ends with status 7."""
    found: Served = []

    def serve(settings: Settings, policy: Policy, reread: Reread) -> int:
        found.extend([(settings, policy), reread()])
        return 7

    net.serve = serve  # type: ignore[attr-defined]
    return found


def test_options_are_enough(
    served: Served, vigie: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any file; the status is the proxy's own."""
    monkeypatch.chdir(tmp_path)

    done = vigie(
        *("run", "--listen", "127.0.0.1:1", "--listen", "[::1]:2", "--upstream", "db:5433"),
        *("--site", SITE, "--state", "memory", "--http", "127.0.0.1:3"),
        *("--mode", "observe", "--audit", "audit.jsonl"),
    )

    (settings, policy), again = served
    assert again[0] == settings
    assert again[1].version == policy.version
    assert (done.status, done.out, done.err) == (7, "", "")
    assert [str(one) for one in settings.listen] == ["127.0.0.1:1", "[::1]:2"]
    assert (str(settings.upstream), str(settings.http)) == ("db:5433", "127.0.0.1:3")
    assert settings.mode is Mode.OBSERVE
    assert str(settings.audit.path) == "audit.jsonl"
    assert len(policy.schema_map.subject_relations) == 17


@pytest.mark.usefixtures("in_project")
def test_what_is_not_given_comes_from_the_file(served: Served, vigie: Callable[..., Done]) -> None:
    """vigie.yaml of the folder, and options over it."""
    vigie("run", "--listen", "127.0.0.1:1")

    (settings, _), _ = served
    assert str(settings.site) == "rules/sites/lab-demo"
    assert [str(one) for one in settings.listen] == ["127.0.0.1:1"]


def test_wrong_options_start_nothing(served: Served, vigie: Callable[..., Done]) -> None:
    """Each has its line, by the name it was typed with."""
    done = vigie(
        *("run", "--site", SITE, "--listen", "x", "--upstream", "db:0", "--audit", ""),
        *("--state", "redis", "--http", "6432"),
    )

    assert served == []
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines() == [
        "--audit: 'path' is '', expected something",
        "--state: state 'redis' is no path, expected memory or a path such as ./vigie.sqlite",
        "--listen: 'x' is no address, expected host:port or unix:/path",
        "--upstream: port 0, expected the database's own",
        "--http: '6432' is no address, expected host:port or unix:/path",
    ]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EADDRINUSE, "Address already in use"), "vigie: Address already in use\n"),
        (
            PermissionError(13, "Permission denied", "a.jsonl"),
            "vigie: Permission denied: a.jsonl\n",
        ),
        (UpstreamError("db:5432 cannot be reached"), "vigie: db:5432 cannot be reached\n"),
    ],
)
def test_what_the_machine_refuses_is_one_line(
    error: Exception, line: str, net: ModuleType, vigie: Callable[..., Done]
) -> None:
    """No traceback for a port in use or a file that may not be written."""

    def serve(_settings: Settings, _policy: Policy, _reread: Reread) -> int:
        raise error

    net.serve = serve  # type: ignore[attr-defined]

    done = vigie("run", "--site", SITE)

    assert (done.status, done.out, done.err) == (1, "", line)
