"""What a job runs on, as wheels: pyjob and what it needs, taken from the running installation.

So a build needs no index for it, and what has been tried here is what runs there. pex can do it, too, but
needs several seconds, builds a project that is installed in editable mode anew, and takes along where a
package was installed from.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pyjob
from pyjob.errors import BuildError
from pyjob.ship.package import normalized

NAME = "pyjob"
# What jobs of Racetrack's job runner import; it names no requirement, and none names it.
COMPAT = "pyjob-compat"
# What is packed where it is installed; `docs` is asked for.
EXTRAS = ("asgi", "fast", "check")
DOCS = "docs"
# The zip format knows no earlier date.
_DATE = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT = {"INSTALLER", "REQUESTED", "RECORD", "RECORD.jws", "direct_url.json"}
_REQUIREMENT = re.compile(r"([A-Za-z0-9][-._A-Za-z0-9]*)[^;]*(?:;(.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


def extras_here(*, docs: bool) -> tuple[str, ...]:
    """The extras of pyjob to be packed: those whose packages are all installed here. Raises `BuildError`.

    ``docs``: whether Swagger UI is wanted; then it is an error where it is not here.
    """
    found = [extra for extra in EXTRAS if all(map(_is_installed, _required(NAME, {extra}, only_extras=True)))]
    if docs:
        lacking = [one for one in _required(NAME, {DOCS}, only_extras=True) if not _is_installed(one)]
        if lacking:
            raise BuildError(
                f"{', '.join(lacking)} is not installed here, which /docs is made of: install pyjob with its "
                "extra docs, or build with --no-docs"
            )
        found.append(DOCS)
    return tuple(sorted(found))


def write_wheels(folder: Path, extras: Iterable[str]) -> list[Path]:
    """Write the wheels of pyjob with ``extras``, and of all that it needs, into ``folder``.

    Raises `BuildError` where a package is missing, or installed in a way that cannot be packed.
    """
    names, wanted = [NAME], {NAME: set(extras)}
    for name in names:
        for other in _required(name, wanted.get(name, set())):
            if other not in names:
                names.append(other)
    return [_write_wheel(folder, name) for name in names]


def write_compat(folder: Path) -> list[Path]:
    """Write the wheel of pyjob-compat into ``folder``, where it is installed, and not in editable mode."""
    found = _distribution(COMPAT)
    if found is None or _is_editable(found.files or ()):
        return []
    return [_write_wheel(folder, COMPAT)]


def _is_installed(name: str) -> bool:
    return _distribution(name) is not None


def _distribution(name: str) -> metadata.Distribution | None:
    """What is installed under ``name``; a checkout in the current folder may have metadata, too."""
    found = list(metadata.distributions(name=name))
    return next((one for one in found if one.read_text("WHEEL")), found[0] if found else None)


def _required(name: str, extras: set[str], *, only_extras: bool = False) -> Iterator[str]:
    """Names of what ``name`` requires here; of what its ``extras`` require, too, or alone."""
    found = _distribution(name)
    for text in (found.requires if found else None) or ():
        match = _REQUIREMENT.match(text)
        if match is None:
            continue
        extra = _EXTRA.search(match[2] or "")
        if extra[1] in extras if extra else not only_extras:
            # Other markers are about platforms and versions: what is not installed was not needed.
            if not extra and match[2] and not _is_installed(match[1]):
                continue
            yield normalized(match[1])


def _write_wheel(folder: Path, name: str) -> Path:
    distribution = _distribution(name)
    if distribution is None:
        raise BuildError(f"{name} is not installed here, but pyjob needs it: install pyjob again")
    members = dict(sorted(_members(distribution, name)))
    inner = next((one for one in members if one.endswith(".dist-info/WHEEL")), None)
    if inner is None:
        raise BuildError(
            f"{name} was installed without a wheel, so it cannot be packed: pip install --force-reinstall it"
        )
    target = folder / _file_name(distribution, members[inner].decode())
    record = f"{inner.rpartition('/')[0]}/RECORD"
    members[record] = _record(members, record).encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in members.items():
            member = zipfile.ZipInfo(path, _DATE)
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            wheel.writestr(member, content)
    return target


def _members(distribution: metadata.Distribution, name: str) -> Iterator[tuple[str, bytes]]:
    """The files of a wheel: what was installed, without what installing has added."""
    files = distribution.files
    if files is None:
        raise BuildError(f"{name} does not tell which files it has: install it again with pip")
    is_editable = _is_editable(files)
    if is_editable and name != NAME:
        raise BuildError(f"{name} is installed in editable mode, so it cannot be packed: install it")
    for file in files:
        outside = file.parts[0] == ".." or file.is_absolute()
        leftover = file.suffix == ".pyc" or file.name in _LEFT_OUT or "__editable__" in file.name
        if not outside and not leftover:
            yield file.as_posix(), file.read_binary()
    if is_editable:
        yield from _own_files()


def _is_editable(files: Iterable[metadata.PackagePath]) -> bool:
    return any("__editable__" in file.name for file in files)


def _own_files() -> Iterator[tuple[str, bytes]]:
    """pyjob as it is in a checkout, for those who work on it."""
    package = Path(pyjob.__file__).parent
    for file in sorted(package.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file.relative_to(package.parent).as_posix(), file.read_bytes()


def _file_name(distribution: metadata.Distribution, wheel: str) -> str:
    """As PEP 427 has it: name, version and tags, each set of tags with points between."""
    tags = [
        line.partition(":")[2].strip().split("-") for line in wheel.splitlines() if line.startswith("Tag:")
    ]
    pythons, abis, platforms = (".".join(dict.fromkeys(part)) for part in zip(*tags, strict=True))
    name = re.sub(r"[-_.]+", "_", distribution.metadata["Name"]).lower()
    version = distribution.version.replace("-", "_")
    return f"{name}-{version}-{pythons}-{abis}-{platforms}.whl"


def _record(members: dict[str, bytes], record: str) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    for path, content in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow((path, f"sha256={digest}", len(content)))
    rows.writerow((record, "", ""))
    return out.getvalue()
