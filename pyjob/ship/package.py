"""A wheel that is packed, as its metadata has it."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

_REQUIREMENT = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]*")
_OF_EXTRA = re.compile(r";.*\bextra\s*==")


@dataclass(frozen=True)
class Package:
    """``requires`` are normalized names, of what other packages it needs whatever its extras."""

    name: str
    version: str
    license: str
    summary: str
    requires: tuple[str, ...]


def package_of(wheel: Path) -> Package:
    """Read the metadata of ``wheel``."""
    with zipfile.ZipFile(wheel) as packed:
        member = next(name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        fields = HeaderParser().parsestr(packed.read(member).decode(errors="replace"))
    required = [text for text in fields.get_all("Requires-Dist", []) if not _OF_EXTRA.search(text)]
    names = (match[0] for text in required if (match := _REQUIREMENT.match(text)))
    license_text = fields["License-Expression"] or fields["License"] or ""
    return Package(
        str(fields["Name"]),
        str(fields["Version"]),
        license_text if license_text.isprintable() and len(license_text) < 100 else "",
        str(fields["Summary"] or ""),
        tuple(sorted(set(map(normalized, names)))),
    )


def normalized(name: str) -> str:
    """The name of a project as all its spellings are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
