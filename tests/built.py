"""Jobs built into one file, in processes of their own, with nothing of an index."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.repositories import UNCONFIGURED

MANIFEST = """\
name: {name}
owner_email: nobody@example.com
jobtype: python3:latest
git:
  remote: https://example.com/team/{name}
{fields}
jobtype_extra:
  entrypoint_path: job.py
{extra}
"""
JOB = """\
from pathlib import Path


class Job:
    def __init__(self):
        self.factor = float(Path("factor.txt").read_text())

    def perform(self, x: float = 1) -> float:
        Path("written").touch()
        return x * self.factor

    def docs_input_example(self):
        return {"x": 21}

    def auxiliary_endpoints(self):
        return {"/folder": self.folder}

    def folder(self) -> str:
        return str(Path.cwd())
"""


def job_in(
    folder: Path, *, name: str = "doubler", fields: str = "", extra: str = "", code: str = JOB
) -> Path:
    """Write a job into ``folder``, with a file that it reads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.yaml").write_text(MANIFEST.format(name=name, fields=fields, extra=extra))
    (folder / "job.py").write_text(code)
    (folder / "factor.txt").write_text("2")
    return folder


def pyjob_build(
    *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command; a temporary folder of its own shows what it leaves behind."""
    temporary = cwd / "tmp"
    temporary.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "pyjob", "build", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **UNCONFIGURED, "TMPDIR": str(temporary), "PIP_NO_INDEX": "1", **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def built(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Any:
    """Run it with ``--json``; the summary."""
    ended = pyjob_build(*arguments, "--json", cwd=cwd, env=env)
    assert ended.returncode == 0, ended.stderr
    assert list((cwd / "tmp").iterdir()) == []
    return json.loads(ended.stdout)


def ran(
    file: Path, *arguments: str, temporary: Path, env: Mapping[str, str] | None = None, python: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a built file, in an environment that has nothing but TMPDIR."""
    return subprocess.run(
        [python or sys.executable, str(file), *arguments],
        cwd="/",
        env={"TMPDIR": str(temporary), **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def everything_in(file: Path) -> Iterator[tuple[str, bytes]]:
    """Every member of a built file by its name, those of wheels inside included, decompressed."""
    with zipfile.ZipFile(file) as packed:
        for name in packed.namelist():
            content = packed.read(name)
            yield name, content
            if name.endswith(".whl"):
                with zipfile.ZipFile(io.BytesIO(content)) as wheel:
                    yield from ((f"{name}/{inner}", wheel.read(inner)) for inner in wheel.namelist())


def packed_files(file: Path) -> dict[str, bytes]:
    """The job's files in a built one, by their paths."""
    import tarfile

    with (
        zipfile.ZipFile(file) as packed,
        tarfile.open(fileobj=io.BytesIO(packed.read("pyjob_packed_job/job.tar"))) as archive,
    ):
        members = ((member.name, archive.extractfile(member)) for member in archive)
        return {name: stream.read() for name, stream in members if stream is not None}
