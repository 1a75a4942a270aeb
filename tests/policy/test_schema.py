"""The published JSON Schema is the one that the loader follows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from proxy.policy.schema import json_schema

RULES = Path(__file__).resolve().parents[2] / "rules"


def test_the_published_schema_is_current() -> None:
    """rules/schema.json is ``json_schema()``, as ``json.dumps(..., indent=2, sort_keys=True)``."""
    wanted = json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"

    assert (RULES / "schema.json").read_text("utf-8") == wanted


def test_the_shipped_files_fit_the_published_schema() -> None:
    """An editor that follows the schema does not complain about what is shipped."""
    files = [*sorted((RULES / "base").glob("*.yaml")), *sorted(RULES.glob("sites/*/*.yaml"))]
    schema = str(RULES / "schema.json")
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", schema]

    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
