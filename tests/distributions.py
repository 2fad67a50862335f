"""Tiny distributions made on the spot: wheels, and sources that build one without downloading anything."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import textwrap
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ANYWHERE = "py3-none-any"
# A backend in the source itself (PEP 517).
BACKEND = """
import sys
import zipfile


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    {before}
    with zipfile.ZipFile(f"{{wheel_directory}}/{file}", "w") as archive:
        for name, text in {members!r}.items():
            archive.writestr(name, text)
    return {file!r}
"""
PYPROJECT = """\
[build-system]
requires = {requires!r}
build-backend = "backend"
backend-path = ["."]
"""


def members(
    name: str, version: str, requires: Iterable[str] = (), tag: str = ANYWHERE, code: str = ""
) -> dict[str, str]:
    """What is in a wheel, by path: one module, of ``code`` or with its version."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    module = f"{name.replace('-', '_')}.py"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    found = {
        module: code or f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{path},{_digest(text)},{len(text.encode())}\n" for path, text in found.items())
    return {**found, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}


def _digest(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return f"sha256={digest.decode().rstrip('=')}"


def file_name(name: str, version: str, tag: str = ANYWHERE) -> str:
    return f"{name.replace('-', '_')}-{version}-{tag}.whl"


def wheel(folder: Path, name: str, version: str, *requires: str, tag: str = ANYWHERE) -> Path:
    """Write a wheel into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / file_name(name, version, tag)
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in members(name, version, requires, tag).items():
            archive.writestr(path, text)
    return file


def source(
    folder: Path,
    name: str,
    version: str,
    *requires: str,
    before: str = "pass",
    code: str = "",
    built_with: Sequence[str] = (),
) -> Path:
    """Write sources into ``folder``.

    ``before`` is a statement that runs before they are built; what they are ``built_with``, pip installs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = BACKEND.format(
        file=file_name(name, version), members=members(name, version, requires, code=code), before=before
    )
    (folder / "backend.py").write_text(textwrap.dedent(text))
    (folder / "pyproject.toml").write_text(PYPROJECT.format(requires=list(built_with)))
    return folder


def sdist(
    folder: Path, name: str, version: str, *, before: str = "pass", built_with: Sequence[str] = ()
) -> Path:
    """Write a source distribution into ``folder``."""
    top = f"{name}-{version}"
    sources = source(folder / f"{top}.sources", name, version, before=before, built_with=built_with)
    file = folder / f"{top}.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        archive.add(sources, top)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        entry = tarfile.TarInfo(f"{top}/PKG-INFO")
        entry.size = len(metadata)
        archive.addfile(entry, io.BytesIO(metadata))
    return file
