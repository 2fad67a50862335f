"""A wheel that is packed, as its metadata has it."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

_REQUIREMENT = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]*")
_LONGEST_LICENSE = 100
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
    return Package(
        str(fields["Name"]),
        str(fields["Version"]),
        _license(fields),
        str(fields["Summary"] or ""),
        tuple(sorted(set(map(normalized, names)))),
    )


def _license(fields: Message) -> str:
    """Its name, of a classifier where nothing else has it; some have a whole text in its place."""
    classifiers = fields.get_all("Classifier", [])
    named = (text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License ::"))
    for text in (fields["License-Expression"], fields["License"], *named):
        if text and text.isprintable() and len(text) < _LONGEST_LICENSE:
            return str(text)
    return ""


def normalized(name: str) -> str:
    """The name of a project as all its spellings are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
