"""One file of wheels and a job, by pex: the same bytes for the same parts."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import takewhile
from pathlib import Path

from pyjob.errors import BuildError
from pyjob.ship.packing.contents import ARCHIVE, DESCRIPTION, FOLDER, Contents
from pyjob.ship.packing.preamble import machine_here, python_here

MODULE = "pyjob.bundle"
# pex's own settings, from the environment or files of this user, are about other builds.
_OWN = "PEX_"
_LONGEST = 500


def assemble(
    target: Path,
    contents: Contents,
    archive: Path,
    wheels: Sequence[Path],
    folder: Path,
    *,
    is_checked: bool = True,
) -> None:
    """Write the file ``target`` of ``archive``, the job, and ``wheels``; ``folder`` is a private one.

    ``is_checked``: whether the wheels must have all that they need among them, in versions that fit. Raises
    `BuildError`, with what pex says.
    """
    sources = folder / "sources" / FOLDER
    sources.mkdir(parents=True)
    (sources / DESCRIPTION).write_text(contents.to_json())
    archive.rename(sources / ARCHIVE)
    preamble = folder / "preamble.py"
    preamble.write_text(_preamble(_identity([*wheels, sources / DESCRIPTION, sources / ARCHIVE])))
    command = [
        # -P: a module of the job, in the current folder, is none of pex's.
        *(sys.executable, "-P", "-m", "pex", "--output-file", str(target)),
        *(option for wheel in wheels for option in ("--pre-resolved-dist", str(wheel))),
        *(_name_of(wheel) for wheel in wheels),
        *(() if is_checked else _overrides(wheels)),
        *("--no-pypi", "--no-transitive", "--no-build", "--no-use-pip-config"),
        *("--sources-directory", str(sources.parent), "--entry-point", MODULE),
        *("--no-pre-install-wheels", "--no-emit-warnings", "--preamble-file", str(preamble)),
        *("--python-shebang", f"/usr/bin/env python{python_here()}"),
        *("--disable-cache", "--no-record-git-state", "--no-compile"),
    ]
    ended = subprocess.run(  # nosec B603 # a list of words, without a shell
        command,
        cwd=folder,  # in other folders, pex might take one with a distribution's name for its sources
        env=_variables(os.environ, folder),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise BuildError(f"pex failed: {_reason(ended.stderr) or f'status {ended.returncode}'}")
    target.chmod(0o755)


def _name_of(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version}"


def _overrides(wheels: Sequence[Path]) -> Iterator[str]:
    """Whatever version another one needs of these, they are it."""
    for wheel in wheels:
        yield from ("--override", _name_of(wheel))


def _reason(said: str) -> str:
    """The last that pex says, in one line: where that is a list of what does not fit, all of the list."""
    lines = [line for line in said.splitlines() if line.strip()]
    listed = [*takewhile(lambda line: line.startswith(" "), reversed(lines))] or lines[-1:]
    told = "; ".join(line.strip() for line in reversed(listed)).replace(":;", ":")
    return told if len(told) <= _LONGEST else f"{told[: _LONGEST - 3]}..."


def _identity(parts: Sequence[Path]) -> str:
    """Of what is packed: files with the same parts use the same folder when they run."""
    digest = hashlib.sha256()
    for part in sorted(parts, key=lambda one: one.name):
        digest.update(part.name.encode())
        with part.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:24]


def _preamble(identity: str) -> str:
    text = files("pyjob.ship.packing").joinpath("preamble.py").read_text()
    facts = (python_here(), machine_here(), identity, MODULE, FOLDER)
    return f"{text}\n\nstart({', '.join(map(repr, facts))})\n"


def _variables(inherited: Mapping[str, str], folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in inherited.items() if not name.startswith(_OWN)}
    # Of the same text, a wheel or an archive is the same whenever it is made.
    return {**kept, "PEX_ROOT": str(folder / "pex"), "PEX_IGNORE_RCFILES": "1", "PYTHONHASHSEED": "0"}
