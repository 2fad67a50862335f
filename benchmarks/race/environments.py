"""Environments of the contenders: made by exact pins, made again when those change, and weighed.

Pins are renewed by hand: `python3 -m venv fresh`, what the first line of the file says, `pip freeze`.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from process import HERE, plain_environment

from race.contenders import Kind

CHECKOUT = HERE.parent
# What the package is built from.
SOURCES = ("pyjob", "pytest_pyjob.py", "setup.cfg", "pyproject.toml")
LONGEST_INSTALL = 900
LONGEST_IMPORT = 120
WEIGH = """
import json, re, sys
from importlib.metadata import distributions
from pathlib import Path
NOT_MEANT = {"pip", "setuptools", "wheel"}
def plain(name): return re.sub("[-_.]+", "-", name).lower()
def size(file): return file.stat().st_size if file.is_file() and file.suffix != ".pyc" else 0
found = {plain(each.name): each for each in distributions()}
def needed(name, seen):
    if name in found and name not in seen:
        seen.add(name)
        for line in found[name].requires or ():
            if "extra ==" not in line:
                needed(plain(re.match("[A-Za-z0-9._-]+", line)[0]), seen)
    return seen
roots = [plain(name) for name in sys.argv[1:]] or list(found)
names = set().union(*(needed(root, set()) for root in roots)) - NOT_MEANT
files = (Path(str(file.locate())) for name in names for file in found[name].files or ())
versions = {name: found[name].version for name in found}
print(json.dumps({"packages": len(names), "megabytes": sum(map(size, files)) / 1e6, "versions": versions}))
"""
IMPORT = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"


class InstallError(Exception):
    """A contender that pip cannot install."""


def interpreter(kind: Kind, environments: Path) -> str:
    """The Python of its environment, made if it is not as the pins say. Raises `InstallError`."""
    # `overload.py` keeps its own beside them.
    folder = environments.resolve() / f"race-{kind.environment}"
    python = folder / "bin" / "python"
    # Written last, so that a broken installation is begun anew.
    done, wanted = folder / "installed", f"{platform.python_version()}\n{kind.pins.read_text()}"
    if not done.exists() or done.read_text() != wanted:
        sys.stderr.write(f"benchmarks: installing {kind.environment} into {folder}\n")
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        # Everything is in the list: pip has nothing to decide.
        _pip(python, "--no-deps", "--requirement", str(kind.pins))
        done.write_text(wanted)
    if kind.environment == "pyjob":
        _install_checkout(python, folder / "checkout")
    return str(python)


def weighed(kind: Kind, python: str) -> tuple[int, float, Mapping[str, str]]:
    """Packages, megabytes without bytecode, and versions of what it stands on. Raises `InstallError`."""
    roots: Sequence[str] = () if kind.own else kind.distributions
    read = json.loads(_run(python, "-c", WEIGH, *roots))
    versions = {name: read["versions"].get(name, "?") for name in kind.distributions}
    return read["packages"], read["megabytes"], versions


def import_milliseconds(kind: Kind, python: str) -> float:
    """How long a fresh process takes to import what the server does. Raises `InstallError`."""
    return float(_run(python, "-c", IMPORT.format(kind.imports), timeout=LONGEST_IMPORT)) * 1000


def _install_checkout(python: Path, done: Path) -> None:
    wanted = _fingerprint()
    if done.exists() and done.read_text() == wanted:
        return
    sys.stderr.write("benchmarks: installing pyjob from the checkout\n")
    with _copy() as checkout:
        _pip(python, "--no-deps", "--force-reinstall", str(checkout))
    done.write_text(wanted)


@contextmanager
def _copy() -> Iterator[Path]:
    # A build leaves files behind in its source.
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        for name in (*SOURCES, "README.md", "LICENSE"):
            source, target = CHECKOUT / name, Path(folder, name)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        yield Path(folder)


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for name in SOURCES:
        source = CHECKOUT / name
        for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if file.is_file() and file.suffix != ".pyc":
                digest.update(f"{file.relative_to(CHECKOUT)}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


def _pip(python: Path, *arguments: str) -> None:
    _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)


def _run(*command: str, timeout: float = LONGEST_INSTALL) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=plain_environment(), timeout=timeout, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(str(error)) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no word of it"]
        raise InstallError(lines[-1])
    return done.stdout
