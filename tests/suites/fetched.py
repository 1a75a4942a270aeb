"""Other people's suites, at a pinned version and hash, in ``.cache/suites``; nothing is committed.

``python -m pip`` and ``apt-get source`` fetch with the configuration of the machine.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

CACHE: Final = Path(__file__).parents[2] / ".cache" / "suites"
_HERE: Final = Path(__file__).parent
_APT: Final = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d"))
POSTGRES: Final = "postgresql-15.18"
_POSTGRES_SHA256: Final = "11df0df97fe3ea4ba9a791faaf39cee1d2fe571e78885b5b55d8517d27c323b4"


class NotFetchedError(Exception):
    """A suite cannot be had here; the message says why."""


def sources(name: str) -> Path:
    """Return the folder of an unpacked source distribution of ``sources.txt``, such as pg8000."""
    version = _pinned("sources.txt", name)
    folder = CACHE / "sources" / f"{name}-{version}"
    if not folder.is_dir():
        archives = CACHE / "archives"
        wanted = [line for line in _lines("sources.txt") if line.startswith(f"{name}==")]
        # only itself from source: its build dependencies would be built as well, for minutes
        _pip("download", "--no-binary", name, "--no-deps", "--dest", str(archives), lines=wanted)
        with tarfile.open(archives / f"{name}-{version}.tar.gz") as archive:
            archive.extractall(folder.parent, filter="data")
    return folder


def packages() -> Path:
    """Return a folder for PYTHONPATH with what the suites import beside ``.venv``."""
    lines = _lines("packages.txt")
    mark = hashlib.sha256("".join(lines).encode()).hexdigest()[:12]
    folder = CACHE / f"packages-{mark}"
    if not folder.is_dir():
        _pip("install", "--no-deps", "--target", str(folder), lines=lines)
    return folder


def regression_scripts() -> Path:
    """Return ``src/test/regress`` of PostgreSQL's sources, as Debian has them."""
    folder = CACHE / "sources" / POSTGRES
    regress = folder / "src" / "test" / "regress"
    if not regress.is_dir():
        with tarfile.open(_debian_archive()) as archive:
            inside = [
                member
                for member in archive.getmembers()
                if member.name.startswith(f"{POSTGRES}/src/test/regress/")
            ]
            archive.extractall(folder.parent, members=inside, filter="data")
    return regress


def _debian_archive() -> Path:
    name, version = POSTGRES.split("-")
    package = f"{name}-{version.partition('.')[0]}"
    archives = CACHE / "archives"
    archive = archives / f"{package}_{version}.orig.tar.bz2"
    if not archive.is_file():
        lists = archives / "lists"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        options = [
            *("-o", f"Dir::Etc::sourcelist={_deb_src(archives)}"),
            *("-o", "Dir::Etc::sourceparts=/dev/null", "-o", f"Dir::State::lists={lists}"),
            *("-o", "Dir::Cache::srcpkgcache=", "-o", "Dir::Cache::pkgcache="),
        ]
        _run("apt-get", *options, "-qq", "update", where=archives)
        shown = _run("apt-cache", *options, "showsrc", package, where=archives)
        # the newest of another day is another suite: the version that was pinned, or none
        wanted = next(
            (
                line.split()[1]
                for line in shown.splitlines()
                if re.match(rf"Version: {re.escape(version)}-", line)
            ),
            None,
        )
        if wanted is None:
            raise NotFetchedError(f"apt-get has no source of {POSTGRES}")
        download = ("source", "--download-only", f"{package}={wanted}")
        _run("apt-get", *options, "-qq", *download, where=archives)
    if hashlib.sha256(archive.read_bytes()).hexdigest() != _POSTGRES_SHA256:
        raise NotFetchedError(f"{archive} is another one than was pinned")
    return archive


def _deb_src(archives: Path) -> Path:
    """Write the machine's own sources of Debian, for source packages."""
    paths = [path for path in (_APT[0], *sorted(_APT[1].glob("*"))) if path.is_file()]
    texts = [path.read_text() for path in paths]
    text = "\n".join(one for one in texts if "debian" in one)
    text = re.sub(r"(?m)^Types: deb$", "Types: deb-src", text)
    text = re.sub(r"(?m)^deb ", "deb-src ", text)
    made = archives / ("sources.sources" if "Types:" in text else "sources.list")
    made.write_text(text)
    return made


def _pinned(file: str, name: str) -> str:
    for line in _lines(file):
        if line.startswith(f"{name}=="):
            return line.split()[0].partition("==")[2]
    raise NotFetchedError(f"{file} does not pin {name}")


def _lines(file: str) -> list[str]:
    lines = (_HERE / file).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _pip(*arguments: str, lines: list[str]) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = CACHE / "wanted.txt"
    wanted.write_text("\n".join(lines) + "\n")
    options = ("--quiet", "--require-hashes", "--requirement", str(wanted))
    _run(sys.executable, "-m", "pip", *arguments, *options, where=CACHE)


def _run(*command: str, where: Path) -> str:
    where.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=where)
    except FileNotFoundError as error:
        raise NotFetchedError(f"{command[0]} is not on this machine") from error
    if done.returncode:
        raise NotFetchedError(f"{' '.join(command)}:\n{done.stderr[-2000:]}")
    return done.stdout
