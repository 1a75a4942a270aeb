"""Set up, try, test, check and measure Vigie; needs only Python 3.11 or later.

    python3 dev.py setup | demo | test | check | bench | score | prove | suites | fuzz |
    sqlmap | lock   [arguments passed on]

``setup`` makes ``.venv`` with the versions of ``requirements.lock`` and the project in it.
All others call it first. The second time it does nothing.
``lock`` resolves the dependencies of ``pyproject.toml`` again and rewrites ``requirements.lock``.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NoReturn

ROOT: Final = Path(__file__).resolve().parent
VENV: Final = ROOT / ".venv"
BIN: Final = VENV / "bin"
STAMP: Final = VENV / ".setup-stamp"
LOCK: Final = ROOT / "requirements.lock"
NATIVE: Final = ROOT / "native"
SOURCES: Final = (".pyx", ".pxd", ".h", ".py", ".toml")
PYTHON: Final = str(BIN / "python")
SQLMAP: Final = "sqlmap==1.10.10"
OLDEST: Final = (3, 11)

# The same commands stand in .pre-commit-config.yaml; tests/test_project.py compares the two.
CHECKS: Final = (
    "ruff check",
    "ruff format --check",
    "mypy",
    "lint-imports",
    "codespell",
    "yamllint --strict rules",
    "vigie check",
)


def main(arguments: list[str]) -> int:
    """Carry out one verb and return its exit status."""
    known = (setup, demo, test, check, bench, score, prove, suites, fuzz, sqlmap, lock)
    verbs = {verb.__name__: verb for verb in known}
    if not arguments or arguments[0] not in verbs:
        print(__doc__.strip() if __doc__ else "")
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    if sys.version_info < OLDEST:
        have = ".".join(map(str, sys.version_info[:3]))
        give_up(f"needs Python 3.11 or later, this is {have}; say make PYTHON=python3.11 ...")
    os.chdir(ROOT)
    return verbs[arguments[0]](arguments[1:])


def setup(_arguments: list[str]) -> int:
    """Make ``.venv`` as the lock says, or do nothing if it already is so."""
    if is_set_up():
        return 0
    with Path(__file__).open("rb") as gate:  # two set-ups at once would break each other
        fcntl.flock(gate, fcntl.LOCK_EX)
        if is_set_up():
            return 0
        began = time.monotonic()
        make_venv()
        count = sum("==" in line for line in LOCK.read_text().splitlines())
        say(f"installing {count} packages into .venv (once, under a minute as a rule)")
        pip("install", "-qq", "--requirement", str(LOCK))
        # The build backend is locked as well, hence no isolation; and so are all dependencies.
        pip("install", "-qq", "--no-deps", "--no-build-isolation", "--editable", ".")
        build_kernel()
        STAMP.write_text(fingerprint())
        say(f"ready after {time.monotonic() - began:.0f} s: .venv/bin/vigie")
    return 0


def demo(arguments: list[str]) -> int:
    """Run ``vigie demo``."""
    setup([])
    vigie = str(BIN / "vigie")
    sys.stdout.flush()
    os.execv(vigie, [vigie, "demo", *arguments])  # signals and exit status are its own


def test(arguments: list[str]) -> int:
    """Check, then run the tests; arguments go to pytest."""
    if status := check([]):
        return status
    spread = ["-n", str(min(os.cpu_count() or 1, 4)), "--dist", "loadfile"]
    say("pytest")
    return run([PYTHON, "-m", "pytest", *spread, *arguments])


def check(_arguments: list[str]) -> int:
    """Run every check, also after one has failed, and say which ones did."""
    setup([])
    failed = []
    for command in CHECKS:
        began = time.monotonic()
        name, *rest = command.split()
        done = subprocess.run(
            [str(BIN / name), *rest], check=False, capture_output=True, text=True, env=environment()
        )
        mark = "ok" if done.returncode == 0 else "FAILED"
        say(f"{command:<24} {mark} ({time.monotonic() - began:.1f} s)")
        if done.returncode:
            failed.append(command)
            print(done.stdout + done.stderr, flush=True)
    if failed:
        say(f"{len(failed)} of {len(CHECKS)} checks failed: {', '.join(failed)}")
    return 1 if failed else 0


def bench(arguments: list[str]) -> int:
    """Run the benchmark; the result is JSON with the commit and the machine."""
    setup([])
    return run([PYTHON, "-m", "bench", *arguments])


def score(arguments: list[str]) -> int:
    """Run every attack and all the work of the corpus, direct and through Vigie."""
    setup([])
    return run([PYTHON, "-m", "tests.score", *arguments])


def prove(arguments: list[str]) -> int:
    """Send random statements in random sessions, and see that no budget is exceeded."""
    setup([])
    return run([PYTHON, "-m", "tests.prove", *arguments])


def suites(arguments: list[str]) -> int:
    """Run other people's suites direct and through Vigie; what differs is shown."""
    setup([])
    return run([PYTHON, "-m", "tests.suites", *arguments])


def fuzz(arguments: list[str]) -> int:
    """Fuzz a running Vigie from both sides, and its decoders."""
    setup([])
    return run([PYTHON, "-m", "tests.fuzz", *arguments])


def sqlmap(arguments: list[str]) -> int:
    """Let sqlmap dump the patients through an application with a hole, by each technique."""
    setup([])
    program = ROOT / "build" / "sqlmap" / "sqlmap" / "sqlmap.py"
    if not program.is_file():  # GPL: a program that is run, and no part of the project
        pip("install", "-qq", "--no-deps", "--target", str(program.parents[1]), SQLMAP)
    return run([PYTHON, "-m", "tests.sqlmap", "--sqlmap", str(program), *arguments])


def lock(arguments: list[str]) -> int:
    """Resolve all dependencies anew; ``--upgrade`` also lets go of the versions locked now."""
    setup([])
    pins = [] if "--upgrade" in arguments else ["--constraint", str(LOCK)]
    wanted = [".[dev,demo]", "hatchling"]
    quiet = ["--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    done = subprocess.run(
        [PYTHON, "-m", "pip", "install", *quiet, *pins, *wanted],
        check=True,
        stdout=subprocess.PIPE,
        env=environment(),
    )
    found = [item["metadata"] for item in json.loads(done.stdout)["install"]]
    LOCK.write_text(locked_lines(found))
    say(f"{LOCK.name} pins {len(found) - 1} packages")
    return 0


def locked_lines(found: list[dict[str, object]]) -> str:
    """Write the lock: one exact version a line, no address, with the markers we gave ourselves."""
    markers = {}
    for metadata in found:
        needs = metadata.get("requires_dist", []) if metadata["name"] == "vigie" else []
        for requirement in needs if isinstance(needs, list) else []:
            name, _, marker = str(requirement).partition(";")
            if marker and "extra" not in marker:
                markers[normal(re.split(r"[<>=!~\[ ]", name)[0])] = f" ;{marker}"
    names = {normal(str(m["name"])): m["version"] for m in found if m["name"] != "vigie"}
    lines = [f"{name}=={version}{markers.get(name, '')}" for name, version in sorted(names.items())]
    head = "# Written by `python3 dev.py lock` from pyproject.toml; not to be edited."
    return "\n".join([head, *lines, ""])


def normal(name: str) -> str:
    """Spell a distribution's name the one canonical way."""
    return re.sub(r"[-_.]+", "-", name).lower()


def build_kernel() -> None:
    """Compile the kernel if there is a compiler; without it everything works, more slowly."""
    with tempfile.TemporaryDirectory() as folder:  # setuptools builds where the sources are
        copy = Path(folder) / NATIVE.name
        shutil.copytree(NATIVE, copy)
        quiet = ["-qq", "--no-deps", "--no-build-isolation", "--force-reinstall"]
        done = subprocess.run(
            [PYTHON, "-m", "pip", "install", *quiet, str(copy)],
            check=False,
            capture_output=True,
            text=True,
            env=environment(),
        )
    if done.returncode:
        say("no compiled kernel (apt-get install gcc python3-dev): Python does the work, slower")
        if os.environ.get("VIGIE_STRICT") and shutil.which("cc"):
            give_up(f"the kernel does not compile:\n{done.stderr[-3000:]}")


def make_venv() -> None:
    """Make ``.venv`` if there is none that works: venv, else uv, else virtualenv."""
    if works():
        return
    say("making .venv")
    here = str(VENV)
    if importlib.util.find_spec("ensurepip"):
        command = [sys.executable, "-m", "venv", "--clear", here]
    elif uv := shutil.which("uv"):
        command = [uv, "venv", "--quiet", "--seed", "--clear", "--python", sys.executable, here]
    elif virtualenv := shutil.which("virtualenv"):
        command = [virtualenv, "--quiet", "--clear", "--python", sys.executable, here]
    else:
        give_up("Python's venv module is missing: apt-get install python3-venv")
    if subprocess.run(command, check=False).returncode or not works():
        give_up(f"cannot make .venv with {Path(command[0]).name}: apt-get install python3-venv")


def works() -> bool:
    """Whether ``.venv`` holds a Python that is new enough, and pip."""
    probe = f"import sys, pip; sys.exit(sys.version_info < {OLDEST})"
    try:
        done = subprocess.run([PYTHON, "-c", probe], check=False, capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def is_set_up() -> bool:
    """Whether ``.venv`` was made from these very files, here."""
    return STAMP.is_file() and STAMP.read_text() == fingerprint()


def fingerprint() -> str:
    """Hash what ``setup`` depends on; the folder too, for scripts of ``.venv`` hold its path."""
    kernel = (path for path in NATIVE.rglob("*") if path.suffix in SOURCES)
    files = (ROOT / "pyproject.toml", LOCK, *sorted(kernel))
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        give_up(f"{missing[0]} is missing: is this a whole clone?")
    return hashlib.sha256(b"\0".join([*(f.read_bytes() for f in files), bytes(ROOT)])).hexdigest()


def pip(*arguments: str) -> None:
    """Call pip of ``.venv`` with the ordinary configuration of the machine."""
    if run([PYTHON, "-m", "pip", *arguments]):
        give_up("pip could not install the packages above; mended, the same command goes on")


def run(command: list[str]) -> int:
    """Run a command in the project's folder and return its exit status."""
    try:
        return subprocess.run(command, check=False, env=environment()).returncode
    except KeyboardInterrupt:
        return 130


def environment() -> dict[str, str]:
    """Return the environment with ``.venv`` first, as if it were activated."""
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    return {**os.environ, **quiet, "PATH": path, "VIRTUAL_ENV": str(VENV)}


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"vigie: {text}", flush=True)


def give_up(reason: str) -> NoReturn:
    """End with one line that says what is missing."""
    sys.exit(f"vigie: {reason}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
