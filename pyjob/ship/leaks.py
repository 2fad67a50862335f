"""Whether a secret is in what is packed: the last look before it leaves the machine (SPEC 3.3)."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from pyjob.environment.mask import LEAST

# A value as long as this is nowhere by chance; a shorter one, such as a user's name, is in many texts.
CERTAIN = 16
_BLOCK = 1024 * 1024


def leaks_in_archive(archive: Path, secrets: Mapping[str, str]) -> list[tuple[str, str]]:
    """Files of the job that hold a value of ``secrets`` (values by name): pairs of file and name."""
    found: list[tuple[str, str]] = []
    with tarfile.open(archive) as packed:
        for member in packed:
            stream = packed.extractfile(member) if member.isfile() else None
            if stream is not None:
                found += [(member.name, name) for name in _in(stream, secrets, LEAST)]
    return found


def leaks_in_wheels(wheels: Iterable[Path], secrets: Mapping[str, str]) -> list[tuple[str, str]]:
    """The same of members of wheels, for values that are nowhere by chance."""
    found: list[tuple[str, str]] = []
    if not any(len(value) >= CERTAIN for value in secrets.values()):
        return found
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as packed:
            for name in packed.namelist():
                with packed.open(name) as stream:
                    found += [(f"{wheel.name}: {name}", secret) for secret in _in(stream, secrets, CERTAIN)]
    return found


def _in(stream: IO[bytes], secrets: Mapping[str, str], least: int) -> Iterator[str]:
    sought = {name: value.encode() for name, value in secrets.items() if len(value) >= least}
    overlap = max(map(len, sought.values()), default=0)
    rest = b""
    while sought and (block := stream.read(_BLOCK)):
        text = rest + block
        for name in [name for name, value in sought.items() if value in text]:
            del sought[name]
            yield name
        rest = text[-overlap:]
