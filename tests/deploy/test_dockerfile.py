"""The Dockerfile as text: no root, no build tools, a read-only root file system suffices."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
TEXT: Final = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8"))
STAGES: Final = re.split(r"^(?=FROM )", TEXT, flags=re.MULTILINE)[1:]
FINAL: Final = STAGES[-1]


def instructions(stage: str, name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", stage, re.MULTILINE)


def test_two_stages_on_one_pinned_debian() -> None:
    """What builds is left behind; both stages have the same Python, by its full version."""
    bases = [stage.split()[1] for stage in STAGES]

    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-bookworm", bases[0])


def test_the_last_user_is_not_root() -> None:
    """By number, so that an orchestrator can see it (runAsNonRoot)."""
    users = instructions(FINAL, "USER")

    assert users == ["10001:10001"]
    assert FINAL.index("USER ") < FINAL.index("ENTRYPOINT ")


def test_nothing_in_the_final_image_builds_or_installs() -> None:
    """No compiler, no package list, and pip is taken away."""
    runs = " ".join(instructions(FINAL, "RUN"))

    assert "apt" not in runs
    assert "pip install" not in runs
    assert "pip uninstall --yes pip" in runs
    assert instructions(FINAL, "COPY") == ["--from=build /opt/vigie /opt/vigie"]
    assert "--without-pip" in STAGES[0]


def test_versions_are_those_of_the_lock() -> None:
    """The build resolves nothing on its own."""
    assert "PIP_CONSTRAINT=/src/requirements.lock" in STAGES[0]
    assert "--trusted" not in TEXT
    assert not re.search(r"^(ADD|VOLUME) ", TEXT, re.MULTILINE)


def test_health_ports_and_signal_are_declared() -> None:
    """The probe asks /readyz with Python; SIGTERM is what Vigie ends in order on."""
    (health,) = instructions(FINAL, "HEALTHCHECK")
    command = json.loads(health[health.index("[") :])

    assert instructions(FINAL, "EXPOSE") == ["6432 9187"]
    assert instructions(FINAL, "STOPSIGNAL") == ["SIGTERM"]
    assert command[0] == "/opt/vigie/bin/python"
    assert "http://127.0.0.1:9187/readyz" in command[2]
    compile(command[2], "HEALTHCHECK", "exec")


def test_the_image_runs_vigie_and_compose_gives_it_its_verb() -> None:
    """ENTRYPOINT is the command; what follows are its arguments."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))

    assert json.loads(instructions(FINAL, "ENTRYPOINT")[0]) == ["/opt/vigie/bin/vigie"]
    assert compose["services"]["vigie"]["command"][0] == "run"


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    """.dockerignore lets in the sources of COPY, and no secret, test or .git."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        name.removeprefix("./")
        for arguments in instructions(STAGES[0], "COPY")
        for name in arguments.split()[:-1]
    }

    assert "*" in lines
    assert copied == allowed
