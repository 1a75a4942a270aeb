"""docker-compose.yml: valid, and the database reachable only through Vigie."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

import proxy
from proxy.settings import load_settings

ROOT: Final = Path(__file__).resolve().parents[2]
FILE: Final = ROOT / "docker-compose.yml"
COMPOSE: Final[dict[str, Any]] = yaml.safe_load(FILE.read_text("utf-8"))
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]


def test_it_follows_the_compose_specification() -> None:
    """check-jsonschema knows the specification; no image is pulled, no engine asked."""
    schema = ["--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema, str(FILE)],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_database_is_reached_only_through_vigie() -> None:
    """No port, one internal network, and nobody in it but Vigie."""
    database = SERVICES["postgres"]
    (network,) = database["networks"]

    assert "ports" not in database
    assert "network_mode" not in database
    assert COMPOSE["networks"][network]["internal"] is True
    assert {name for name, one in SERVICES.items() if network in one["networks"]} == {
        "postgres",
        "vigie",
    }


def test_ports_are_published_on_loopback_alone() -> None:
    """Whoever wants more says so; metrics are not published at all."""
    published = [port for one in SERVICES.values() for port in one.get("ports", [])]

    assert published == ["127.0.0.1:6432:6432", "127.0.0.1:3000:3000"]
    assert SERVICES["vigie"]["expose"] == ["9187"]


@pytest.mark.parametrize("name", SERVICES)
def test_containers_are_hardened_and_watched(name: str) -> None:
    """Read-only root, no capabilities, no new privileges, a health check, a pinned image."""
    one = SERVICES[name]

    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert "cap_add" not in one
    assert "privileged" not in one
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert one["healthcheck"]["test"][0] == "CMD"
    assert re.search(r":v?\d+(\.\d+)+(-\w+)?$", one["image"]), one["image"]
    waited_for = one.get("depends_on", {})
    assert all(wait["condition"] == "service_healthy" for wait in waited_for.values())


def test_the_image_has_the_version_of_the_package() -> None:
    """The tag rises with the release."""
    assert SERVICES["vigie"]["image"] == f"vigie:{proxy.__version__}"


def test_no_password_is_written_down() -> None:
    """Secrets come from files that the repository does not hold."""
    variables = {
        name: value
        for one in SERVICES.values()
        for name, value in one.get("environment", {}).items()
    }
    held = {path.name for path in (ROOT / "deploy" / "secrets").iterdir()}

    for name, value in variables.items():
        if re.search("PASS|SECRET|TOKEN", name):
            assert name.endswith("_FILE"), name
            assert value.startswith("/run/secrets/"), name
    for secret in COMPOSE["secrets"].values():
        assert list(secret) == ["file"]
        assert secret["file"].startswith("./deploy/secrets/")
    ignored = (ROOT / "deploy" / "secrets" / ".gitignore").read_text().splitlines()
    assert ignored[1:] == ["*", "!.gitignore", "!README.md"]
    assert {".gitignore", "README.md"} <= held


def test_vigie_understands_its_environment() -> None:
    """Each variable is a setting, and the audit log goes to the one folder that can be written."""
    environment = SERVICES["vigie"]["environment"]

    settings = load_settings(None, "vigie.yaml", environment)

    assert settings.audit.path is not None
    assert f"vigie-data:{settings.audit.path.parent}" in SERVICES["vigie"]["volumes"]


def test_what_is_mounted_is_there() -> None:
    """Every path of the project that a container mounts exists and is mounted read-only."""
    mounts = [mount for one in SERVICES.values() for mount in one.get("volumes", [])]
    paths = [mount for mount in mounts if mount.startswith(".")]

    assert paths
    for mount in paths:
        source, _, mode = mount.split(":")
        assert mode == "ro", mount
        assert (ROOT / source).is_dir(), mount


def test_prometheus_scrapes_the_port_that_vigie_serves() -> None:
    """The target of prometheus.yml is the address of --http, in a network both are in."""
    scrape = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    (target,) = scrape["scrape_configs"][0]["static_configs"][0]["targets"]
    shared = set(SERVICES["vigie"]["networks"]) & set(SERVICES["prometheus"]["networks"])

    assert target == "vigie:9187"
    assert "--http=0.0.0.0:9187" in SERVICES["vigie"]["command"]
    assert shared == {"monitoring"}


def test_nobody_claims_that_it_was_run() -> None:
    """The file says what was checked and what was not."""
    assert "Validated against the compose specification, not run in CI." in FILE.read_text("utf-8")
