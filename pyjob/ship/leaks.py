"""Whether a secret is in what is packed: the last look before it leaves the machine (SPEC 3.3)."""

from __future__ import annotations

import tarfile
import zipfile
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO

from pyjob.environment.mask import LEAST, spellings

# A value as long as this is nowhere by chance; a shorter one, such as a user's name, is in many texts.
CERTAIN = 16
_BLOCK = 1024 * 1024
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "latin-1")


def leaks_in_archive(archive: Path, secrets: Mapping[str, str]) -> list[tuple[str, str]]:
    """Files of the job that hold a value of ``secrets`` (values by name): pairs of file and name."""
    found: list[tuple[str, str]] = []
    forms = _forms(secrets, LEAST)
    with tarfile.open(archive) as packed:
        for member in packed:
            names = BytesIO(member.name.encode(errors="surrogateescape"))
            streams = (names, packed.extractfile(member) if member.isfile() else None)
            found += [(member.name, name) for stream in streams if stream for name in _in(stream, forms)]
    return found


def leaks_in_wheels(wheels: Iterable[Path], secrets: Mapping[str, str]) -> list[tuple[str, str]]:
    """The same of members of wheels, for values that are nowhere by chance."""
    found: list[tuple[str, str]] = []
    forms = _forms(secrets, CERTAIN)
    for wheel in wheels if forms else ():
        with zipfile.ZipFile(wheel) as packed:
            for name in packed.namelist():
                with packed.open(name) as stream:
                    found += [(f"{wheel.name}: {name}", secret) for secret in _in(stream, forms)]
    return found


def _forms(secrets: Mapping[str, str], least: int) -> dict[str, set[bytes]]:
    """What is searched for, by the secret's name."""
    return {
        name: set(_written(value, least)) for name, value in secrets.items() if len(value.strip()) >= least
    }


def _written(value: str, least: int) -> Iterator[bytes]:
    """A value as files may have it, in any of the usual encodings."""
    texts = {value, value.strip()}
    # Of several lines, such as a key, the longest: others are the same in many, and all may be indented.
    texts.add(max((line.strip() for line in value.splitlines()), key=len))
    for form in (form for text in texts if len(text) >= least for form in spellings(text)):
        for encoding in _ENCODINGS:
            with suppress(UnicodeEncodeError):
                yield form.encode(encoding)
    data = value.strip().encode()
    yield b64encode(data[: len(data) // 3 * 3])  # whatever comes next


def _in(stream: IO[bytes], forms: Mapping[str, set[bytes]]) -> Iterator[str]:
    sought = dict(sorted(forms.items()))
    overlap = max((len(form) for those in sought.values() for form in those), default=0)
    rest = b""
    while sought and (block := stream.read(_BLOCK)):
        text = rest + block
        for name in [name for name, those in sought.items() if any(form in text for form in those)]:
            del sought[name]
            yield name
        rest = text[-overlap:]
